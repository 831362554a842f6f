//! `container.json`: what is read can be written, and read again to the same.
#![no_main]

use libcontainer::{Config, Mode};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Config::from_json_with(bytes, Mode::Strict, "container.json");
    let Ok((config, _)) = Config::from_json(bytes) else { return };
    let text = config.to_json().expect("a config that was read can be written");
    let (again, unknown) = Config::from_json(text.as_bytes()).expect("what was written can be read");
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(again.to_json().expect("again"), text);
});
