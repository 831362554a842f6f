//! What the running kernel can do: a value, so that plans can be made for another kernel.

use std::io;

/// Facts about a kernel and about the calling process, as far as plans depend on them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Probe {
    /// Major and minor version: uname(2).
    pub version: (u32, u32),
    /// Number of the last capability that the kernel knows: `/proc/sys/kernel/cap_last_cap`, or 40 if that can't be read.
    pub last_cap: u32,
    /// Mounts may be attached inside a detached mount, and one that is detached may be copied (6.15).
    pub nested_detached: bool,
    /// A task enters its new time namespace at exec (6.3); before, `setns` is needed.
    pub time_namespace_at_exec: bool,
    /// Version of Landlock's interface, or the error number with which the kernel says that it has none: landlock_create_ruleset(2).
    pub landlock: Result<u32, i32>,
    /// Effective user id of the host process.
    pub euid: u32,
    /// Effective group id of the host process.
    pub egid: u32,
    /// The user namespace of the host process, unless it is the first one. There the kernel lets nobody make device nodes, and ids that
    /// are not mapped can't be taken on.
    pub nested: Option<Nested>,
}

/// A user namespace in which the host process itself lives: user_namespaces(7).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Nested {
    /// First user id inside and number of ids, of each line of `/proc/self/uid_map`.
    pub uids: Vec<(u32, u32)>,
    /// The same for groups.
    pub gids: Vec<(u32, u32)>,
    /// `/proc/self/setgroups` says `deny`.
    pub setgroups_denied: bool,
}

impl Nested {
    /// Number of the inode of the first user namespace: `PROC_USER_INIT_INO` of the kernel's proc_ns.h.
    const FIRST: u64 = 0xefff_fffd;

    /// Whether this user id is mapped.
    #[must_use]
    pub fn has_uid(&self, uid: u32) -> bool {
        inside(&self.uids, uid)
    }

    /// Whether this group id is mapped.
    #[must_use]
    pub fn has_gid(&self, gid: u32) -> bool {
        inside(&self.gids, gid)
    }

    /// That of this process; none in the first namespace, or where procfs does not say.
    fn current() -> Option<Self> {
        let own = nix::sys::stat::stat("/proc/self/ns/user").ok()?;
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}"));
        (own.st_ino != Self::FIRST).then(|| Self {
            uids: ranges(&read("uid_map").unwrap_or_default()),
            gids: ranges(&read("gid_map").unwrap_or_default()),
            setgroups_denied: read("setgroups").is_ok_and(|text| text.trim() == "deny"),
        })
    }
}

fn inside(ranges: &[(u32, u32)], id: u32) -> bool {
    ranges.iter().any(|(first, count)| id.checked_sub(*first).is_some_and(|offset| offset < *count))
}

/// Lines of an id map: `inside outside count`.
fn ranges(text: &str) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let (first, count) = (numbers.next()?.ok()?, numbers.nth(1)?.ok()?);
        Some((first, count))
    };
    text.lines().filter_map(range).collect()
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
            landlock: Ok(landlock(version)),
            euid: 0,
            egid: 0,
            nested: None,
        }
    }

    /// Whether the host process is root, and not only of a user namespace.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.euid == 0 && self.nested.is_none()
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
        probe.landlock =
            crate::launch::landlock_abi().map_err(|error| error.raw_os_error().unwrap_or(libc::EIO));
        probe.euid = nix::unistd::geteuid().as_raw();
        probe.egid = nix::unistd::getegid().as_raw();
        probe.nested = Nested::current();
        Ok(probe)
    }
}

/// The version that came with a kernel: landlock(7), "VERSIONS".
fn landlock(version: (u32, u32)) -> u32 {
    let since = [(5, 13), (5, 19), (6, 2), (6, 7), (6, 10), (6, 12), (6, 15)];
    (1..).zip(since).filter(|(_, since)| version >= *since).map(|(abi, _)| abi).last().unwrap_or(0)
}

fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_maps() {
        let text = "         0       1000          1\n         1     100000      65536\nx\n";
        let nested = Nested { uids: ranges(text), ..Nested::default() };
        assert_eq!(nested.uids, [(0, 1), (1, 65_536)]);
        for (id, wanted) in [(0, true), (65_536, true), (65_537, false), (u32::MAX, false)] {
            assert_eq!(nested.has_uid(id), wanted, "{id}");
        }
        assert!(!nested.has_gid(0));
    }

    #[test]
    fn versions_of_landlock() {
        for (version, wanted) in [((5, 12), 0), ((5, 14), 1), ((6, 1), 2), ((6, 6), 3), ((6, 18), 7)] {
            assert_eq!(landlock(version), wanted, "{version:?}");
        }
    }

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
