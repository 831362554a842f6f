//! `io.containerd.cgroups.v2.Metrics`.

use containerd_shim_protos::cgroups_v2::metrics::{
    CPUStat, HugeTlbStat, IOEntry, IOStat, MemoryEvents, MemoryStat, Metrics, NetworkStat, PSIData, PSIStats,
    PidsStat, RdmaEntry, RdmaStat,
};
use containerd_shim_protos::protobuf::MessageField;
use libcontainer::cgroups::stats::{Cpu, HugePages, Io, IoDevice, Memory, Pressure, RdmaDevice, Stall};
use libcontainer::{ContainerStats, NetworkStats};

use super::number::{limit, number};

pub(super) fn metrics(stats: &ContainerStats) -> Metrics {
    let group = &stats.cgroup;
    let pids = PidsStat {
        current: number(group.pids.current),
        limit: limit(group.pids.limit),
        ..PidsStat::default()
    };
    Metrics {
        pids: MessageField::some(pids),
        cpu: MessageField::some(cpu(&group.cpu, group.pressure.cpu.as_ref())),
        memory: MessageField::some(memory(&group.memory, group.pressure.memory.as_ref())),
        rdma: MessageField::some(rdma(&group.rdma)),
        io: MessageField::some(io(&group.io, group.pressure.io.as_ref())),
        hugetlb: group.hugetlb.iter().map(huge_pages).collect(),
        memory_events: MessageField::some(events(&group.memory)),
        network: stats.interfaces.iter().map(|(name, stats)| network(name, stats)).collect(),
        ..Metrics::default()
    }
}

/// Ours are nanoseconds.
fn micros(value: Option<u64>) -> u64 {
    number(value) / 1000
}

fn cpu(cpu: &Cpu, pressure: Option<&Pressure>) -> CPUStat {
    CPUStat {
        usage_usec: micros(cpu.usage),
        user_usec: micros(cpu.user),
        system_usec: micros(cpu.system),
        nr_periods: number(cpu.throttling.periods),
        nr_throttled: number(cpu.throttling.throttled_periods),
        throttled_usec: micros(cpu.throttling.throttled_time),
        psi: stalls(pressure),
        nr_bursts: number(cpu.throttling.bursts),
        burst_usec: micros(cpu.throttling.burst_time),
        ..CPUStat::default()
    }
}

fn memory(memory: &Memory, pressure: Option<&Pressure>) -> MemoryStat {
    let of = |name: &str| number(memory.stat.get(name));
    MemoryStat {
        anon: of("anon"),
        file: of("file"),
        kernel_stack: of("kernel_stack"),
        slab: of("slab"),
        sock: of("sock"),
        shmem: of("shmem"),
        file_mapped: of("file_mapped"),
        file_dirty: of("file_dirty"),
        file_writeback: of("file_writeback"),
        anon_thp: of("anon_thp"),
        inactive_anon: of("inactive_anon"),
        active_anon: of("active_anon"),
        inactive_file: of("inactive_file"),
        active_file: of("active_file"),
        unevictable: of("unevictable"),
        slab_reclaimable: of("slab_reclaimable"),
        slab_unreclaimable: of("slab_unreclaimable"),
        pgfault: of("pgfault"),
        pgmajfault: of("pgmajfault"),
        workingset_refault: of("workingset_refault_anon") + of("workingset_refault_file"),
        workingset_activate: of("workingset_activate_anon") + of("workingset_activate_file"),
        workingset_nodereclaim: of("workingset_nodereclaim"),
        pgrefill: of("pgrefill"),
        pgscan: of("pgscan"),
        pgsteal: of("pgsteal"),
        pgactivate: of("pgactivate"),
        pgdeactivate: of("pgdeactivate"),
        pglazyfree: of("pglazyfree"),
        pglazyfreed: of("pglazyfreed"),
        thp_fault_alloc: of("thp_fault_alloc"),
        thp_collapse_alloc: of("thp_collapse_alloc"),
        usage: number(memory.total.usage),
        usage_limit: limit(memory.total.limit),
        swap_usage: number(memory.swap.usage),
        swap_limit: limit(memory.swap.limit),
        max_usage: number(memory.total.max_usage),
        swap_max_usage: number(memory.swap.max_usage),
        psi: stalls(pressure),
        ..MemoryStat::default()
    }
}

fn events(memory: &Memory) -> MemoryEvents {
    MemoryEvents {
        low: number(memory.events.low),
        high: number(memory.events.high),
        max: number(memory.events.max),
        oom: number(memory.events.oom),
        oom_kill: number(memory.events.oom_kill),
        oom_group_kill: number(memory.events.oom_group_kill),
        ..MemoryEvents::default()
    }
}

fn stalls(pressure: Option<&Pressure>) -> MessageField<PSIStats> {
    let data = |stall: &Stall| PSIData {
        avg10: stall.avg10,
        avg60: stall.avg60,
        avg300: stall.avg300,
        total: stall.total,
        ..PSIData::default()
    };
    let stats = |pressure: &Pressure| PSIStats {
        some: pressure.some.as_ref().map(data).into(),
        full: pressure.full.as_ref().map(data).into(),
        ..PSIStats::default()
    };
    pressure.map(stats).into()
}

fn io(io: &Io, pressure: Option<&Pressure>) -> IOStat {
    let entry = |device: &IoDevice| IOEntry {
        major: device.major.into(),
        minor: device.minor.into(),
        rbytes: number(device.read_bytes),
        wbytes: number(device.write_bytes),
        rios: number(device.reads),
        wios: number(device.writes),
        ..IOEntry::default()
    };
    IOStat { usage: io.devices.iter().map(entry).collect(), psi: stalls(pressure), ..IOStat::default() }
}

fn huge_pages(pages: &HugePages) -> HugeTlbStat {
    HugeTlbStat {
        current: number(pages.used.usage),
        max: limit(pages.used.limit),
        pagesize: pages.size.clone(),
        failcnt: number(pages.used.failcnt),
        ..HugeTlbStat::default()
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
