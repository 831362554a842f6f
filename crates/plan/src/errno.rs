//! Rendering of error numbers: the symbol and the system's text.

use std::fmt;
use std::io;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

/// Writes `EPERM: Operation not permitted`, or the error's own text if it has no number.
pub(crate) fn describe(f: &mut fmt::Formatter<'_>, error: &io::Error) -> fmt::Result {
    match error.raw_os_error() {
        Some(number) => {
            let errno = Errno::from_raw(number);
            write!(f, "{errno:?}: {}", errno.desc())
        }
        None => fmt::Display::fmt(error, f),
    }
}

/// A failed call under the name of what was done; [`unnamed`] finds the error in it, and with that its number.
pub fn named(what: impl Into<String>, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), Call { what: what.into(), source: error })
}

/// The error that [`named`] was given; `None` if it has no such name.
#[must_use]
pub fn unnamed(error: &io::Error) -> Option<&io::Error> {
    Some(&error.get_ref()?.downcast_ref::<Call>()?.source)
}

/// The number of an error, also of one under a name.
pub(crate) fn number(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| unnamed(error).and_then(number))
}

#[derive(Debug)]
struct Call {
    what: String,
    source: io::Error,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.what)?;
        describe(f, &self.source)
    }
}

impl std::error::Error for Call {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// `EPERM: Operation not permitted`.
#[must_use]
pub fn text(number: i32) -> String {
    let errno = Errno::from_raw(number);
    format!("{errno:?}: {}", errno.desc())
}

const LIMIT: &str = "RLIMIT_NOFILE";
const MOST: &str = "fs.file-max";

/// What to put behind the text of an error that tells of want of descriptors (`EMFILE`, `ENFILE`) or of namespaces that this host does not give, unless it says so
/// itself: the limit, and how to raise it.
#[must_use]
pub fn remedy(text: &str) -> String {
    let tells = |errno: Errno| {
        text.contains(&format!("{errno:?}")) || text.contains(&format!("os error {})", errno as i32))
    };
    if tells(Errno::ENFILE) {
        let said = text.contains(MOST);
        return if said {
            String::new()
        } else {
            format!("; raise the limit of open files of the machine (sysctl {MOST})")
        };
    }
    if tells(Errno::EMFILE) && !text.contains(LIMIT) {
        // Without the number it is still the right limit.
        let now = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, _)| format!(", now {soft}"));
        return format!("; raise the limit of open files ({LIMIT}{}; ulimit -n)", now.unwrap_or_default());
    }
    let cleared =
        text.contains("mount_setattr(") && ["{clear ", ", clear "].iter().any(|word| text.contains(word));
    if cleared && tells(Errno::EPERM) && !text.contains(LOCKED) {
        return format!("; what the source is mounted with {LOCKED}: leave that option out (such as rw)");
    }
    if text.contains("RESOLVE_NO_SYMLINKS") && tells(Errno::ELOOP) && !text.contains(ORDINARY) {
        return format!("; it {ORDINARY}, not on a link that the rootfs has there");
    }
    if text.contains("SCHED_DEADLINE") && tells(Errno::EPERM) && !text.contains(CPUS) {
        return format!("; that policy asks for all CPUs: a {CPUS}");
    }
    crate::namespaces_refused::remedy(text)
}

/// The words are runc's, but for the article.
const CPUS: &str = "process scheduler can't be used together with AllowedCPUs";

/// Of `/proc`, `/sys` and `/dev`, on which other protections rest. The words are runc's.
const ORDINARY: &str = "must be mounted on ordinary directory";

/// Of attributes that a user namespace may not clear: mount_namespaces(7).
const LOCKED: &str = "is locked in a user namespace";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_under_a_name_has_its_number() {
        let error = named("take it", named("open /x", io::Error::from_raw_os_error(libc::EMFILE)));
        assert_eq!(error.to_string(), "take it: open /x: EMFILE: Too many open files");
        assert_eq!((number(&error), error.raw_os_error()), (Some(libc::EMFILE), None));
        assert_eq!(number(&named("take it", io::Error::other("words"))), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn want_of_descriptors_is_told_with_the_limit_once() {
        for errno in [libc::EMFILE, libc::ENFILE] {
            for said in
                [format!("open /x: {}", text(errno)), format!("x: {}", io::Error::from_raw_os_error(errno))]
            {
                let whole = format!("{said}{}", remedy(&said));
                assert!(
                    whole.contains(if errno == libc::EMFILE { "RLIMIT_NOFILE, now " } else { "fs.file-max" }),
                    "{whole}"
                );
                assert_eq!(remedy(&whole), "");
            }
        }
        assert_eq!(remedy("open /x: ENOENT: No such file or directory"), "");
        for change in ["clear RDONLY", "set NOSUID|NODEV, clear RDONLY"] {
            let said = format!(
                "step 1/2: bind /x: mount_setattr(s6, \"\", AT_EMPTY_PATH, {{{change}}}, 32): EPERM: Operation not permitted"
            );
            let whole = format!("{said}{}", remedy(&said));
            assert!(whole.ends_with("(such as rw)") && remedy(&whole).is_empty(), "{whole}");
        }
        let said = "openat2(s2, \"proc\", {O_PATH, RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH}, 24): ELOOP: Too many symbolic links encountered";
        let whole = format!("{said}{}", remedy(said));
        assert!(whole.contains("mounted on ordinary directory") && remedy(&whole).is_empty(), "{whole}");
    }
}
