//! The network of a container, looked at from outside.

use libcontainer_network::{NetworkState, NetworkStats, View, stats_of_table};

use super::handle::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::record::Init;

impl Container {
    /// Interfaces, addresses and routes, looked at from outside by netlink.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if the container has ended.
    pub fn network(&self) -> Result<View> {
        let what = || format!("network of {:?}", self.id());
        let state = self.refresh()?;
        let init = Init::open(&state)?;
        let namespace = init.as_ref().map(Init::network_namespace).transpose()?.flatten();
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
        let init = Init::open(&state)?;
        let inside = init.as_ref().map(Init::network_namespace).transpose()?.flatten();
        libcontainer_network::stats(&state.network_state, inside.as_ref()).or_else(|error| {
            // An ordinary user may not enter, but is shown the table of the namespace. If not, the first error is told.
            let closed = error.errno() == Some(libc::EPERM);
            let table = init
                .filter(|_| closed)
                .and_then(|init| std::fs::read_to_string(format!("/proc/{}/net/dev", init.pid)).ok());
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
}
