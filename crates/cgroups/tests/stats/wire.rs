//! As JSON, the modern form and that of 2014; percentages.

use std::time::{Duration, Instant};

use libcontainer_cgroups::stats::{Sampler, Stats, Version, legacy};
use serde_json::json;

use super::parsed;

#[test]
fn the_modern_form_comes_back_from_json() {
    for layout in ["v1", "v2-6.1", "v2-6.12"] {
        let stats = parsed(layout);
        let text = serde_json::to_string(&stats).unwrap();
        assert_eq!(serde_json::from_str::<Stats>(&text).unwrap(), stats, "{layout}");
    }
}

#[test]
fn the_modern_form_leaves_out_what_the_kernel_lacks() {
    let mut stats = Stats::default();
    stats.parse(Version::V2, "pids.current", b"4\n").unwrap();
    stats.parse(Version::V2, "pids.max", b"max\n").unwrap();
    stats.parse(Version::V2, "memory.stat", b"anon 1\n").unwrap();
    let value = serde_json::to_value(&stats).unwrap();
    assert_eq!(value["pids"], json!({"current": 4, "limit": "max"}));
    assert_eq!(value["memory"]["stat"], json!({"anon": 1}));
    assert_eq!(value["memory"]["total"], json!({}));
}

/// Trap 2: misspelled keys stay in the form of 2014 only.
#[test]
fn the_form_of_2014_has_its_keys() {
    let mut stats = parsed("v1");
    stats.parse(Version::V1, "memory.stat", b"cache 4096\nrss 8192\n").unwrap();
    stats
        .parse(Version::V1, "blkio.throttle.io_service_bytes", b"8:0 Read 4096\n8:16 Write 0\nTotal 4096\n")
        .unwrap();
    let old = legacy::Stats::from(&stats).with_percent(Some(150.9));
    let golden = concat!(
        r#"{"cpu_stats":{"cpu_usage":{"percent_usage":150,"current_usage":1,"total_usage":900000000,"#,
        r#""percpu_usage":[400000000,500000000],"usage_in_kernelmode":300000000,"usage_in_usermode":600000000},"#,
        r#""throlling_data":{"periods":10,"throttled_periods":4,"throttled_time":5000000}},"#,
        r#""memory_stats":{"usage":1048576,"max_usage":2097152,"stats":{"cache":4096,"rss":8192},"failcnt":11},"#,
        r#""blkio_stats":{"io_service_bytes_recursive":[{"major":8,"op":"Read","value":4096},{"major":8,"minor":16,"op":"Write"}],"#,
        r#""io_serviced_recusrive":[{"major":8,"op":"Read","value":1},{"major":8,"op":"Write","value":2},"#,
        r#"{"major":8,"op":"Other","value":1},{"major":8,"op":"Total","value":3}],"#,
        r#""io_queue_recursive":[{"major":8,"op":"Read","value":5}],"sectors_recursive":[{"major":8,"value":24}]}}"#,
    );
    assert_eq!(serde_json::to_string(&old).unwrap(), golden);
    assert_eq!(serde_json::from_str::<legacy::Stats>(golden).unwrap(), old);
}

#[test]
fn the_form_of_2014_without_any_number() {
    let golden = concat!(
        r#"{"cpu_stats":{"cpu_usage":{"usage_in_kernelmode":0,"usage_in_usermode":0},"throlling_data":{}},"#,
        r#""memory_stats":{"failcnt":0},"blkio_stats":{}}"#
    );
    assert_eq!(serde_json::to_string(&legacy::Stats::from(&Stats::default())).unwrap(), golden);
}

#[test]
fn the_form_of_2014_from_version_2() {
    let old = legacy::Stats::from(&parsed("v2-6.1"));
    assert_eq!((old.cpu_stats.cpu_usage.total_usage, old.memory_stats.failcnt), (8_112_345_000, 3));
    let bytes = &old.blkio_stats.io_service_bytes_recursive;
    assert_eq!((bytes.len(), bytes[1].op.as_str(), bytes[1].value), (2, "Write", 4_194_304));
    assert_eq!(old.blkio_stats.io_serviced_recursive[0].value, 64);
}

/// Trap 6: nothing sleeps for a percentage.
#[test]
fn percent_is_of_one_processor_between_two_samples() {
    let mut sampler = Sampler::new();
    let start = Instant::now();
    let second = Duration::from_secs(1);
    assert_eq!(sampler.sample_at(5_000_000_000, start), None, "one sample is none");
    assert_eq!(sampler.sample_at(6_500_000_000, start + second), Some(150.0));
    assert_eq!(sampler.sample_at(6_500_000_000, start + 3 * second), Some(0.0));
    assert_eq!(sampler.sample_at(7_000_000_000, start + 3 * second), None, "no time passed");
    assert_eq!(sampler.sample_at(1_000_000_000, start + 4 * second), None, "a group made anew");
    assert_eq!(sampler.sample_at(1_250_000_000, start + 5 * second), Some(25.0));
    assert_eq!(sampler.sample(&Stats::default()), None, "a kernel that tells no usage");
}
