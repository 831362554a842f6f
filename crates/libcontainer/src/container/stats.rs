//! What a container uses, and what is kept between two measurements.

use std::collections::BTreeMap;

use libcontainer_cgroups::stats::{self, Reader, Sampler, Stats};
use libcontainer_cgroups::{Group, Place};
use libcontainer_network::NetworkStats;
use serde::{Deserialize, Serialize};

use crate::resctrl::ResctrlStats;

/// What a container uses: 2014's keys are `network_stats` and `cgroup_stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerStats {
    /// Processor time, memory, devices …; what the kernel does not tell is left out.
    #[serde(rename = "cgroup_stats")]
    pub cgroup: Stats,
    /// Processor time since the last call of [`Container::stats`](crate::Container::stats) on this handle, in percent of one processor. `None` the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// All interfaces but `lo` together.
    #[serde(rename = "network_stats")]
    pub network: NetworkStats,
    /// Each interface but `lo`, by its name inside.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub interfaces: BTreeMap<String, NetworkStats>,
    /// Caches and memory bandwidth, of a container that is in a class.
    #[serde(rename = "intel_rdt", skip_serializing_if = "Option::is_none")]
    pub resctrl: Option<ResctrlStats>,
}

impl ContainerStats {
    /// The numbers under 2014's keys, the misspelled ones included.
    #[must_use]
    pub fn legacy(&self) -> stats::legacy::Stats {
        stats::legacy::Stats::from(&self.cgroup).with_percent(self.cpu_percent)
    }
}

/// Kept between two measurements: open files, and the last sample.
#[derive(Debug)]
pub(super) struct Meter {
    places: Vec<Place>,
    reader: Reader,
    sampler: Sampler,
}

impl Meter {
    /// Whether it reads the group at `places`.
    pub(super) fn is_of(&self, places: &[Place]) -> bool {
        self.places == places
    }

    pub(super) fn new(places: &[Place]) -> libcontainer_cgroups::Result<Self> {
        let group = Group::open(places)?;
        if let Some(place) = places.first().filter(|_| group.is_gone()) {
            let source = std::io::Error::from_raw_os_error(libc::ENOENT);
            return Err(libcontainer_cgroups::Error::Directory { call: "open", path: place.path(), source });
        }
        Ok(Self { places: places.to_vec(), reader: Reader::new(&group.sources())?, sampler: Sampler::new() })
    }

    pub(super) fn read(&mut self) -> libcontainer_cgroups::Result<ContainerStats> {
        let mut stats = ContainerStats::default();
        self.reader.read_into(&mut stats.cgroup)?;
        stats.cpu_percent = self.sampler.sample(&stats.cgroup);
        Ok(stats)
    }
}
