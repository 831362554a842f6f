//! The network of a container: where its steps stand among the others, and what can be done with it later.

use std::borrow::Cow;
use std::fs::File;

use libcontainer_network::{NetworkState, NetworkStats, Plan, View, stats_of_table};

use crate::compile::{HostSteps, Setup};
use crate::config::{Config, Namespace, NamespaceKind};
use crate::container::Container;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::state::State;

/// The config with a network of type `netns` taken for what it is: a namespace that is joined.
pub(crate) fn joined(config: &Config) -> Cow<'_, Config> {
    let Some(network) = config.networks.iter().find(|network| network.kind == "netns") else {
        return Cow::Borrowed(config);
    };
    let mut config = config.clone();
    config.namespaces.set(NamespaceKind::Network, Namespace::Join(network.ns_path.clone().into()));
    Cow::Owned(config)
}

pub(crate) fn plan(config: &Config) -> Result<Plan> {
    let problem = |found: libcontainer_network::Problem| Problem {
        pointer: found.pointer,
        message: found.message,
        remedy: None,
    };
    Plan::new(&config.networks, &config.routes)
        .map_err(|found| Error::problems("config", found.into_iter().map(problem).collect()))
}

/// Puts the steps where the init has its network namespace: while it builds the mounts if it was born with one, else when it is ready.
pub(crate) fn place(network: Plan, setup: &Setup, mut steps: HostSteps) -> HostSteps {
    let mut network = network.steps();
    if setup.namespaces.born_with(libc::CLONE_NEWNET) {
        steps.meanwhile.append(&mut network);
    } else {
        network.append(&mut steps.ready);
        steps.ready = network;
    }
    steps
}

/// The network namespace of a container's first process.
pub(crate) fn namespace(pid: libcontainer_plan::Pid) -> Option<File> {
    File::open(format!("/proc/{pid}/ns/net")).ok()
}

impl Container {
    /// Interfaces, addresses and routes, looked at from outside by netlink.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if the container has ended.
    pub fn network(&self) -> Result<View> {
        let what = || format!("network of {:?}", self.id());
        let state = self.refresh()?;
        let namespace = self.network_namespace(&state)?;
        let namespace = namespace.ok_or_else(|| {
            Error::new(ErrorKind::WrongState, format!("{}: the container does not run", what()))
        })?;
        libcontainer_network::look(&namespace).map_err(|error| Error::network(what(), error))
    }

    /// Counters of each of its interfaces but `lo`, by their names inside, as the container sees them.
    ///
    /// # Errors
    /// As [`Container::run_state`], and those of netlink.
    pub fn network_stats(&self) -> Result<Vec<(String, NetworkStats)>> {
        let state = self.refresh()?;
        if state.network_state.interfaces.is_empty() {
            return Ok(Vec::new());
        }
        let init = self.open_init(&state)?;
        let inside = init.as_ref().and_then(|(pid, _)| namespace(*pid));
        libcontainer_network::stats(&state.network_state, inside.as_ref()).or_else(|error| {
            // An ordinary user may not enter, but is shown the table of the namespace.
            let closed = error.errno() == Some(libc::EPERM);
            let table = init
                .filter(|_| closed)
                .and_then(|(pid, _pidfd)| std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok());
            let named = || Error::network(format!("network of {:?}", self.id()), error);
            table.map(|table| stats_of_table(&state.network_state, &table)).ok_or_else(named)
        })
    }

    /// What was made on the host for its network: names of links, outbound NAT and published ports.
    ///
    /// # Errors
    /// As [`Container::run_state`].
    pub fn network_record(&self) -> Result<NetworkState> {
        Ok(self.refresh()?.network_state.clone())
    }

    pub(crate) fn network_namespace(&self, state: &State) -> Result<Option<File>> {
        // The pidfd keeps the number from being given to another process meanwhile.
        let init = self.open_init(state)?;
        Ok(init.and_then(|(pid, _pidfd)| namespace(pid)))
    }
}
