//! The place of a network's steps among the others.

use libcontainer_network::Plan;

use super::given::HostSteps;
use crate::config::NamespaceKind;
use crate::setup::Setup;

/// Puts the steps where the init has its network namespace: while it builds the mounts if it was born with one, else when it is ready.
pub(crate) fn place_network(network: Plan, setup: &Setup, mut steps: HostSteps) -> HostSteps {
    let mut network = network.steps();
    if setup.devices && setup.namespaces.born_with(NamespaceKind::Network) {
        steps.devices = network;
    } else if setup.namespaces.born_with(NamespaceKind::Network) {
        steps.meanwhile.append(&mut network);
    } else {
        network.append(&mut steps.ready);
        steps.ready = network;
    }
    steps
}
