//! The network that a config asks for.

use std::borrow::Cow;

use libcontainer_network::Plan;

use crate::config::{Config, Namespace, NamespaceKind};
use crate::error::{Error, Problem, Result};

/// The config with a network of type `netns` taken for what it is: a namespace that is joined.
pub(crate) fn with_joined_network(config: &Config) -> Cow<'_, Config> {
    let Some(network) = config.networks.iter().find(|network| network.kind == "netns") else {
        return Cow::Borrowed(config);
    };
    let mut config = config.clone();
    config.namespaces.set(NamespaceKind::Network, Namespace::Join(network.ns_path.clone().into()));
    Cow::Owned(config)
}

pub(crate) fn network(config: &Config) -> Result<Plan> {
    let problem = |found: libcontainer_network::Problem| Problem {
        pointer: found.pointer,
        message: found.message,
        remedy: None,
    };
    Plan::new(&config.networks, &config.routes)
        .map_err(|found| Error::problems("config", found.into_iter().map(problem).collect()))
}
