//! The room on the main thread's stack, looked at before anything is made: who overflows it ends on the spot.

use libcontainer::plan::prlimit;

use crate::failure::Failure;

/// `RLIMIT_STACK` of getrlimit(2).
const STACK: u32 = 3;
/// What a release needs is less than 96 KiB, whatever the config has; clap's tables alone take 380 where nothing is optimised.
const NEEDED: u64 = if cfg!(debug_assertions) { 1024 } else { 128 };

/// Whether it is enough.
pub(crate) fn check() -> Result<(), Failure> {
    match prlimit(0, STACK, None) {
        // 0 is what a filter says that answers in the kernel's place: with that nothing runs.
        Ok([soft, hard]) if soft != 0 && soft >> 10 < NEEDED => {
            Err(Failure::new(told(soft >> 10, hard >> 10)))
        }
        // Where it can't be known it mostly is as it always is.
        _ => Ok(()),
    }
}

fn told(soft: u64, hard: u64) -> String {
    let who = if hard < NEEDED { " (the hard limit is as low: whoever set it has to)" } else { "" };
    format!(
        "the limit of the stack (ulimit -s, RLIMIT_STACK) is {soft} KiB, and nsinit needs {NEEDED}: raise it{who}, as ulimit -s 8192 does"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_raise_it_is_said() {
        assert!(!told(64, 8192).contains("hard"));
        assert!(told(64, 64).contains("hard limit is as low"));
        assert!(check().is_ok());
    }
}
