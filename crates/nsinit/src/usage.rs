//! What `events` says of a container's use: keys and units of runc's, which callers read. `stats` says all that is known.

use libcontainer::cgroups::stats::{Io, IoDevice, IoEntry, Limit, Memory, Op, Stats, Usage};
use libcontainer::{ContainerStats, NetworkStats};
use serde_json::{Map, Value, json};

/// The `data` of an event of type `stats`.
pub(crate) fn data(stats: &ContainerStats) -> Value {
    let group = &stats.cgroup;
    let huge = group.hugetlb.iter().map(|pages| (pages.size.clone(), entry(&pages.used)));
    json!({
        "cpu": cpu(group),
        "cpuset": cpuset(group),
        "memory": memory(&group.memory),
        "pids": present([("current", group.pids.current), ("limit", group.pids.limit.map(number))]),
        "blkio": block_io(&group.io),
        "hugetlb": huge.collect::<Map<_, _>>(),
        "intel_rdt": stats.resctrl.as_ref().map_or_else(|| json!({}), |resctrl| json!(resctrl)),
        "network_interfaces": stats.interfaces.iter().map(|(name, stats)| interface(name, stats)).collect::<Vec<_>>(),
    })
}

/// Those numbers that the kernel tells.
fn present<const N: usize>(all: [(&str, Option<u64>); N]) -> Map<String, Value> {
    all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))).collect()
}

/// No limit is the largest number, as version 1 of control groups has it.
fn number(limit: Limit) -> u64 {
    match limit {
        Limit::At(value) => value,
        Limit::Max => u64::MAX,
    }
}

fn cpu(group: &Stats) -> Value {
    let (cpu, throttling) = (&group.cpu, &group.cpu.throttling);
    let mut usage = present([("total", cpu.usage)]);
    usage.insert("kernel".to_owned(), json!(cpu.system.unwrap_or(0)));
    usage.insert("user".to_owned(), json!(cpu.user.unwrap_or(0)));
    for (key, list) in
        [("percpu", &cpu.per_cpu), ("percpu_kernel", &cpu.per_cpu_system), ("percpu_user", &cpu.per_cpu_user)]
    {
        if !list.is_empty() {
            usage.insert(key.to_owned(), json!(list));
        }
    }
    let throttled = present([
        ("periods", throttling.periods),
        ("throttledPeriods", throttling.throttled_periods),
        ("throttledTime", throttling.throttled_time),
    ]);
    json!({"usage": usage, "throttling": throttled})
}

fn cpuset(group: &Stats) -> Map<String, Value> {
    let numbers = |ranges: &[libcontainer::cgroups::stats::IdRange]| -> Vec<u32> {
        ranges.iter().flat_map(|range| range.first..=range.last).collect()
    };
    let lists = [("cpus", numbers(&group.cpuset.cpus)), ("mems", numbers(&group.cpuset.mems))];
    lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(key, list)| (key.to_owned(), json!(list)))
        .collect()
}

fn memory(memory: &Memory) -> Value {
    let mut all = present([("cache", memory.cache)]);
    // Swap is memory and swap together, where the kernel counts them so.
    let swap =
        if memory.memory_and_swap == Usage::default() { &memory.swap } else { &memory.memory_and_swap };
    for (key, usage) in [
        ("usage", &memory.total),
        ("swap", swap),
        ("kernel", &memory.kernel),
        ("kernelTCP", &memory.kernel_tcp),
    ] {
        all.insert(key.to_owned(), entry(usage));
    }
    let raw: Map<_, _> = memory.stat.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    all.insert("raw".to_owned(), json!(raw));
    Value::Object(all)
}

fn entry(usage: &Usage) -> Value {
    let mut all = present([("usage", usage.usage), ("max", usage.max_usage)]);
    all.insert("limit".to_owned(), json!(usage.limit.map_or(0, number)));
    all.insert("failcnt".to_owned(), json!(usage.failcnt.unwrap_or(0)));
    Value::Object(all)
}

/// An operation and how much of it there was, if the kernel tells.
type ByOp = [(&'static str, Option<u64>); 2];

fn block_io(io: &Io) -> Map<String, Value> {
    let of_devices = |get: fn(&IoDevice) -> ByOp| {
        let of_one = |device: &IoDevice| {
            get(device).map(|(op, value)| value.map(|value| amount((device.major, device.minor), op, value)))
        };
        io.devices.iter().flat_map(of_one).flatten().collect::<Vec<_>>()
    };
    let bytes = of_devices(|device| [("Read", device.read_bytes), ("Write", device.write_bytes)]);
    let calls = of_devices(|device| [("Read", device.reads), ("Write", device.writes)]);
    let listed = |entries: &[IoEntry]| entries.iter().map(listed_amount).collect::<Vec<_>>();
    let all = [
        ("ioServiceBytesRecursive", [bytes, listed(&io.service_bytes)].concat()),
        ("ioServicedRecursive", [calls, listed(&io.serviced)].concat()),
        ("ioQueuedRecursive", listed(&io.queued)),
        ("ioServiceTimeRecursive", listed(&io.service_time)),
        ("ioWaitTimeRecursive", listed(&io.wait_time)),
        ("ioMergedRecursive", listed(&io.merged)),
        ("ioTimeRecursive", listed(&io.time)),
        ("sectorsRecursive", listed(&io.sectors)),
    ];
    all.into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(key, list)| (key.to_owned(), json!(list)))
        .collect()
}

fn listed_amount(entry: &IoEntry) -> Value {
    amount((entry.major, entry.minor), entry.op.map_or("", Op::as_str), entry.value)
}

fn amount((major, minor): (u32, u32), op: &str, value: u64) -> Value {
    let mut all =
        present([("major", Some(major.into())), ("minor", Some(minor.into())), ("value", Some(value))]);
    if !op.is_empty() {
        all.insert("op".to_owned(), json!(op));
    }
    Value::Object(all)
}

fn interface(name: &str, stats: &NetworkStats) -> Value {
    json!({
        "Name": name,
        "RxBytes": stats.rx_bytes, "RxPackets": stats.rx_packets, "RxErrors": stats.rx_errors, "RxDropped": stats.rx_dropped,
        "TxBytes": stats.tx_bytes, "TxPackets": stats.tx_packets, "TxErrors": stats.tx_errors, "TxDropped": stats.tx_dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_runc() {
        let mut stats = ContainerStats::default();
        stats.cgroup.cpu.usage = Some(7);
        let total = &mut stats.cgroup.memory.total;
        (total.usage, total.max_usage, total.failcnt, total.limit) =
            (Some(1), Some(2), Some(3), Some(Limit::Max));
        let mut disk = IoDevice::default();
        (disk.major, disk.read_bytes) = (8, Some(5));
        stats.cgroup.io.devices.push(disk);
        let data = data(&stats);
        assert_eq!(data["cpu"]["usage"], json!({"total": 7, "kernel": 0, "user": 0}));
        assert_eq!(data["memory"]["usage"], json!({"limit": u64::MAX, "usage": 1, "max": 2, "failcnt": 3}));
        let wanted = json!([{"major": 8, "minor": 0, "op": "Read", "value": 5}]);
        assert_eq!(data["blkio"]["ioServiceBytesRecursive"], wanted);
        for key in ["cpuset", "pids", "hugetlb", "intel_rdt", "network_interfaces"] {
            assert!(data.get(key).is_some(), "{key}");
        }
    }
}
