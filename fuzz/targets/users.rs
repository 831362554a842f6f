//! `passwd` and `group`, with the user that is looked for in the first part, and NUL between the parts.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let (spec, passwd) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let group = parts.next().unwrap_or_default();
    let Ok(spec) = std::str::from_utf8(spec) else { return };
    let additional = ["wheel".to_owned(), "7".to_owned()];
    for more in [&additional[..0], &additional] {
        let _ = libcontainer::resolve_user(spec, passwd, group, more);
    }
});
