//! `io.containerd.cgroups.v1.Metrics`.

use containerd_shim_protos::cgroups::metrics::{
    BlkIOEntry, BlkIOStat, CPUStat, CPUUsage, HugetlbStat, MemoryEntry, MemoryOomControl, MemoryStat,
    Metrics, NetworkStat, PidsStat, RdmaEntry, RdmaStat, Throttle,
};
use containerd_shim_protos::protobuf::MessageField;
use libcontainer::cgroups::stats::{Cpu, HugePages, Io, IoEntry, Limit, Memory, RdmaDevice, Usage};
use libcontainer::{ContainerStats, NetworkStats};

use super::number::{limit, number};

pub(super) fn metrics(stats: &ContainerStats) -> Metrics {
    let group = &stats.cgroup;
    let pids = PidsStat {
        current: number(group.pids.current),
        // 0 is no limit here.
        limit: limit(group.pids.limit.filter(|limit| *limit != Limit::Max)),
        ..PidsStat::default()
    };
    Metrics {
        hugetlb: group.hugetlb.iter().map(huge_pages).collect(),
        pids: MessageField::some(pids),
        cpu: MessageField::some(cpu(&group.cpu)),
        memory: MessageField::some(memory(&group.memory)),
        blkio: MessageField::some(block_io(&group.io)),
        rdma: MessageField::some(rdma(&group.rdma)),
        network: stats.interfaces.iter().map(|(name, stats)| network(name, stats)).collect(),
        memory_oom_control: MessageField::some(out_of_memory(&group.memory)),
        ..Metrics::default()
    }
}

fn huge_pages(pages: &HugePages) -> HugetlbStat {
    HugetlbStat {
        usage: number(pages.used.usage),
        max: number(pages.used.max_usage),
        failcnt: number(pages.used.failcnt),
        pagesize: pages.size.clone(),
        ..HugetlbStat::default()
    }
}

fn cpu(cpu: &Cpu) -> CPUStat {
    let usage = CPUUsage {
        total: number(cpu.usage),
        kernel: number(cpu.system),
        user: number(cpu.user),
        per_cpu: cpu.per_cpu.clone(),
        ..CPUUsage::default()
    };
    let throttling = Throttle {
        periods: number(cpu.throttling.periods),
        throttled_periods: number(cpu.throttling.throttled_periods),
        throttled_time: number(cpu.throttling.throttled_time),
        ..Throttle::default()
    };
    CPUStat {
        usage: MessageField::some(usage),
        throttling: MessageField::some(throttling),
        ..CPUStat::default()
    }
}

fn memory(memory: &Memory) -> MemoryStat {
    let of = |name: &str| number(memory.stat.get(name));
    MemoryStat {
        cache: of("cache"),
        rss: of("rss"),
        rss_huge: of("rss_huge"),
        mapped_file: of("mapped_file"),
        dirty: of("dirty"),
        writeback: of("writeback"),
        pg_pg_in: of("pgpgin"),
        pg_pg_out: of("pgpgout"),
        pg_fault: of("pgfault"),
        pg_maj_fault: of("pgmajfault"),
        inactive_anon: of("inactive_anon"),
        active_anon: of("active_anon"),
        inactive_file: of("inactive_file"),
        active_file: of("active_file"),
        unevictable: of("unevictable"),
        hierarchical_memory_limit: of("hierarchical_memory_limit"),
        hierarchical_swap_limit: of("hierarchical_memsw_limit"),
        total_cache: of("total_cache"),
        total_rss: of("total_rss"),
        total_rss_huge: of("total_rss_huge"),
        total_mapped_file: of("total_mapped_file"),
        total_dirty: of("total_dirty"),
        total_writeback: of("total_writeback"),
        total_pg_pg_in: of("total_pgpgin"),
        total_pg_pg_out: of("total_pgpgout"),
        total_pg_fault: of("total_pgfault"),
        total_pg_maj_fault: of("total_pgmajfault"),
        total_inactive_anon: of("total_inactive_anon"),
        total_active_anon: of("total_active_anon"),
        total_inactive_file: of("total_inactive_file"),
        total_active_file: of("total_active_file"),
        total_unevictable: of("total_unevictable"),
        usage: entry(&memory.total),
        swap: entry(&memory.memory_and_swap),
        kernel: entry(&memory.kernel),
        kernel_tcp: entry(&memory.kernel_tcp),
        ..MemoryStat::default()
    }
}

fn entry(usage: &Usage) -> MessageField<MemoryEntry> {
    MessageField::some(MemoryEntry {
        limit: limit(usage.limit),
        usage: number(usage.usage),
        max: number(usage.max_usage),
        failcnt: number(usage.failcnt),
        ..MemoryEntry::default()
    })
}

fn out_of_memory(memory: &Memory) -> MemoryOomControl {
    MemoryOomControl {
        oom_kill_disable: memory.oom_kill_disable.unwrap_or(false).into(),
        under_oom: memory.under_oom.unwrap_or(false).into(),
        oom_kill: number(memory.events.oom_kill),
        ..MemoryOomControl::default()
    }
}

fn block_io(io: &Io) -> BlkIOStat {
    let all = |entries: &[IoEntry]| entries.iter().map(io_entry).collect();
    BlkIOStat {
        io_service_bytes_recursive: all(&io.service_bytes),
        io_serviced_recursive: all(&io.serviced),
        io_queued_recursive: all(&io.queued),
        io_service_time_recursive: all(&io.service_time),
        io_wait_time_recursive: all(&io.wait_time),
        io_merged_recursive: all(&io.merged),
        io_time_recursive: all(&io.time),
        sectors_recursive: all(&io.sectors),
        ..BlkIOStat::default()
    }
}

fn io_entry(entry: &IoEntry) -> BlkIOEntry {
    BlkIOEntry {
        op: entry.op.map(|op| op.as_str().to_owned()).unwrap_or_default(),
        major: entry.major.into(),
        minor: entry.minor.into(),
        value: entry.value,
        ..BlkIOEntry::default()
    }
}

fn rdma(devices: &[RdmaDevice]) -> RdmaStat {
    let fit = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let entry = |device: &RdmaDevice, handles, objects| RdmaEntry {
        device: device.name.clone(),
        hca_handles: fit(handles),
        hca_objects: fit(objects),
        ..RdmaEntry::default()
    };
    let current = devices.iter().map(|device| entry(device, number(device.handles), number(device.objects)));
    let limits =
        devices.iter().map(|device| entry(device, limit(device.handle_limit), limit(device.object_limit)));
    RdmaStat { current: current.collect(), limit: limits.collect(), ..RdmaStat::default() }
}

fn network(name: &str, stats: &NetworkStats) -> NetworkStat {
    NetworkStat {
        name: name.to_owned(),
        rx_bytes: stats.rx_bytes,
        rx_packets: stats.rx_packets,
        rx_errors: stats.rx_errors,
        rx_dropped: stats.rx_dropped,
        tx_bytes: stats.tx_bytes,
        tx_packets: stats.tx_packets,
        tx_errors: stats.tx_errors,
        tx_dropped: stats.tx_dropped,
        ..NetworkStat::default()
    }
}
