//! What a process of a container is to be.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use libcontainer_plan::{OpenStdio, Stdio};

/// A process to be started in a container.
///
/// Fields left at their defaults take the container's own settings.
#[derive(Debug, Default)]
pub struct ProcessConfig {
    /// The program and its arguments. A name without `/` is looked up in the `PATH` of `env`, inside the container.
    pub args: Vec<OsString>,
    /// Environment as `NAME=value`; the container's if `None`.
    pub env: Option<Vec<OsString>>,
    /// Working directory inside; the container's if `None`.
    pub cwd: Option<PathBuf>,
    /// User as `user`, `uid`, `user:group`, …; the container's if `None`.
    pub user: Option<String>,
    /// Capabilities to keep, by name; the container's if `None`.
    pub capabilities: Option<Vec<String>>,
    /// Standard input.
    pub stdin: Stdio,
    /// Standard output.
    pub stdout: Stdio,
    /// Standard error.
    pub stderr: Stdio,
    /// Give the process a terminal of the container's own in place of the three.
    pub terminal: bool,
    /// Further descriptors, which the process finds as 3, 4, …
    pub preserved: Vec<OwnedFd>,
}

impl ProcessConfig {
    /// A process with these arguments, the program first.
    pub fn new<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Input from nothing, output and error through pipes: what [`Process::output`](crate::Process::output) wants.
    #[must_use]
    pub fn piped(self) -> Self {
        Self { stdout: Stdio::Pipe, stderr: Stdio::Pipe, ..self }
    }

    /// The caller's own input, output and error.
    #[must_use]
    pub fn inherited(self) -> Self {
        Self { stdin: Stdio::Inherit, stdout: Stdio::Inherit, stderr: Stdio::Inherit, ..self }
    }

    /// Opens the standard descriptors (none with a terminal); with them the preserved ones.
    pub(crate) fn open(self) -> io::Result<(OpenStdio, Vec<OwnedFd>)> {
        let Self { stdin, stdout, stderr, terminal, preserved, .. } = self;
        let opened = if terminal { OpenStdio::default() } else { OpenStdio::open(stdin, stdout, stderr)? };
        Ok((opened, preserved))
    }
}
