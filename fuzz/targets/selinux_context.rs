//! A context of SELinux: what is read can be written and read again. Behind a NUL, the text of `lxc_contexts`.
#![no_main]

use libcontainer::security::selinux::{Context, Defaults};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (first, rest) = match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    if let Ok(context) = Context::from_bytes(first) {
        let text = context.to_string();
        assert_eq!(text.parse::<Context>().as_ref(), Ok(&context));
        assert!(context.range().is_none_or(|range| range.high().dominates(&range.low())));
        let _ = context.shared();
    }
    if let Ok(text) = std::str::from_utf8(rest) {
        let _ = Defaults::parse(text, std::path::Path::new("lxc_contexts"));
    }
});
