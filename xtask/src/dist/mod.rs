//! `dist` and `install`: the release build, man pages and completions as a tree of files, and that tree as an archive and a Debian package.

mod check;
mod deb;
mod packed;
mod tree;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{check as done, root};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    /// Where the files go, for `dist`.
    out: PathBuf,
    /// Build twice, in different directories, and compare.
    check: bool,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self { out: root().join("target/dist"), check: false };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            match arg.as_str() {
                "--check" => options.check = true,
                "--out" => {
                    options.out = std::path::absolute(rest.next().context("--out needs a directory")?)?;
                }
                other => bail!("{other}: there are --out DIR and --check"),
            }
        }
        Ok(options)
    }
}

/// `dist [--out DIR] [--check]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    if options.check {
        return check::run(&options.out);
    }
    for file in packed::made(&root(), &options.out)? {
        println!("{}", file.display());
    }
    Ok(())
}

/// `install [--prefix DIR]`: the tree, copied.
pub(crate) fn install(args: &[String]) -> Result<()> {
    let prefix = match args {
        [] => PathBuf::from("/usr/local"),
        [option, dir] if option == "--prefix" => std::path::absolute(dir)?,
        _ => bail!("install takes --prefix DIR alone"),
    };
    let tree = root().join("target/dist/tree");
    tree::fill(&root(), &tree)?;
    std::fs::create_dir_all(&prefix).with_context(|| format!("make {}", prefix.display()))?;
    done(Command::new("cp").args(["-r", "--no-preserve=ownership"]).arg(tree.join("usr/.")).arg(&prefix))?;
    own_functions(&prefix.join("share/zsh"))?;
    println!("installed below {}", prefix.display());
    Ok(())
}

/// Where zsh looks below a prefix of one's own: the other place is for packages of Debian.
fn own_functions(zsh: &Path) -> Result<()> {
    let (from, to) = (zsh.join("vendor-completions/_nsinit"), zsh.join("site-functions"));
    std::fs::create_dir_all(&to).with_context(|| format!("make {}", to.display()))?;
    std::fs::rename(&from, to.join("_nsinit")).with_context(|| from.display().to_string())?;
    // Others may have something there.
    let _ = std::fs::remove_dir(zsh.join("vendor-completions"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zsh_finds_its_functions() {
        let zsh = std::env::temp_dir().join(format!("xtask-zsh-{}", std::process::id()));
        std::fs::create_dir_all(zsh.join("vendor-completions")).unwrap();
        std::fs::write(zsh.join("vendor-completions/_nsinit"), "#compdef nsinit").unwrap();
        own_functions(&zsh).unwrap();
        assert!(zsh.join("site-functions/_nsinit").exists() && !zsh.join("vendor-completions").exists());
        std::fs::remove_dir_all(&zsh).unwrap();
    }

    #[test]
    fn options_are_read() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let options = Options::parse(&words(&["--out", "/x", "--check"])).unwrap();
        assert_eq!(options, Options { out: "/x".into(), check: true });
        assert!(Options::parse(&words(&["--out"])).is_err());
        assert!(Options::parse(&words(&["x"])).is_err());
        assert!(install(&words(&["--prefix"])).is_err());
    }
}
