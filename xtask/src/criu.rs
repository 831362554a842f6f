//! A criu for the tests: that of Debian's testing suite, with libraries of its own, as that of the oldest suites does not know new kernels.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{check, root};
use crate::vm;

/// Where it is taken from: before 4.2 it can't write TCP sockets on Linux 6.16.
const SUITE: &str = "forky";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Puts it into `target/criu`, unless it is there: where tests look for it. What needs it says so where it can't be had.
pub(crate) fn fetch() {
    if let Err(error) = make() {
        println!("left out: criu of {SUITE}: {error:#}");
    }
}

/// `criu`: the same, and it is run.
pub(crate) fn run() -> Result<()> {
    make()?;
    let program = program().context("criu is fetched on x86_64 only")?;
    check(Command::new(program).arg("--version"))
}

/// The program, if it was fetched.
pub(crate) fn program() -> Option<PathBuf> {
    Some(root().join("target/criu/criu")).filter(|path| path.exists())
}

fn make() -> Result<()> {
    let dir = root().join("target/criu");
    let tree = dir.join(SUITE);
    if (program().is_some() && tree.exists()) || !cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    let (packages, new) = (dir.join(".packages.new"), dir.join(".criu.new"));
    if packages.exists() {
        fs::remove_dir_all(&packages).context("target/criu/.packages.new")?;
    }
    vm::with_dependencies(SUITE, "criu", &packages)?;
    fs::rename(&packages, &tree).context("the unpacked packages")?;
    // Its helpers are the system's, which have their own libraries: so none of its own are in the environment.
    let text = format!(
        "#!/bin/sh\ntree=$(dirname \"$(readlink -f \"$0\")\")/{SUITE}\nexec \"$tree/{LIBRARIES}/ld-linux-x86-64.so.2\" --library-path \"$tree/{LIBRARIES}\" \"$tree/usr/sbin/criu\" \"$@\"\n"
    );
    fs::write(&new, text).context("target/criu")?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    fs::rename(&new, dir.join("criu")).context("target/criu/criu")
}
