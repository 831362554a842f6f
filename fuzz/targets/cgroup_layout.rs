//! How control groups are set up: mountinfo, the own groups, and the kernel's controllers, with NUL between them.
#![no_main]

use libcontainer::cgroups::Layout;
use libcontainer::cgroups::discovery::Texts;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(4, |byte| *byte == 0);
    let mut next = || parts.next().unwrap_or_default();
    let texts = Texts { mountinfo: next(), cgroup: next(), cgroups: next(), controllers: next() };
    if let Ok(layout) = Layout::parse(&texts) {
        for controller in ["memory", "cpu", "pids", "devices"] {
            let _ = (layout.hierarchy(controller), layout.why_missing(controller));
        }
    }
});
