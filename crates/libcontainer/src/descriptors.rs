//! Descriptors of the host's that an init is given: standard ones, preserved ones, namespaces to join.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::config::{Config, Namespace, NamespaceKind};
use crate::stdio::{self, Opened, ProcessConfig};
use crate::{readback, sys};

/// Descriptors of the host's that the init is to have.
pub(crate) struct Descriptors {
    pub(crate) opened: Opened,
    pub(crate) preserved: Vec<OwnedFd>,
    pub(crate) joined: Vec<OwnedFd>,
}

impl Descriptors {
    pub(crate) fn open(config: &Config, process: Option<ProcessConfig>) -> io::Result<Self> {
        let (opened, preserved) = process.map_or_else(|| Ok(Default::default()), standard)?;
        Ok(Self { opened, preserved, joined: open_namespaces(config)? })
    }

    /// What the joined namespaces are, for the read-back.
    pub(crate) fn namespaces(&self, config: &Config) -> io::Result<Vec<String>> {
        let joins = config.namespaces.iter().filter(|(_, how)| matches!(how, Namespace::Join(_)));
        joins.zip(&self.joined).map(|((kind, _), fd)| readback::link_of(kind.file(), fd)).collect()
    }
}

/// The standard descriptors (none with a terminal) and the preserved ones.
pub(crate) fn standard(process: ProcessConfig) -> io::Result<(Opened, Vec<OwnedFd>)> {
    let ProcessConfig { stdin, stdout, stderr, terminal, preserved, .. } = process;
    let opened = if terminal { Opened::default() } else { stdio::open(stdin, stdout, stderr)? };
    Ok((opened, preserved))
}

/// Opens the namespace files that are to be joined, and makes sure that they are what the config says.
fn open_namespaces(config: &Config) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::new();
    for (kind, namespace) in config.namespaces.iter() {
        if let Namespace::Join(path) = namespace {
            let named = |error: io::Error| {
                let text = format!("/namespaces/{}: {}: {error}", kind.key(), path.display());
                io::Error::new(error.kind(), text)
            };
            all.push(open_namespace(kind, path).map_err(named)?);
        }
    }
    Ok(all)
}

fn open_namespace(kind: NamespaceKind, path: &Path) -> io::Result<OwnedFd> {
    let fd = nix::fcntl::open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())?;
    if sys::namespace_type(fd.as_fd()) == Some(kind.flag()) {
        return Ok(fd);
    }
    Err(io::Error::other(format!("is no {} namespace", kind.file())))
}
