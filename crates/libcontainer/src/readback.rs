//! The host's check before release: what the init says it is, compared with what the plan wanted.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use libcontainer_cgroups::Place;
use libcontainer_plan::Pid;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};

use crate::idmap::process_dir;

/// What the host expects of a ready init, in the host's own ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// User id in the host's user namespace; `None` if it has no name there.
    pub uid: Option<u32>,
    /// Group id likewise.
    pub gid: Option<u32>,
    /// Supplementary groups likewise, sorted.
    pub groups: Option<Vec<u32>>,
    /// Inheritable, permitted, effective, bounding, ambient: as masks.
    pub capabilities: [u64; 5],
    /// The flag.
    pub no_new_privs: bool,
    /// Namespace files in `/proc/PID/ns` that must differ from the host's, and those that must be the same.
    pub namespaces: Vec<(String, bool)>,
    /// The control group in each hierarchy; `None` for what the container's record says.
    pub cgroup: Option<Vec<Place>>,
}

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
const LIMIT: u64 = 64 * 1024;

/// What can be looked up before the init is ready.
#[derive(Debug)]
pub(crate) struct Prepared {
    proc: OwnedFd,
    /// Inodes of the host's own namespaces, in the order of [`Expected::namespaces`].
    own: Vec<u64>,
}

/// Opens `/proc/PID` and looks at the host's own namespaces.
pub(crate) fn prepare(pid: Pid, expected: &Expected) -> io::Result<Prepared> {
    let proc = process_dir(pid)?;
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let ns = nix::fcntl::open("/proc/thread-self/ns", flags, Mode::empty())?;
    let mut own = Vec::with_capacity(expected.namespaces.len());
    for (name, _) in &expected.namespaces {
        own.push(fstatat(&ns, name.as_str(), AtFlags::empty())?.st_ino);
        // Only to have the kernel make the entry now: what counts is looked at again when the init is ready.
        let _ = fstatat(&proc, format!("ns/{name}").as_str(), AtFlags::empty());
    }
    Ok(Prepared { proc, own })
}

/// Reads `/proc/PID` and compares.
///
/// # Errors
/// Names the first item that differs, with both values.
pub(crate) fn check(prepared: &Prepared, expected: &Expected, groups: &[Place]) -> io::Result<()> {
    let Prepared { proc, own } = prepared;
    let status = read(proc, "status")?;
    let differs = |item: &str, wanted: String, found: &str| {
        io::Error::other(format!("read back {item} of the init: wanted {wanted}, found {found}"))
    };
    for (field, wanted) in [("Uid", expected.uid), ("Gid", expected.gid)] {
        let found = field_of(&status, field);
        if let Some(wanted) = wanted
            && !found.split_whitespace().all(|id| id.parse() == Ok(wanted))
        {
            return Err(differs(field, wanted.to_string(), found));
        }
    }
    if let Some(groups) = &expected.groups {
        let found = field_of(&status, "Groups");
        let mut ids: Vec<u32> = found.split_whitespace().filter_map(|id| id.parse().ok()).collect();
        ids.sort_unstable();
        if ids != *groups {
            return Err(differs("Groups", format!("{groups:?}"), found));
        }
    }
    for (set, wanted) in SETS.into_iter().zip(expected.capabilities) {
        let found = field_of(&status, set);
        if u64::from_str_radix(found, 16) != Ok(wanted) {
            return Err(differs(set, format!("{wanted:016x}"), found));
        }
    }
    let found = field_of(&status, "NoNewPrivs");
    if found != if expected.no_new_privs { "1" } else { "0" } {
        return Err(differs("NoNewPrivs", u8::from(expected.no_new_privs).to_string(), found));
    }
    namespaces(proc, own, &expected.namespaces)?;
    let groups = expected.cgroup.as_deref().unwrap_or(groups);
    if groups.is_empty() { Ok(()) } else { in_groups(&read(proc, "cgroup")?, groups) }
}

/// Whether the process is in each of `groups`, by the text of `/proc/PID/cgroup`.
fn in_groups(text: &str, groups: &[Place]) -> io::Result<()> {
    for group in groups {
        let listed = |line: &&str| {
            let names: Vec<_> = line.split(',').filter(|name| !name.is_empty()).collect();
            let known = |name: &&str| group.controllers.iter().any(|own| own == name);
            if group.unified { names.is_empty() } else { !names.is_empty() && names.iter().all(known) }
        };
        let mut lines = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        let found = lines.find(|(names, _)| listed(names)).map_or("", |(_, path)| path);
        // What is mounted may be a part of the hierarchy: then the path has more in front.
        if !Path::new(found).ends_with(&group.below) {
            let (wanted, name) = (group.below.display(), group.controllers.join(","));
            let text =
                format!("read back control group {name} of the init: wanted {wanted}, found {found:?}");
            return Err(io::Error::other(text));
        }
    }
    Ok(())
}

fn namespaces(proc: &OwnedFd, own: &[u64], wanted: &[(String, bool)]) -> io::Result<()> {
    for ((name, own_one), ours) in wanted.iter().zip(own) {
        let theirs = fstatat(proc, format!("ns/{name}").as_str(), AtFlags::empty())?.st_ino;
        if (theirs != *ours) != *own_one {
            let state = if *own_one { "one of its own" } else { "the host's" };
            return Err(io::Error::other(format!("read back namespace {name} of the init: wanted {state}")));
        }
    }
    Ok(())
}

fn read(proc: &OwnedFd, name: &str) -> io::Result<String> {
    let fd = openat(proc, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty())?;
    // Room for the whole file: the kernel formats it anew for each read.
    let mut text = Vec::with_capacity(4096);
    File::from(fd).take(LIMIT).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn field_of<'a>(status: &'a str, name: &str) -> &'a str {
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_their_controllers() {
        let place = |unified: bool, names: &[&str], below: &str| Place {
            unified,
            controllers: names.iter().map(|name| (*name).to_owned()).collect(),
            mountpoint: "/m".into(),
            below: below.into(),
            new: 1,
            inode: None,
            no_prefix: false,
        };
        let text = "5:cpuacct,cpu:/outer/a/b\n3:memory:/x\n1:name=systemd:/\n0::/a/b\n";
        let check = |place: Place| in_groups(text, &[place]).is_ok();
        assert!(check(place(false, &["cpu", "cpuacct"], "a/b")));
        assert!(check(place(true, &["memory"], "a/b")));
        assert!(!check(place(false, &["memory"], "a/b")));
        assert!(!check(place(true, &[], "b/a")));
        assert!(!check(place(false, &["pids"], "a/b")));
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "Name:\tx\nUid:\t1\t1\t1\t1\nCapBnd:\t00ff\n";
        assert_eq!(field_of(status, "Uid"), "1\t1\t1\t1");
        assert_eq!(field_of(status, "CapBnd"), "00ff");
        assert_eq!(field_of(status, "Cap"), "");
    }
}
