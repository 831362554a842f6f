//! Descriptors of the host's that an init is given: standard ones, preserved ones, namespaces to join.

use std::io;
use std::os::fd::OwnedFd;

use libcontainer_plan::{OpenStdio, namespace_link, open_namespace};

use crate::config::{Config, Namespace};
use crate::process::ProcessConfig;

/// Descriptors of the host's that the init is to have.
pub(super) struct Descriptors {
    pub(super) opened: OpenStdio,
    pub(super) preserved: Vec<OwnedFd>,
    pub(super) joined: Vec<OwnedFd>,
}

impl Descriptors {
    pub(super) fn open(config: &Config, process: Option<ProcessConfig>) -> io::Result<Self> {
        let (opened, preserved) = process.map_or_else(|| Ok(Default::default()), ProcessConfig::open)?;
        Ok(Self { opened, preserved, joined: open_namespaces(config)? })
    }

    /// What the joined namespaces are, for the read-back.
    pub(super) fn namespaces(&self, config: &Config) -> io::Result<Vec<String>> {
        let joins = config.namespaces.iter().filter(|(_, how)| matches!(how, Namespace::Join(_)));
        joins.zip(&self.joined).map(|((kind, _), fd)| namespace_link(kind.file(), fd)).collect()
    }
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
            all.push(open_namespace(path, kind.flag(), kind.file()).map_err(named)?);
        }
    }
    Ok(all)
}
