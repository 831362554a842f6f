//! Options of a mount, as in fstab(5).
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let options: Vec<_> = text.split(',').map(str::to_owned).collect();
    for bind in [false, true] {
        let _ = libcontainer::mount::parse_options(options.iter().map(String::as_str), bind);
    }
});
