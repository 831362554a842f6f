//! A criu for the tests: Debian's newest that runs with libraries of its own, as that of the oldest suites does not know new kernels.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{check, root};
use crate::vm;

/// Where it is taken from.
const SUITE: &str = "trixie";
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
    if program().is_some() || !cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    let dir = root().join("target/criu");
    let tree = dir.join("tree");
    vm::with_dependencies(SUITE, "criu", &tree)?;
    let (tree, new) = (tree.canonicalize().context("the unpacked packages")?, dir.join(".criu.new"));
    // Its helpers are the system's, which have their own libraries: so none of its own are in the environment.
    let text = format!(
        "#!/bin/sh\nexec {0}/ld-linux-x86-64.so.2 --library-path {0} {1} \"$@\"\n",
        tree.join(LIBRARIES).display(),
        tree.join("usr/sbin/criu").display()
    );
    fs::write(&new, text).context("target/criu")?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    fs::rename(&new, dir.join("criu")).context("target/criu/criu")
}
