//! `/proc/PID/mountinfo`.
#![no_main]

use libcontainer::mount::parse_mountinfo;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for entry in parse_mountinfo(bytes).flatten() {
        let _ = format!("{entry:?}");
    }
});
