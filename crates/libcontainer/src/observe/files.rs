//! From what was done to files to rules of Landlock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libcontainer_security::observe::Access;
use serde::Serialize;

/// Files, directories and ports that may be used: the field `landlock` of container.json, of which everything else is denied as far as the kernel goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allowed {
    pub(super) enforce: &'static str,
    /// Rules on files.
    pub paths: Vec<PathRule>,
    /// Ports of TCP that may be bound; 0 for any that the kernel picks.
    pub bind_tcp: Vec<u16>,
    /// Ports of TCP that may be connected to.
    pub connect_tcp: Vec<u16>,
}

/// Rights on what lies at and below a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathRule {
    /// The path, inside the container.
    pub path: PathBuf,
    /// Names of the rights, such as `read_file`: landlock(7), "Filesystem actions".
    pub access: Vec<&'static str>,
    if_exists: bool,
}

/// Rights by what is done.
const RIGHTS: [(Access, &str); 16] = [
    (Access::READ, "read_file"),
    (Access::WRITE, "write_file"),
    (Access::TRUNCATE, "truncate"),
    (Access::EXECUTE, "execute"),
    (Access::LIST, "read_dir"),
    (Access::MAKE_FILE, "make_reg"),
    (Access::MAKE_DIR, "make_dir"),
    (Access::MAKE_LINK, "make_sym"),
    (Access::MAKE_PIPE, "make_fifo"),
    (Access::MAKE_SOCKET, "make_sock"),
    (Access::MAKE_DEVICE, "make_char"),
    (Access::MAKE_DEVICE, "make_block"),
    (Access::REMOVE_FILE, "remove_file"),
    (Access::REMOVE_DIR, "remove_dir"),
    (Access::MOVE, "refer"),
    (Access::CONTROL, "ioctl_dev"),
];

/// What adds names to a directory: those need not be there when the rules are made.
const ADDS: Access = Access::MAKE_FILE
    .union(Access::MAKE_DIR)
    .union(Access::MAKE_LINK)
    .union(Access::MAKE_PIPE)
    .union(Access::MAKE_SOCKET)
    .union(Access::MAKE_DEVICE)
    .union(Access::MOVE);

/// The path, or the directory above it that has a form in JSON.
fn told(path: &Path) -> &Path {
    path.ancestors().find(|path| path.to_str().is_some()).unwrap_or(Path::new("/"))
}

/// The fewest rules that allow it.
pub(super) fn rules(seen: &BTreeMap<PathBuf, Access>) -> Vec<PathRule> {
    let mut paths: BTreeMap<PathBuf, Access> = BTreeMap::new();
    for (path, access) in seen {
        *paths.entry(of_any_process(told(path))).or_default() |= *access;
    }
    // Longest first, so that what is lifted is lifted on.
    let mut order: Vec<PathBuf> = paths.keys().cloned().collect();
    order.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    for path in order {
        let Some(access) = paths.get(&path).copied() else { continue };
        let adds = |dir: &&Path| paths.get(*dir).is_some_and(|access| access.intersects(ADDS));
        if let Some(dir) = path.ancestors().skip(1).find(adds).map(Path::to_owned) {
            *paths.entry(dir).or_default() |= access;
            paths.remove(&path);
        }
    }
    let allowed = |path: &Path, access: Access| {
        path.ancestors().skip(1).any(|dir| paths.get(dir).is_some_and(|above| above.contains(access)))
    };
    let needed = paths.iter().filter(|(path, access)| !allowed(path, **access));
    needed.map(|(path, access)| rule(path, *access)).collect()
}

fn rule(path: &Path, access: Access) -> PathRule {
    let rights = RIGHTS.iter().filter(|(deed, _)| access.contains(*deed));
    // What is gone by then needs no rule.
    PathRule { path: path.to_owned(), access: rights.map(|(_, right)| *right).collect(), if_exists: true }
}

/// Numbers in /proc are others the next time; `net` and `mounts` are links to what a process has.
fn of_any_process(path: &Path) -> PathBuf {
    let mut parts = path.components().skip(1).filter_map(|part| part.as_os_str().to_str());
    let is_process = |name: &str| {
        ["self", "thread-self", "net", "mounts"].contains(&name)
            || (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match (parts.next(), parts.next()) {
        (Some("proc"), Some(name)) if is_process(name) => PathBuf::from("/proc"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(seen: &[(&str, Access)]) -> Vec<(String, String)> {
        let seen = seen.iter().map(|(path, access)| (PathBuf::from(path), *access)).collect();
        rules(&seen)
            .into_iter()
            .map(|rule| (rule.path.display().to_string(), rule.access.join(" ")))
            .collect()
    }

    #[test]
    fn files_are_named_one_by_one() {
        let found = made(&[("/bin/sh", Access::READ | Access::EXECUTE), ("/etc/passwd", Access::READ)]);
        let wanted = [
            ("/bin/sh".to_owned(), "read_file execute".to_owned()),
            ("/etc/passwd".to_owned(), "read_file".to_owned()),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_name_that_json_has_not_is_allowed_by_its_directory() {
        use std::os::unix::ffi::OsStrExt;
        let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"/srv/\xff/file"));
        let found = rules(&[(odd, Access::READ)].into_iter().collect());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.to_str(), found[0].access.as_slice()), (Some("/srv"), &["read_file"][..]));
    }

    #[test]
    fn what_was_made_is_allowed_where_it_was_made() {
        let found = made(&[
            ("/tmp", Access::MAKE_DIR),
            ("/tmp/a", Access::MAKE_FILE | Access::WRITE),
            ("/tmp/a/b", Access::READ),
            ("/tmpfile", Access::READ),
        ]);
        let all = "read_file write_file make_reg make_dir".to_owned();
        assert_eq!(found, [("/tmp".to_owned(), all), ("/tmpfile".to_owned(), "read_file".to_owned())]);
    }

    #[test]
    fn processes_have_other_numbers_and_covered_paths_no_rule() {
        let found = made(&[
            ("/proc/self/status", Access::READ),
            ("/proc/17/maps", Access::READ),
            ("/proc/cpuinfo", Access::READ),
            ("/proc/sys/kernel", Access::LIST),
        ]);
        let wanted = [
            ("/proc".to_owned(), "read_file".to_owned()),
            ("/proc/sys/kernel".to_owned(), "read_dir".to_owned()),
        ];
        assert_eq!(found, wanted);
        // These are links to what a process has.
        for link in ["/proc/net/tcp", "/proc/mounts"] {
            assert_eq!(made(&[(link, Access::READ)]), [wanted[0].clone()], "{link}");
        }
    }
}
