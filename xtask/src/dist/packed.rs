//! The tree as an archive and a Debian package, and their sums.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{deb, tree};
use crate::run::{check, has, output};

/// Makes everything of a source directory. The files that are for others, with their sums beside them.
pub(super) fn made(source: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    let tree = out.join("tree");
    tree::fill(source, &tree)?;
    let name = format!("nsinit-{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let archive = out.join(format!("{name}.tar.gz"));
    pack(&tree, &archive, &name)?;
    let mut files = vec![archive];
    if has("dpkg-deb") {
        files.push(deb::build(&tree, out)?);
    } else {
        println!("left out: the Debian package: there is no dpkg-deb");
    }
    let names = files.iter().filter_map(|file| file.file_name());
    let sums = output(Command::new("sha256sum").args(names).current_dir(out))?;
    let list = out.join("SHA256SUMS");
    std::fs::write(&list, sums).with_context(|| list.display().to_string())?;
    files.push(list);
    Ok(files)
}

/// Order, times, owners and modes do not depend on where or by whom it is packed.
fn pack(tree: &Path, archive: &Path, name: &str) -> Result<()> {
    let plain = archive.with_extension("");
    check(
        Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"])
            .arg(format!("--mtime=@{}", tree::epoch()?))
            .arg(format!("--transform=s,^usr,{name},"))
            .arg("-cf")
            .arg(&plain)
            .arg("-C")
            .arg(tree)
            .arg("usr"),
    )?;
    check(Command::new("gzip").args(["-9nf"]).arg(&plain))
}
