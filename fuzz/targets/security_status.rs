//! `/proc/PID/status`.
#![no_main]

use libcontainer::security::Status;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Status::parse(bytes).map(|status| format!("{status:?}"));
});
