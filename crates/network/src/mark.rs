//! By what we know our own: random names, and a mark that names the container.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libcontainer_netlink::{Mac, Name};

/// Begins every mark.
const PREFIX: &str = "libcontainer:";
/// A longer path is replaced by its sum: nft(8) takes 128 bytes of comment, the kernel 255 of a link's alias.
const LONGEST: usize = 100;

/// The mark on what is made for a container on the host: alias of links, comment of the table. Empty for a plan that belongs to none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark(String);

impl Mark {
    /// The mark of the container whose record is in this directory.
    pub(crate) fn of(dir: &Path) -> Self {
        let bytes = dir.as_os_str().as_bytes();
        let plain = bytes.len() <= LONGEST && bytes.iter().all(u8::is_ascii_graphic);
        let text = dir.to_str().filter(|_| plain);
        Self(text.map_or_else(|| format!("{PREFIX}#{:016x}", sum(bytes)), |text| format!("{PREFIX}{text}")))
    }

    /// As it was recorded.
    pub(crate) fn recorded(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        // Without a container it still says whose kind it is.
        if self.0.is_empty() { PREFIX } else { &self.0 }
    }

    /// Whether a link or table has this mark.
    pub(crate) fn is(&self, found: Option<&[u8]>) -> bool {
        found == Some(self.as_str().as_bytes())
    }

    /// Whether it is the mark of any container.
    pub(crate) fn is_any(found: Option<&[u8]>) -> bool {
        found.is_some_and(|found| found.starts_with(PREFIX.as_bytes()))
    }
}

/// FNV-1a. Who could choose two paths with the same sum is root already.
fn sum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// `prefix` and 8 hexadecimal digits from the kernel's random numbers: two containers never get the same.
pub(crate) fn random_name(prefix: &str) -> Result<Name, String> {
    let mac = Mac::random().map_err(|error| error.to_string())?;
    let digits: String = mac.as_bytes().iter().skip(2).map(|byte| format!("{byte:02x}")).collect();
    Name::new(format!("{prefix}{digits}")).map_err(|error| error.to_string())
}

/// A random number from 1 to 2^31 - 1, for a network namespace: those that the kernel gives by itself begin at 0.
pub(crate) fn random_id() -> Result<i32, String> {
    let mac = Mac::random().map_err(|error| error.to_string())?;
    let bytes = mac.as_bytes().last_chunk().copied().unwrap_or_default();
    Ok((i32::from_ne_bytes(bytes) & i32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_names_the_directory_or_its_sum() {
        let of = |path: &str| Mark::of(Path::new(path)).as_str().to_owned();
        assert_eq!(of("/run/demo"), "libcontainer:/run/demo");
        assert_eq!(of("/run/a b"), "libcontainer:#7bad53f011aaaf69");
        let long = format!("/run/{}", "x".repeat(200));
        assert!(of(&long).starts_with("libcontainer:#") && of(&long).len() == 30);
        assert_ne!(of(&long), of(&format!("{long}x")));
        assert_ne!(of("/run/ä"), of("/run/ö"));
        assert_eq!(Mark::default().as_str(), "libcontainer:");
        let mark = Mark::of(Path::new("/run/demo"));
        assert!(mark.is(Some(b"libcontainer:/run/demo")) && !mark.is(Some(b"libcontainer:/run/dem")));
        assert!(!mark.is(None) && !mark.is(Some(b"libcontainer:/run/demo2")));
        assert!(Mark::is_any(Some(b"libcontainer:/run/other")) && !Mark::is_any(Some(b"mine")));
        assert!(!Mark::is_any(None));
    }

    #[test]
    fn names_are_random_and_short_enough() {
        let (one, two) = (random_name("veth").unwrap(), random_name("veth").unwrap());
        assert!(one != two && one.as_bytes().len() == 12, "{one} {two}");
        assert!(random_name("12345678").is_err());
    }
}
