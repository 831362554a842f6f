//! Lists of devices, as version 1 writes them.
#![no_main]

use libcontainer::cgroups::devices::v1::State;
use libcontainer::cgroups::devices::{Access, Kind};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = (Kind::parse(text), Access::parse(text));
    if let Ok(state) = State::from_list(text) {
        let _ = state.allows_by_default();
    }
});
