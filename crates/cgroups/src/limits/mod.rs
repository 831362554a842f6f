//! Limits: from [`Resources`] to writes of control files, and the writes.
//!
//! [`plan`] is pure: it takes what was asked for and the [`Facts`] about the group, and says which value goes to which file in
//! which order. [`apply`] does that, and takes everything back when one value is refused. [`update`] is both at once, with
//! the device filter.
//!
//! | asked for | version 1 | version 2 |
//! |---|---|---|
//! | `memory.limit` | `memory.limit_in_bytes` | `memory.max` |
//! | `memory.reservation` | `memory.soft_limit_in_bytes` | `memory.low` |
//! | `memory.swap` (with memory) | `memory.memsw.limit_in_bytes` | `memory.swap.max`, [`swap_alone`] |
//! | `cpu.shares` | `cpu.shares` | `cpu.weight`, [`weight_of_shares`] |
//! | `cpu.quota`, `cpu.period` | `cpu.cfs_quota_us`, `cpu.cfs_period_us` | `cpu.max` |
//! | `blockIO.weight` | `blkio.weight` or `blkio.bfq.weight` | `io.bfq.weight` as it is, or `io.weight`, [`io_weight`] |
//! | `blockIO.throttle…` | `blkio.throttle.…_device` | `io.max` |

mod apply;
mod convert;
mod facts;
mod v1;
mod v2;

pub use apply::{OnRefusal, apply, apply_with, update};
pub use convert::{io_weight, swap_alone, weight_of_shares};
pub use facts::Facts;

use crate::error::{Error, Result};
use crate::resources::{HugepageLimit, Network, Rdma, Resources, given, given_text};
use crate::stats::Version;

/// One write of one control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWrite {
    /// The controller in whose directory the file is; `unified` for version 2's whatever the controller.
    pub controller: String,
    /// The file.
    pub file: String,
    /// What to write, by one write(2).
    pub value: String,
    undo: Undo,
}

/// How the old value is written again.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Undo {
    /// The file's text is its value.
    Whole,
    /// The file has lines by key; `absent` is what to write when there was none.
    Line { key: String, absent: Option<String> },
    /// The value of a field of the file.
    Field(&'static str),
}

/// The writes so far.
#[derive(Debug, Default)]
struct Writes(Vec<FileWrite>);

impl Writes {
    fn push(&mut self, controller: &str, file: &str, value: impl std::fmt::Display) {
        self.add(controller, file, value.to_string(), Undo::Whole);
    }

    /// A write to a file with a line per key.
    fn line(&mut self, controller: &str, file: &str, (key, value): (&str, &str), absent: &str) {
        let undo = Undo::Line { key: key.to_owned(), absent: Some(format!("{key} {absent}")) };
        self.add(controller, file, format!("{key} {value}"), undo);
    }

    fn add(&mut self, controller: &str, file: &str, value: String, undo: Undo) {
        let (controller, file) = (controller.to_owned(), file.to_owned());
        self.0.push(FileWrite { controller, file, value, undo });
    }
}

/// Plans the writes for `resources` (all but the device filter) in a group with these `facts`. Pure.
///
/// # Errors
/// As [`Resources::validate`]; and [`Error::Invalid`] for what this group's controllers, their version or their present values
/// don't allow: the field is named as in the OCI runtime specification.
pub fn plan(resources: &Resources, facts: &Facts) -> Result<Vec<FileWrite>> {
    resources.validate()?;
    let mut writes = Writes::default();
    if let Some(cpu) = &resources.cpu {
        // ORDER: mems before cpus, and both before anything is charged to nodes that are not allowed.
        for (field, file, list) in
            [("cpu.mems", "cpuset.mems", &cpu.mems), ("cpu.cpus", "cpuset.cpus", &cpu.cpus)]
        {
            if let Some(list) = given_text(list.as_ref()) {
                facts.need(field, "cpuset")?;
                writes.push("cpuset", file, list);
            }
        }
        match facts.wants_cpu(cpu)? {
            Some(Version::V1) => v1::cpu(cpu, facts, &mut writes)?,
            Some(Version::V2) => v2::cpu(cpu, facts, &mut writes)?,
            None => {}
        }
    }
    if let Some(memory) = &resources.memory {
        match facts.wants_memory(memory)? {
            Some(Version::V1) => v1::memory(memory, facts, &mut writes)?,
            Some(Version::V2) => v2::memory(memory, facts, &mut writes)?,
            None => {}
        }
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        facts.need("pids.limit", "pids")?;
        match limit {
            -1 => writes.push("pids", "pids.max", "max"),
            // Zero would keep a process from being born into the group at all; one says the same of forks.
            _ => writes.push("pids", "pids.max", limit.max(1)),
        }
    }
    plan_rest(resources, facts, &mut writes)?;
    Ok(writes.0)
}

/// [`plan`] for a group that has all controllers in version 1.
///
/// # Errors
/// As [`plan`].
pub fn plan_v1(resources: &Resources, facts: &Facts) -> Result<Vec<FileWrite>> {
    plan(resources, &facts.clone().all_of(Version::V1))
}

/// [`plan`] for a group that has all controllers in version 2.
///
/// # Errors
/// As [`plan`].
pub fn plan_v2(resources: &Resources, facts: &Facts) -> Result<Vec<FileWrite>> {
    plan(resources, &facts.clone().all_of(Version::V2))
}

fn plan_rest(resources: &Resources, facts: &Facts, writes: &mut Writes) -> Result<()> {
    if let Some(io) = &resources.block_io {
        match facts.wants_io(io)? {
            Some(Version::V1) => v1::block_io(io, facts, writes)?,
            Some(Version::V2) => v2::block_io(io, facts, writes)?,
            None => {}
        }
    }
    for (index, page) in resources.hugepage_limits.iter().enumerate() {
        huge_pages(index, page, facts, writes)?;
    }
    if let Some(network) = &resources.network {
        plan_network(network, facts, writes)?;
    }
    for (name, rdma) in &resources.rdma {
        facts.need(&format!("rdma.{name}"), "rdma")?;
        writes.line("rdma", "rdma.max", (name, &rdma_value(rdma)), "hca_handle=max hca_object=max");
    }
    v2::unified(&resources.unified, facts, writes)
}

fn huge_pages(index: usize, page: &HugepageLimit, facts: &Facts, writes: &mut Writes) -> Result<()> {
    let field = format!("hugepageLimits[{index}]");
    let end = match facts.need(&field, "hugetlb")? {
        Version::V1 => "limit_in_bytes",
        Version::V2 => "max",
    };
    let file = format!("hugetlb.{}.{end}", page.page_size);
    if !facts.has(&file) {
        return Err(Error::invalid(field, format!("this machine has no huge pages of {}", page.page_size)));
    }
    writes.push("hugetlb", &file, page.limit);
    // KERNEL(5.7): reservations are counted on their own; a limit of use alone ends in SIGBUS.
    let reserved = format!("hugetlb.{}.rsvd.{end}", page.page_size);
    if facts.has(&reserved) {
        writes.push("hugetlb", &reserved, page.limit);
    }
    Ok(())
}

fn plan_network(network: &Network, facts: &Facts, writes: &mut Writes) -> Result<()> {
    if let Some(class) = given(network.class_id) {
        facts.need_v1("network.classID", "net_cls")?;
        writes.push("net_cls", "net_cls.classid", class);
    }
    for priority in &network.priorities {
        facts.need_v1("network.priorities", "net_prio")?;
        let value = priority.priority.to_string();
        writes.line("net_prio", "net_prio.ifpriomap", (&priority.name, &value), "0");
    }
    Ok(())
}

fn rdma_value(rdma: &Rdma) -> String {
    let handles = rdma.hca_handles.map(|count| format!("hca_handle={count}"));
    let objects = rdma.hca_objects.map(|count| format!("hca_object={count}"));
    [handles, objects].into_iter().flatten().collect::<Vec<_>>().join(" ")
}
