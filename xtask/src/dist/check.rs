//! `dist --check`: the same commit, built in two directories, gives the same bytes; and the package can be installed, into a root of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{deb, packed};
use crate::run::{check, has, output, root};

pub(super) fn run(out: &Path) -> Result<()> {
    // Of different lengths, so that a path that is left in a program moves what follows.
    let places = [out.join("a"), out.join("another/place")];
    // RACE: whoever commits meanwhile moves HEAD.
    let commit = output(Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root()))?;
    let commit = String::from_utf8(commit).context("git rev-parse HEAD")?;
    let mut sums = Vec::new();
    for place in &places {
        copy_of(commit.trim(), &place.join("source"))?;
        packed::made(&place.join("source"), place)?;
        sums.push(fs::read_to_string(place.join("SHA256SUMS"))?);
    }
    let [first, _] = &places;
    if sums.first() != sums.last() {
        bail!("two builds of one commit differ:\n{}", sums.join("\n"));
    }
    print!("both builds:\n{}", sums.concat());
    if has("dpkg") && has("dpkg-deb") {
        install(
            &first.join(format!("nsinit_{}_{}.deb", deb::version(), deb::architecture())),
            &out.join("installed"),
        )?;
    }
    Ok(())
}

/// What was committed, without the history.
fn copy_of(commit: &str, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("empty {}", to.display()))?;
    }
    fs::create_dir_all(to).with_context(|| format!("make {}", to.display()))?;
    let archive = to.with_extension("tar");
    check(Command::new("git").args(["archive", commit, "-o"]).arg(&archive).current_dir(root()))?;
    check(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(to))
}

/// Installs a package by dpkg, looks whether what it brings is whole and runs, and takes it away again.
fn install(package: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("empty {}", to.display()))?;
    }
    let data = to.join("var/lib/dpkg");
    fs::create_dir_all(data.join("updates")).with_context(|| format!("make {}", data.display()))?;
    fs::create_dir_all(data.join("info")).with_context(|| format!("make {}", data.display()))?;
    fs::write(data.join("status"), "").with_context(|| data.display().to_string())?;
    let dpkg = |args: &[&str]| {
        let mut command = Command::new("dpkg");
        command
            .arg(format!("--root={}", to.display()))
            .args(["--force-not-root", "--force-depends"])
            .args(args);
        command.stdout(Stdio::null());
        command
    };
    check(dpkg(&["--install"]).arg(package))?;
    let said = output(Command::new(to.join("usr/bin/nsinit")).arg("--version"))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(said.contains(deb::version()), "the program of the package says {said:?}");
    for file in [
        "usr/bin/containerd-shim-nsinit-v2",
        "usr/share/man/man8/nsinit-run.8.gz",
        "usr/share/doc/nsinit/copyright",
    ] {
        ensure!(to.join(file).is_file(), "the package has no {file}");
    }
    check(&mut dpkg(&["--purge", "nsinit"]))?;
    ensure!(!to.join("usr/bin/nsinit").exists(), "dpkg has left the program");
    println!("installed and taken away again by dpkg: {}", package.display());
    Ok(())
}
