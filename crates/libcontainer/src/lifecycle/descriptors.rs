//! Namespaces that an init is to join, as descriptors of the host's.

use std::io;
use std::os::fd::OwnedFd;

use libcontainer_plan::{namespace_link, open_namespace};

use crate::config::{Config, Namespace};

/// Opens the namespace files that are to be joined, and makes sure that they are what the config says.
pub(super) fn open_namespaces(config: &Config) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::new();
    for (kind, namespace) in config.namespaces.iter() {
        if let Namespace::Join(path) = namespace {
            let named = |error: io::Error| {
                crate::error::named(format!("/namespaces/{}: {}", kind.key(), path.display()), error)
            };
            all.push(open_namespace(path, kind.flag(), kind.file()).map_err(named)?);
        }
    }
    Ok(all)
}

/// What the joined namespaces are, for the read-back.
pub(super) fn links(config: &Config, joined: &[OwnedFd]) -> io::Result<Vec<String>> {
    let joins = config.namespaces.iter().filter(|(_, how)| matches!(how, Namespace::Join(_)));
    joins.zip(joined).map(|((kind, _), fd)| namespace_link(kind.file(), fd)).collect()
}
