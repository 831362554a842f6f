//! Any bytes as a file's capabilities: read or refused; what was read is written as it was.
#![no_main]

use libcontainer::security::FileCapabilities;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = FileCapabilities::parse(bytes) {
        assert_eq!(FileCapabilities::parse(&read.to_bytes()), Ok(read));
        // Version 1 is never written.
        assert!(bytes.len() == 12 || read.to_bytes() == bytes);
    }
});
