//! The Debian package, by dpkg-deb.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::tree;
use crate::run::check;

const DESCRIPTION: &str = "\
Description: run Linux containers
 An OCI runtime for podman, buildah, containerd and Docker, and a command line
 of its own. The set-up of a container is compiled to a plan of system calls,
 which a sealed init executes.";

/// Packs a tree. The same tree gives the same bytes.
pub(super) fn build(from: &Path, out: &Path) -> Result<PathBuf> {
    let root = out.join("deb");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("empty {}", root.display()))?;
    }
    fs::create_dir(&root).with_context(|| format!("make {}", root.display()))?;
    check(Command::new("cp").arg("-r").arg(from.join("usr")).arg(&root))?;
    let control = root.join("DEBIAN");
    fs::create_dir(&control).with_context(|| format!("make {}", control.display()))?;
    fs::write(control.join("control"), fields(size(from)?)).with_context(|| control.display().to_string())?;
    check(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(&root))?;
    let package = out.join(format!("nsinit_{}_{}.deb", version(), architecture()));
    let mut command = Command::new("dpkg-deb");
    command.args(["--root-owner-group", "-Zxz", "--build"]).arg(&root).arg(&package);
    // Times after this one are written as this one.
    check(command.env("SOURCE_DATE_EPOCH", tree::epoch()?).stdout(std::process::Stdio::null()))?;
    Ok(package)
}

pub(super) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// As Debian calls it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The programs are static: nothing has to be there but the kernel. newuidmap is for users without root.
fn fields(kib: u64) -> String {
    format!(
        "Package: nsinit\nVersion: {}\nArchitecture: {}\nMaintainer: the authors of libcontainer <root@localhost>\nSection: admin\n\
         Priority: optional\nInstalled-Size: {kib}\nRecommends: uidmap\nSuggests: podman, containerd, passt, criu\n{DESCRIPTION}\n",
        version(),
        architecture()
    )
}

/// KiB, as Installed-Size has them: each file by itself, each directory as one.
fn size(dir: &Path) -> Result<u64> {
    let mut sum = 1;
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let data = entry.metadata()?;
        sum += if data.is_dir() { size(&entry.path())? } else { data.len().div_ceil(1024) };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_a_package() {
        let text = fields(7);
        for line in ["Package: nsinit", "Installed-Size: 7", "Section: admin"] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 80) && text.ends_with(".\n"), "{text}");
    }
}
