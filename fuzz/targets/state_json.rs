//! `state.json`, the record of a container.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = libcontainer::is_state(bytes);
});
