//! Measuring a container and watching it, by its control group.

use std::sync::PoisonError;

use libcontainer_cgroups::Group;
use libcontainer_cgroups::events::{GroupEvents, OomEvents};
use libcontainer_network::NetworkStats;

use super::handle::Container;
use super::stats::{ContainerStats, Meter};
use crate::error::{Error, ErrorKind, Result};
use crate::resctrl;

/// Something that happens to a container, as a source to poll or to iterate over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Events {
    /// Out of memory, and kills for it.
    pub oom: Option<OomEvents>,
    /// Populated and frozen; version 2 only.
    pub group: Option<GroupEvents>,
}

impl Container {
    /// The control group. An error of the kind [`ErrorKind::WrongState`] if the container has none.
    ///
    /// # Errors
    /// As [`Container::run_state`], and those of opening its directories.
    pub fn group(&self) -> Result<Group> {
        self.group_of(&*self.refresh()?, "control group")
    }

    /// What the container uses now. The handle keeps the files open, so that further calls are cheap.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] without a control group; those of reading its files.
    pub fn stats(&self) -> Result<ContainerStats> {
        let state = self.refresh()?;
        let what = || format!("stats of {:?}", self.id());
        let mut meter = self.meter().lock().unwrap_or_else(PoisonError::into_inner);
        if meter.as_ref().is_none_or(|meter| !meter.is_of(state.places())) {
            // For its error.
            self.group_of(&state, "stats")?;
            *meter = Some(Meter::new(state.places()).map_err(|error| Error::cgroup(what(), error))?);
        }
        let read = meter.as_mut().map(Meter::read).transpose();
        if read.is_err() {
            *meter = None;
        }
        let read = read.map_err(|error| Error::cgroup(what(), error))?;
        let mut read = read.ok_or_else(|| Error::new(ErrorKind::WrongState, what()))?;
        read.interfaces = self.network_stats()?.into_iter().collect();
        read.resctrl = resctrl::stats(state.resctrl(), self.host().resctrl.as_deref())?;
        read.network = NetworkStats::total(read.interfaces.values());
        Ok(read)
    }

    /// Descriptors that tell when something happens to the container as a whole.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] without a control group.
    pub fn events(&self) -> Result<Events> {
        let sources = self.group()?.sources();
        let what = || format!("events of {:?}", self.id());
        let oom = possible(OomEvents::new(&sources)).map_err(|error| Error::cgroup(what(), error))?;
        let group = possible(GroupEvents::new(&sources)).map_err(|error| Error::cgroup(what(), error))?;
        if oom.is_none() && group.is_none() {
            let text = format!("{}: neither a memory controller nor version 2", what());
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        Ok(Events { oom, group })
    }
}

/// None of what this host does not have. Any other error does not say that it hasn't.
fn possible<T>(made: libcontainer_cgroups::Result<T>) -> libcontainer_cgroups::Result<Option<T>> {
    use libcontainer_cgroups::Error as Cause;
    match made {
        Err(Cause::NotFound { .. } | Cause::Invalid { .. }) => Ok(None),
        made => made.map(Some),
    }
}
