//! Kernels below the floor: the library says so before anything is made.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use libcontainer::{Factory, Probe};

#[test]
fn a_kernel_that_is_too_old_is_named() {
    let Err(error) = Probe::current() else {
        Factory::new().unwrap();
        return;
    };
    let error = error.to_string();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(error, format!("kernel {}: 5.14 or newer is needed", release.trim()));
    let refused = Factory::new().unwrap_err().to_string();
    assert!(refused.contains(&error), "{refused}");
}
