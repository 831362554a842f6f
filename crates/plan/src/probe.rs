//! What the running kernel can do: a value, so that plans can be made for another kernel.

use std::io;

/// Facts about a kernel and about the calling process, as far as plans depend on them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Probe {
    /// Major and minor version: uname(2).
    pub version: (u32, u32),
    /// Number of the last capability that the kernel knows: `/proc/sys/kernel/cap_last_cap`, or 40 if that can't be read.
    pub last_cap: u32,
    /// Mounts may be attached inside a detached mount (6.15).
    pub nested_detached: bool,
    /// A task enters its new time namespace at exec (6.3); before, `setns` is needed.
    pub time_namespace_at_exec: bool,
    /// Effective user id of the host process.
    pub euid: u32,
    /// Effective group id of the host process.
    pub egid: u32,
}

impl Probe {
    /// A kernel of that version, seen by root: for tests and for plans that are made elsewhere.
    #[must_use]
    pub fn linux(major: u32, minor: u32) -> Self {
        let version = (major, minor);
        Self {
            version,
            last_cap: 40,
            nested_detached: version >= (6, 15),
            time_namespace_at_exec: version >= (6, 3),
            euid: 0,
            egid: 0,
        }
    }

    /// The running kernel, by uname(2) and `/proc/sys/kernel/cap_last_cap`.
    ///
    /// # Errors
    /// If the release can't be parsed, or is older than 5.14.
    pub fn current() -> io::Result<Self> {
        let name = nix::sys::utsname::uname()?;
        let release = name.release().to_string_lossy().into_owned();
        let version = parse(&release)
            .ok_or_else(|| io::Error::other(format!("kernel release {release}: not a version")))?;
        if version < (5, 14) {
            return Err(io::Error::other(format!("kernel {release}: 5.14 or newer is needed")));
        }
        let mut probe = Self::linux(version.0, version.1);
        if let Ok(text) = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap") {
            probe.last_cap = text.trim().parse().unwrap_or(probe.last_cap);
        }
        probe.euid = nix::unistd::geteuid().as_raw();
        probe.egid = nix::unistd::getegid().as_raw();
        Ok(probe)
    }
}

fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        let cases = [
            ("6.18.44-fc", Some((6, 18))),
            ("5.14.0", Some((5, 14))),
            ("6.1-rc1", Some((6, 1))),
            ("x", None),
        ];
        for (release, wanted) in cases {
            assert_eq!(parse(release), wanted, "{release}");
        }
    }
}
