//! Datagrams of the kernel: framing, acknowledgements, and every object.
#![no_main]

use libcontainer_netlink::reading;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    reading::all(bytes);
});
