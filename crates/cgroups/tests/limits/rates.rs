//! Limits of time and of bytes per second, by the kernel's own counters: what was used against what passed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::ground::{Ground, LONG, skip, until};
use super::holding::limit;

/// Microseconds of each period.
const QUOTA: u64 = 20_000;
const PERIOD: u64 = 100_000;
/// Bytes per second.
const RATE: u64 = 2 << 20;

/// The number behind a word of a file of `word number` lines.
fn number(ground: &Ground, controller: &str, file: &str, word: &str) -> u64 {
    let text = ground.read(controller, file);
    let found = text.lines().find_map(|line| line.strip_prefix(word)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("{file} has no {word}: {text}"))
}

/// Microseconds that the group ran.
fn used(ground: &Ground) -> u64 {
    match ground.either("cpu", "cpuacct.usage", "cpu.stat") {
        "cpu.stat" => number(ground, "cpu", "cpu.stat", "usage_usec "),
        file => ground.read("cpuacct", file).trim().parse::<u64>().unwrap() / 1000,
    }
}

#[test]
fn a_quota_is_the_share_that_is_used() {
    let Some(mut ground) = Ground::new("a_quota_is_the_share_that_is_used", &["cpu"]) else { return };
    if ground.either("cpu", "v1", "v2") == "v1" && ground.group.controller("cpuacct").is_none() {
        return skip("a_quota_is_the_share_that_is_used", "no usable controller cpuacct");
    }
    limit(&ground, &format!(r#"{{"cpu":{{"quota":{QUOTA},"period":{PERIOD}}}}}"#));
    ground.run("while :; do :; done");
    let throttled = || number(&ground, "cpu", "cpu.stat", "nr_throttled ");
    until(|| throttled() > 2);
    // What is read first passes longer than what is read last was used, however late this process gets its turn.
    let (start, full, before) = (Instant::now(), throttled(), used(&ground));
    until(|| throttled() >= full + 30);
    let (after, full) = (used(&ground), throttled() - full);
    let passed = u64::try_from(start.elapsed().as_micros()).unwrap();
    let share = (after - before) * 100 / passed;
    assert!((after - before) * PERIOD <= (passed + PERIOD) * QUOTA * 11 / 10, "{share} % of {passed} µs");
    // A period that ends throttled has used its quota; the last may not have been paid out when it was looked at.
    let least = (full - 1) * QUOTA * 9 / 10;
    assert!(after - before >= least, "{} µs used in {full} throttled periods", after - before);
    ground.group.kill(LONG).unwrap();
}

/// The whole disk below a directory, as `major:minor`.
fn disk(dir: &Path) -> Option<String> {
    let number = fs::metadata(dir).unwrap().dev();
    let id = format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
    let place = Path::new("/sys/dev/block").join(&id);
    if !place.join("partition").exists() {
        return Some(id);
    }
    // The kernel follows the link first: this is the directory of the whole disk.
    fs::read_to_string(place.join("../dev")).ok().map(|text| text.trim().to_owned())
}

/// Bytes that the group has written to the disk.
fn written(ground: &Ground, controller: &str, disk: &str) -> u64 {
    let file = ground.either(controller, "blkio.throttle.io_service_bytes", "io.stat");
    let text = ground.read(controller, file);
    let words = text.lines().filter_map(|line| line.strip_prefix(disk)?.strip_prefix(' '));
    let value = |rest: &str| match rest.strip_prefix("Write ") {
        Some(value) => value.parse::<u64>().ok(),
        None => rest.split(' ').find_map(|word| word.strip_prefix("wbytes=")?.parse::<u64>().ok()),
    };
    words.filter_map(value).sum()
}

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_writer_keeps_to_its_bytes_per_second() {
    let test = "a_writer_keeps_to_its_bytes_per_second";
    let Some(mut ground) = Ground::new(test, &[]) else { return };
    let Some(controller) = ["io", "blkio"].into_iter().find(|name| ground.group.controller(name).is_some())
    else {
        return skip(test, "no usable controller io or blkio");
    };
    let file = ground.either(controller, "blkio.throttle.write_bps_device", "io.max");
    if !ground.group.controller(controller).unwrap().0.has(file).unwrap() {
        return skip(test, &format!("this kernel has no {file}"));
    }
    let dir = std::env::temp_dir();
    let Some(disk) = disk(&dir) else {
        return skip(test, &format!("{} is on no disk of its own", dir.display()));
    };
    let scratch = Scratch(dir.join(super::ground::name()));
    let name = scratch.0.display();
    let (major, minor) = disk.split_once(':').unwrap();
    let bound = |ground: &Ground, rate: u64| {
        let device = format!(r#"{{"major":{major},"minor":{minor},"rate":{rate}}}"#);
        limit(ground, &format!(r#"{{"blockIO":{{"throttleWriteBpsDevice":[{device}]}}}}"#));
    };
    // Without any limit version 1 does not count.
    bound(&ground, RATE << 9);
    // Past the page cache: on version 1 the kernel writes back what is in it on its own account.
    let write = format!("dd if=/dev/zero of={name} bs=64k count=128 conv=notrunc oflag=direct 2>/dev/null");
    ground.run(&format!("while {write}; do :; done"));
    let start = Instant::now();
    until(|| written(&ground, controller, &disk) >= 16 << 20);
    let free = u64::try_from((16 << 20) * 1000 / start.elapsed().as_millis().max(1)).unwrap();
    if free < RATE * 3 {
        return skip(test, &format!("the disk writes {free} bytes per second by itself"));
    }
    bound(&ground, RATE);
    assert!(ground.read(controller, file).contains(&RATE.to_string()));
    let (start, before) = (Instant::now(), written(&ground, controller, &disk));
    until(|| start.elapsed() > Duration::from_secs(3) && written(&ground, controller, &disk) > before);
    let bytes = written(&ground, controller, &disk) - before;
    let passed = u64::try_from(start.elapsed().as_millis()).unwrap();
    // One write is counted before it waits, and a slice of time may be used up at once.
    let most = RATE * (passed + 200) / 1000 * 11 / 10 + (128 << 10);
    assert!(bytes <= most, "{bytes} bytes in {passed} ms, {free} per second without a limit");
    ground.group.kill(LONG).unwrap();
}
