//! Runtimes beside each other.

use std::path::{Path, PathBuf};
use std::process::Command;

use libcontainer_tests::{able, skip};

#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
}

impl Runtime {
    /// None, and the reason is told, if the test can't run here.
    pub(crate) fn ours(test: &str) -> Option<Self> {
        let program = std::env::current_exe().unwrap().parent()?.parent()?.join("nsinit");
        if !able(test) {
            return None;
        }
        if !program.exists() {
            skip(test, "nsinit is not built: cargo build -p nsinit");
            return None;
        }
        Some(Self { name: "nsinit", program })
    }

    /// crun or runc, if it is installed.
    pub(crate) fn other(name: &'static str) -> Option<Self> {
        let dirs = ["/usr/local/bin", "/usr/bin", "/usr/sbin"];
        let program = dirs.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())?;
        Some(Self { name, program })
    }

    /// Its name with its version, such as `crun 1.8.1`.
    pub(crate) fn title(&self) -> String {
        let output = Command::new(&self.program).arg("--version").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.lines().next().and_then(|line| line.split(' ').next_back()).unwrap_or_default();
        format!("{} {}", self.name, version.split('+').next().unwrap_or_default())
    }
}
