//! Control files of statistics: the name in the first line, the text behind it.
#![no_main]

use libcontainer::cgroups::stats::{Stats, Version};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (name, text) = bytes.split_at(end);
    let Ok(name) = std::str::from_utf8(name) else { return };
    for version in [Version::V1, Version::V2] {
        let mut stats = Stats::default();
        // A file is read again and again into the same fields.
        let first = stats.parse(version, name, text);
        assert_eq!(first.is_ok(), stats.parse(version, name, text).is_ok());
    }
});
