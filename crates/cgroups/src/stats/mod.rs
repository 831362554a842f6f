//! Measurements: what a group used, what it may use, how long it waited.
//!
//! * [`Reader`] keeps the control files open: reading again costs one pread(2) per file and no allocation.
//! * [`read`] is for one look.
//! * [`Stats::parse`] takes text from elsewhere, a recording for example.
//! * [`Sampler`] turns two readings into a percentage of a processor, without sleeping in between.
//! * [`legacy`] is the shape, and the JSON, of 2014.

mod files;
mod io;
pub mod legacy;
mod list;
mod memory;
mod parse;
mod reader;
mod sampler;
pub(crate) mod scan;
mod types;
mod units;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use io::{Io, IoDevice, IoEntry, Op};
pub use list::{Counters, List};
pub use memory::{Memory, MemoryEvents, NodeValue, NumaEntry, Usage};
pub use reader::{Keep, Reader};
pub use sampler::Sampler;
pub use types::{
    Cpu, Cpuset, HugePages, IdRange, Limit, MiscResource, Pids, Pressure, Pressures, RdmaDevice, Stall,
    Stats, Throttling,
};

use crate::Dir;
use crate::error::{Error, Result};
pub(crate) use parse::cpu::pressure;

use files::{At, File};
use units::Units;

/// The directories of one group.
///
/// On a hybrid system both versions can have one: a controller that version 1 has is read there, all else in version 2.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Version 1: one directory per controller (`cpu`, `memory`, ...). Co-mounted controllers share one.
    pub v1: BTreeMap<String, Arc<Dir>>,
    /// Version 2.
    pub v2: Option<Arc<Dir>>,
}

/// Layout of control files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy per controller.
    V1,
    /// The unified hierarchy.
    V2,
}

bitflags::bitflags! {
    /// What to read. Each flag less is some files less.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Parts: u32 {
        /// Times and throttling.
        const CPU = 1;
        /// Times per processor.
        const PER_CPU = 1 << 1;
        /// Usage, limits, events.
        const MEMORY = 1 << 2;
        /// Swap.
        const SWAP = 1 << 3;
        /// Kernel memory, version 1's files.
        const KERNEL = 1 << 4;
        /// `memory.stat`: dear, since the kernel sums it up over all processors.
        const MEMORY_STAT = 1 << 5;
        /// `memory.numa_stat`: dear too.
        const NUMA = 1 << 6;
        /// Block devices.
        const IO = 1 << 7;
        /// Huge pages.
        const HUGETLB = 1 << 8;
        /// Processes.
        const PIDS = 1 << 9;
        /// RDMA devices.
        const RDMA = 1 << 10;
        /// The miscellaneous controller.
        const MISC = 1 << 11;
        /// Processors and nodes allowed.
        const CPUSET = 1 << 12;
        /// Pressure stall information.
        const PRESSURE = 1 << 13;
    }
}

/// Reads everything once.
///
/// Syscalls: openat2, pread, close per file. Use a [`Reader`] to read again.
///
/// # Errors
/// As [`Reader::read_into`].
pub fn read(sources: &Sources) -> Result<Stats> {
    let mut stats = Stats::default();
    Reader::with(sources, Parts::all(), Keep::Nothing)?.read_into(&mut stats)?;
    Ok(stats)
}

impl Stats {
    /// Puts the text of the control file `file` into its fields. False if no field is told by such a file.
    ///
    /// Pages and ticks in version 1's files are taken as this machine's.
    ///
    /// # Errors
    /// [`Error::Content`] with the file and the offending text.
    pub fn parse(&mut self, version: Version, file: &str, text: &[u8]) -> Result<bool> {
        let Some((found, size)) = find(version, file) else { return Ok(false) };
        let at = At { units: Units::of_this_machine(), size };
        (found.parse)(text, at, self)
            .map_err(|wrong| Error::Content { path: file.into(), problem: wrong.0 })?;
        if version == Version::V1 && found.part == Parts::IO {
            self.io.devices.clear();
            parse::io::devices_of_lists(&mut self.io);
        }
        Ok(true)
    }
}

fn find(version: Version, name: &str) -> Option<(&'static File, &str)> {
    let (own, pages) = match version {
        Version::V1 => (files::V1, files::PAGES_V1),
        Version::V2 => (files::V2, files::PAGES_V2),
    };
    if let Some((size, rest)) = files::page_size(name) {
        return Some((pages.iter().find(|file| file.name == rest)?, size));
    }
    let found = own.iter().chain(files::BOTH).find(|file| file.name == name)?;
    Some((found, ""))
}
