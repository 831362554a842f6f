//! What hinders the end of a container and passes.

use std::time::Duration;

use crate::error::Result;

/// Errors that may be others, or none, a moment later.
const PASSING: [i32; 8] = [
    libc::EINTR,
    libc::EAGAIN,
    libc::ENOMEM,
    libc::EBUSY,
    libc::EMFILE,
    libc::ENFILE,
    libc::EIO,
    libc::ENOBUFS,
];
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];

/// Does it up to three times, as long as it fails by what may pass. What is done works from what is there.
pub(super) fn again<T>(mut act: impl FnMut() -> Result<T>) -> Result<T> {
    for pause in PAUSES {
        match act() {
            Err(error) if error.errno().is_some_and(|errno| PASSING.contains(&errno)) => {
                libcontainer_plan::rest(pause);
            }
            result => return result,
        }
    }
    act()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn what_passes_is_tried_again_and_nothing_else() {
        for (errno, failures, calls, works) in [
            (libc::EIO, 0, 1, true),
            (libc::EIO, 2, 3, true),
            (libc::EMFILE, 3, 3, false),
            (libc::EPERM, 1, 1, false),
        ] {
            let mut called = 0;
            let result = again(|| {
                called += 1;
                let failed = || Error::io("x", std::io::Error::from_raw_os_error(errno));
                if called <= failures { Err(failed()) } else { Ok(()) }
            });
            assert_eq!((called, result.is_ok()), (calls, works), "{errno} {failures}");
        }
    }
}
