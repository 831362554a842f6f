//! The files that are installed, below `usr/`: programs, man pages, completions, documents.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{check, output, root};

/// Package, and the program in it.
const PROGRAMS: [(&str, &str); 2] =
    [("nsinit", "nsinit"), ("containerd-shim-nsinit", "containerd-shim-nsinit-v2")];
/// Shell, and where Debian's package of it looks for scripts.
const SCRIPTS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/nsinit"),
    ("zsh", "usr/share/zsh/vendor-completions/_nsinit"),
    ("fish", "usr/share/fish/vendor_completions.d/nsinit.fish"),
];
const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "SECURITY.md", "NOTICE"];

/// Builds what a source directory makes, and puts it into a tree of its own. What was there is taken away.
pub(super) fn fill(source: &Path, tree: &Path) -> Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree).with_context(|| format!("empty {}", tree.display()))?;
    }
    let target = source.join("target");
    build(source, &target)?;
    for (_, program) in PROGRAMS {
        copy(&target.join("release").join(program), &tree.join("usr/bin").join(program))?;
    }
    manual(source, &target, &tree.join("usr/share/man/man8"))?;
    for (shell, place) in SCRIPTS {
        let script = output(Command::new(tree.join("usr/bin/nsinit")).args(["completion", shell]))?;
        write(&tree.join(place), &script)?;
    }
    for name in DOCUMENTS {
        copy(&source.join(name), &tree.join("usr/share/doc/nsinit").join(name))?;
    }
    copy(&source.join("LICENSE"), &tree.join("usr/share/doc/nsinit/copyright"))
}

/// The time of the last commit: what is packed has no other. `SOURCE_DATE_EPOCH` says another one.
pub(super) fn epoch() -> Result<String> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(given);
    }
    let time = output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root()))?;
    Ok(String::from_utf8(time).context("git log")?.trim().to_owned())
}

/// Paths of this machine are not to be found in the programs: the same source gives the same bytes anywhere.
fn build(source: &Path, target: &Path) -> Result<()> {
    let mut command = cargo(source, target);
    command.args(["build", "--release", "--locked", "--quiet"]);
    for (package, program) in PROGRAMS {
        command.args(["--package", package, "--bin", program]);
    }
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cargo"));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    let flags = [
        format!("--remap-path-prefix={}=/source", source.display()),
        format!("--remap-path-prefix={home}=/cargo"),
    ];
    check(command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env("SOURCE_DATE_EPOCH", epoch()?))
}

/// The pages are written by a test of nsinit, from the command line as clap knows it.
fn manual(source: &Path, target: &Path, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let mut command = cargo(source, target);
    command.args(["test", "--locked", "--quiet", "--package", "nsinit", "--bin", "nsinit", "manual::"]);
    output(command.env("NSINIT_MANUAL", dir))?;
    let mut pages: Vec<_> = fs::read_dir(dir)?.collect::<std::io::Result<_>>()?;
    pages.sort_unstable_by_key(fs::DirEntry::file_name);
    anyhow::ensure!(pages.len() > 20, "{}: only {} man pages were written", dir.display(), pages.len());
    check(Command::new("gzip").arg("-9n").args(pages.iter().map(fs::DirEntry::path)))
}

fn cargo(source: &Path, target: &Path) -> Command {
    let mut command = crate::run::cargo(&[]);
    command.current_dir(source).env("CARGO_TARGET_DIR", target);
    command
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| from.display().to_string())?;
    write(to, &bytes)?;
    let mode = fs::metadata(from).with_context(|| from.display().to_string())?.permissions();
    fs::set_permissions(to, mode).with_context(|| to.display().to_string())
}

fn write(to: &Path, bytes: &[u8]) -> Result<()> {
    let dir = to.parent().context("no directory")?;
    fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    fs::write(to, bytes).with_context(|| to.display().to_string())
}
