//! Fetches the default profiles of Docker and podman, which tests compare ours with. They are not part of this project.

use std::path::Path;

use anyhow::{Context, Result};

use crate::run::root;
use crate::vm;

/// A package, the profile in it, and the name that tests look for.
const PROFILES: [(&str, &str, &str); 2] = [
    (
        "golang-github-docker-docker-dev/trixie",
        "usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json",
        "docker.json",
    ),
    ("golang-github-containers-common/trixie", "usr/share/containers/seccomp.json", "podman.json"),
];

/// Puts them into `target/profiles`, unless they are there. What needs them says so where they can't be had.
pub(crate) fn fetch() {
    if let Err(error) = all() {
        println!("left out: profiles of Docker and podman: {error:#}");
    }
}

fn all() -> Result<()> {
    let dir = root().join("target/profiles");
    for (package, inner, name) in PROFILES {
        if !dir.join(name).exists() {
            one(&dir, package, inner, name).with_context(|| package.to_owned())?;
        }
    }
    Ok(())
}

fn one(dir: &Path, package: &str, inner: &str, name: &str) -> Result<()> {
    let tree = dir.join("package");
    vm::packages(&[package], &tree)?;
    std::fs::rename(tree.join(inner), dir.join(name)).with_context(|| inner.to_owned())?;
    std::fs::remove_dir_all(&tree).context("the unpacked package")
}
