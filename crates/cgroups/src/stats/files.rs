//! Which control file tells what: one table per version.

use super::Parts;
use super::parse::devices::{misc, misc_events, misc_max, pages, rdma_current, rdma_max};
use super::parse::{cpu, io, memory};
use super::scan::{Parsed, limit, switch, value};
use super::types::Stats;
use super::units::Units;

/// What a parser may need besides the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) units: Units,
    /// Of a huge page file its page size.
    pub(super) size: &'a str,
}

/// Puts a file's text into its fields.
pub(super) type Parse = fn(&[u8], At<'_>, &mut Stats) -> Parsed;

/// A control file.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    /// The controller whose directory has it; empty for what every version 2 group has.
    pub(super) controller: &'static str,
    /// Its name; for a huge page file what follows the page size.
    pub(super) name: &'static str,
    pub(super) part: Parts,
    pub(super) parse: Parse,
    /// True when an earlier file has told all of this already.
    pub(super) told: fn(&Stats) -> bool,
}

const fn file(controller: &'static str, name: &'static str, part: Parts, parse: Parse) -> File {
    File { controller, name, part, parse, told: |_| false }
}

const fn unless(file: File, told: fn(&Stats) -> bool) -> File {
    File { told, ..file }
}

const fn page(name: &'static str, parse: Parse) -> File {
    file("hugetlb", name, Parts::HUGETLB, parse)
}

/// Version 1.
#[rustfmt::skip]
pub(super) const V1: &[File] = &[
    file("cpu", "cpu.stat", Parts::CPU, |t, _, s| cpu::stat_v1(t, &mut s.cpu)),
    file("cpuacct", "cpuacct.usage", Parts::CPU, |t, _, s| value(t, &mut s.cpu.usage)),
    // KERNEL(4.7): these two are exact; before there were only the ticks below.
    file("cpuacct", "cpuacct.usage_user", Parts::CPU, |t, _, s| value(t, &mut s.cpu.user)),
    file("cpuacct", "cpuacct.usage_sys", Parts::CPU, |t, _, s| value(t, &mut s.cpu.system)),
    unless(file("cpuacct", "cpuacct.stat", Parts::CPU, |t, at, s| cpu::ticks(t, at.units.tick, &mut s.cpu)), |s| s.cpu.user.is_some() && s.cpu.system.is_some()),
    file("cpuacct", "cpuacct.usage_percpu", Parts::PER_CPU, |t, _, s| cpu::per_cpu(t, &mut s.cpu)),
    file("cpuacct", "cpuacct.usage_all", Parts::PER_CPU, |t, _, s| cpu::usage_all(t, &mut s.cpu)),
    file("memory", "memory.usage_in_bytes", Parts::MEMORY, |t, _, s| value(t, &mut s.memory.total.usage)),
    file("memory", "memory.max_usage_in_bytes", Parts::MEMORY, |t, _, s| value(t, &mut s.memory.total.max_usage)),
    file("memory", "memory.limit_in_bytes", Parts::MEMORY, |t, _, s| limit(t, &mut s.memory.total.limit)),
    file("memory", "memory.failcnt", Parts::MEMORY, |t, _, s| value(t, &mut s.memory.total.failcnt)),
    file("memory", "memory.soft_limit_in_bytes", Parts::MEMORY, |t, _, s| limit(t, &mut s.memory.soft_limit)),
    file("memory", "memory.memsw.usage_in_bytes", Parts::SWAP, |t, _, s| value(t, &mut s.memory.memory_and_swap.usage)),
    file("memory", "memory.memsw.max_usage_in_bytes", Parts::SWAP, |t, _, s| value(t, &mut s.memory.memory_and_swap.max_usage)),
    file("memory", "memory.memsw.limit_in_bytes", Parts::SWAP, |t, _, s| limit(t, &mut s.memory.memory_and_swap.limit)),
    file("memory", "memory.memsw.failcnt", Parts::SWAP, |t, _, s| value(t, &mut s.memory.memory_and_swap.failcnt)),
    file("memory", "memory.kmem.usage_in_bytes", Parts::KERNEL, |t, _, s| value(t, &mut s.memory.kernel.usage)),
    file("memory", "memory.kmem.max_usage_in_bytes", Parts::KERNEL, |t, _, s| value(t, &mut s.memory.kernel.max_usage)),
    file("memory", "memory.kmem.limit_in_bytes", Parts::KERNEL, |t, _, s| limit(t, &mut s.memory.kernel.limit)),
    file("memory", "memory.kmem.failcnt", Parts::KERNEL, |t, _, s| value(t, &mut s.memory.kernel.failcnt)),
    file("memory", "memory.kmem.tcp.usage_in_bytes", Parts::KERNEL, |t, _, s| value(t, &mut s.memory.kernel_tcp.usage)),
    file("memory", "memory.kmem.tcp.max_usage_in_bytes", Parts::KERNEL, |t, _, s| value(t, &mut s.memory.kernel_tcp.max_usage)),
    file("memory", "memory.kmem.tcp.limit_in_bytes", Parts::KERNEL, |t, _, s| limit(t, &mut s.memory.kernel_tcp.limit)),
    file("memory", "memory.kmem.tcp.failcnt", Parts::KERNEL, |t, _, s| value(t, &mut s.memory.kernel_tcp.failcnt)),
    file("memory", "memory.oom_control", Parts::MEMORY, |t, _, s| memory::oom_control(t, &mut s.memory)),
    file("memory", "memory.stat", Parts::MEMORY_STAT, |t, _, s| memory::stat_v1(t, &mut s.memory)),
    file("memory", "memory.numa_stat", Parts::NUMA, |t, at, s| memory::numa(t, at.units.page, &mut s.memory.numa)),
    // Of a scheduler with groups (CFQ up to 4.20, BFQ) and else of the throttling layer: the first that counted anything.
    file("blkio", "blkio.io_service_bytes_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.service_bytes)),
    unless(file("blkio", "blkio.bfq.io_service_bytes_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.service_bytes)), |s| !s.io.service_bytes.is_empty()),
    unless(file("blkio", "blkio.throttle.io_service_bytes_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.service_bytes)), |s| !s.io.service_bytes.is_empty()),
    unless(file("blkio", "blkio.throttle.io_service_bytes", Parts::IO, |t, _, s| io::entries(t, &mut s.io.service_bytes)), |s| !s.io.service_bytes.is_empty()),
    file("blkio", "blkio.io_serviced_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.serviced)),
    unless(file("blkio", "blkio.bfq.io_serviced_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.serviced)), |s| !s.io.serviced.is_empty()),
    unless(file("blkio", "blkio.throttle.io_serviced_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.serviced)), |s| !s.io.serviced.is_empty()),
    unless(file("blkio", "blkio.throttle.io_serviced", Parts::IO, |t, _, s| io::entries(t, &mut s.io.serviced)), |s| !s.io.serviced.is_empty()),
    file("blkio", "blkio.io_queued_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.queued)),
    unless(file("blkio", "blkio.bfq.io_queued_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.queued)), |s| !s.io.queued.is_empty()),
    file("blkio", "blkio.io_service_time_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.service_time)),
    unless(file("blkio", "blkio.bfq.io_service_time_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.service_time)), |s| !s.io.service_time.is_empty()),
    file("blkio", "blkio.io_wait_time_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.wait_time)),
    unless(file("blkio", "blkio.bfq.io_wait_time_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.wait_time)), |s| !s.io.wait_time.is_empty()),
    file("blkio", "blkio.io_merged_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.merged)),
    unless(file("blkio", "blkio.bfq.io_merged_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.merged)), |s| !s.io.merged.is_empty()),
    file("blkio", "blkio.time_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.time)),
    unless(file("blkio", "blkio.bfq.time_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.time)), |s| !s.io.time.is_empty()),
    file("blkio", "blkio.sectors_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.sectors)),
    unless(file("blkio", "blkio.bfq.sectors_recursive", Parts::IO, |t, _, s| io::entries(t, &mut s.io.sectors)), |s| !s.io.sectors.is_empty()),
    file("cpuset", "cpuset.cpus", Parts::CPUSET, |t, _, s| cpu::id_list(t, &mut s.cpuset.cpus)),
    file("cpuset", "cpuset.mems", Parts::CPUSET, |t, _, s| cpu::id_list(t, &mut s.cpuset.mems)),
    file("cpuset", "cpuset.effective_cpus", Parts::CPUSET, |t, _, s| cpu::id_list(t, &mut s.cpuset.effective_cpus)),
    file("cpuset", "cpuset.effective_mems", Parts::CPUSET, |t, _, s| cpu::id_list(t, &mut s.cpuset.effective_mems)),
    file("cpuset", "cpuset.cpu_exclusive", Parts::CPUSET, |t, _, s| switch(t, &mut s.cpuset.cpu_exclusive)),
    file("cpuset", "cpuset.mem_exclusive", Parts::CPUSET, |t, _, s| switch(t, &mut s.cpuset.mem_exclusive)),
    file("cpuset", "cpuset.mem_hardwall", Parts::CPUSET, |t, _, s| switch(t, &mut s.cpuset.mem_hardwall)),
    file("cpuset", "cpuset.memory_migrate", Parts::CPUSET, |t, _, s| switch(t, &mut s.cpuset.memory_migrate)),
    file("cpuset", "cpuset.memory_spread_page", Parts::CPUSET, |t, _, s| switch(t, &mut s.cpuset.memory_spread_page)),
    file("cpuset", "cpuset.memory_spread_slab", Parts::CPUSET, |t, _, s| switch(t, &mut s.cpuset.memory_spread_slab)),
    file("cpuset", "cpuset.sched_load_balance", Parts::CPUSET, |t, _, s| switch(t, &mut s.cpuset.sched_load_balance)),
    file("cpuset", "cpuset.memory_pressure", Parts::CPUSET, |t, _, s| value(t, &mut s.cpuset.memory_pressure)),
    file("cpuset", "cpuset.sched_relax_domain_level", Parts::CPUSET, |t, _, s| cpu::signed(t, &mut s.cpuset.sched_relax_domain_level)),
];

/// Version 2.
#[rustfmt::skip]
pub(super) const V2: &[File] = &[
    file("cpu", "cpu.stat", Parts::CPU, |t, _, s| cpu::stat_v2(t, &mut s.cpu)),
    file("memory", "memory.current", Parts::MEMORY, |t, _, s| value(t, &mut s.memory.total.usage)),
    file("memory", "memory.peak", Parts::MEMORY, |t, _, s| value(t, &mut s.memory.total.max_usage)),
    file("memory", "memory.max", Parts::MEMORY, |t, _, s| limit(t, &mut s.memory.total.limit)),
    file("memory", "memory.high", Parts::MEMORY, |t, _, s| limit(t, &mut s.memory.high)),
    file("memory", "memory.low", Parts::MEMORY, |t, _, s| limit(t, &mut s.memory.low)),
    file("memory", "memory.min", Parts::MEMORY, |t, _, s| limit(t, &mut s.memory.min)),
    file("memory", "memory.events", Parts::MEMORY, |t, _, s| memory::events(t, &mut s.memory)),
    file("memory", "memory.swap.current", Parts::SWAP, |t, _, s| value(t, &mut s.memory.swap.usage)),
    file("memory", "memory.swap.peak", Parts::SWAP, |t, _, s| value(t, &mut s.memory.swap.max_usage)),
    file("memory", "memory.swap.max", Parts::SWAP, |t, _, s| limit(t, &mut s.memory.swap.limit)),
    file("memory", "memory.swap.events", Parts::SWAP, |t, _, s| memory::hits(t, &mut s.memory.swap.failcnt)),
    file("memory", "memory.zswap.current", Parts::SWAP, |t, _, s| value(t, &mut s.memory.zswap.usage)),
    file("memory", "memory.zswap.max", Parts::SWAP, |t, _, s| limit(t, &mut s.memory.zswap.limit)),
    file("memory", "memory.stat", Parts::MEMORY_STAT, |t, _, s| memory::stat_v2(t, &mut s.memory)),
    file("memory", "memory.numa_stat", Parts::NUMA, |t, _, s| memory::numa(t, 1, &mut s.memory.numa)),
    file("io", "io.stat", Parts::IO, |t, _, s| io::stat(t, &mut s.io)),
    file("cpuset", "cpuset.cpus", Parts::CPUSET, |t, _, s| cpu::id_list(t, &mut s.cpuset.cpus)),
    file("cpuset", "cpuset.mems", Parts::CPUSET, |t, _, s| cpu::id_list(t, &mut s.cpuset.mems)),
    file("cpuset", "cpuset.cpus.effective", Parts::CPUSET, |t, _, s| cpu::id_list(t, &mut s.cpuset.effective_cpus)),
    file("cpuset", "cpuset.mems.effective", Parts::CPUSET, |t, _, s| cpu::id_list(t, &mut s.cpuset.effective_mems)),
    file("", "cpu.pressure", Parts::PRESSURE, |t, _, s| { s.pressure.cpu = Some(cpu::pressure(t)?); Ok(()) }),
    file("", "memory.pressure", Parts::PRESSURE, |t, _, s| { s.pressure.memory = Some(cpu::pressure(t)?); Ok(()) }),
    file("", "io.pressure", Parts::PRESSURE, |t, _, s| { s.pressure.io = Some(cpu::pressure(t)?); Ok(()) }),
    file("", "irq.pressure", Parts::PRESSURE, |t, _, s| { s.pressure.irq = Some(cpu::pressure(t)?); Ok(()) }),
];

/// The same in both versions.
#[rustfmt::skip]
pub(super) const BOTH: &[File] = &[
    file("pids", "pids.current", Parts::PIDS, |t, _, s| value(t, &mut s.pids.current)),
    file("pids", "pids.max", Parts::PIDS, |t, _, s| limit(t, &mut s.pids.limit)),
    file("pids", "pids.peak", Parts::PIDS, |t, _, s| value(t, &mut s.pids.peak)),
    file("pids", "pids.events", Parts::PIDS, |t, _, s| memory::hits(t, &mut s.pids.refused)),
    file("rdma", "rdma.current", Parts::RDMA, |t, _, s| rdma_current(t, &mut s.rdma)),
    file("rdma", "rdma.max", Parts::RDMA, |t, _, s| rdma_max(t, &mut s.rdma)),
    file("misc", "misc.current", Parts::MISC, |t, _, s| misc(t, &mut s.misc, |m| &mut m.current)),
    file("misc", "misc.max", Parts::MISC, |t, _, s| misc_max(t, &mut s.misc)),
    file("misc", "misc.peak", Parts::MISC, |t, _, s| misc(t, &mut s.misc, |m| &mut m.peak)),
    file("misc", "misc.events", Parts::MISC, |t, _, s| misc_events(t, &mut s.misc)),
];

/// Huge pages in version 1: `hugetlb.<size>` and this.
#[rustfmt::skip]
pub(super) const PAGES_V1: &[File] = &[
    page(".usage_in_bytes", |t, at, s| value(t, &mut pages(at.size, &mut s.hugetlb)?.used.usage)),
    page(".max_usage_in_bytes", |t, at, s| value(t, &mut pages(at.size, &mut s.hugetlb)?.used.max_usage)),
    page(".limit_in_bytes", |t, at, s| limit(t, &mut pages(at.size, &mut s.hugetlb)?.used.limit)),
    page(".failcnt", |t, at, s| value(t, &mut pages(at.size, &mut s.hugetlb)?.used.failcnt)),
    page(".rsvd.usage_in_bytes", |t, at, s| value(t, &mut pages(at.size, &mut s.hugetlb)?.reserved.usage)),
    page(".rsvd.max_usage_in_bytes", |t, at, s| value(t, &mut pages(at.size, &mut s.hugetlb)?.reserved.max_usage)),
    page(".rsvd.limit_in_bytes", |t, at, s| limit(t, &mut pages(at.size, &mut s.hugetlb)?.reserved.limit)),
    page(".rsvd.failcnt", |t, at, s| value(t, &mut pages(at.size, &mut s.hugetlb)?.reserved.failcnt)),
];

/// Huge pages in version 2.
#[rustfmt::skip]
pub(super) const PAGES_V2: &[File] = &[
    page(".current", |t, at, s| value(t, &mut pages(at.size, &mut s.hugetlb)?.used.usage)),
    page(".max", |t, at, s| limit(t, &mut pages(at.size, &mut s.hugetlb)?.used.limit)),
    page(".events", |t, at, s| memory::hits(t, &mut pages(at.size, &mut s.hugetlb)?.used.failcnt)),
    page(".rsvd.current", |t, at, s| value(t, &mut pages(at.size, &mut s.hugetlb)?.reserved.usage)),
    page(".rsvd.max", |t, at, s| limit(t, &mut pages(at.size, &mut s.hugetlb)?.reserved.limit)),
];

/// The page size in a huge page file's name and what follows it: `hugetlb.2MB.current` has `2MB` and `.current`.
pub(super) fn page_size(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix("hugetlb.")?;
    rest.find('.').and_then(|at| rest.split_at_checked(at))
}
