//! The host's check before release: what the init says it is, compared with what the plan wanted.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use libcontainer_cgroups::Place;
use libcontainer_plan::Pid;
use libcontainer_security::{Ids, Status};
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;

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
    /// Namespaces that were joined, each with its kind and inode as `/proc/PID/ns` shows them: `net:[4026531840]`.
    pub joined: Vec<String>,
    /// The control group in each hierarchy; `None` for what the container's record says.
    pub cgroup: Option<Vec<Place>>,
}

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
/// Room for 65,536 groups.
const LIMIT: u64 = 1024 * 1024;

/// What can be looked up before the init is ready.
#[derive(Debug)]
pub(crate) struct Prepared {
    proc: OwnedFd,
    /// Names of the host's own namespaces, in the order of [`Expected::namespaces`].
    own: Vec<OsString>,
}

/// Opens `/proc/PID` and looks at the host's own namespaces.
pub(crate) fn prepare(pid: Pid, expected: &Expected) -> io::Result<Prepared> {
    let proc = process_dir(pid)?;
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let ns = nix::fcntl::open("/proc/thread-self/ns", flags, Mode::empty())?;
    let mut own = Vec::with_capacity(expected.namespaces.len());
    for (name, _) in &expected.namespaces {
        own.push(readlinkat(&ns, name.as_str())?);
        // Only to have the kernel make the entry now: what counts is looked at again when the init is ready.
        let _ = readlinkat(&proc, format!("ns/{name}").as_str());
    }
    for file in expected.joined.iter().filter_map(|link| file_of(link)) {
        let _ = readlinkat(&proc, file.as_str());
    }
    Ok(Prepared { proc, own })
}

/// Reads `/proc/PID` and compares.
///
/// # Errors
/// Names the first item that differs, with both values.
pub(crate) fn check(prepared: &Prepared, expected: &Expected, groups: &[Place]) -> io::Result<()> {
    let Prepared { proc, own } = prepared;
    let status = Status::parse(read(proc, "status")?.as_bytes()).map_err(io::Error::other)?;
    identity(&status, expected)?;
    privileges(&status, expected)?;
    namespaces(proc, own, &expected.namespaces)?;
    joined(proc, &expected.joined)?;
    let groups = expected.cgroup.as_deref().unwrap_or(groups);
    if groups.is_empty() { Ok(()) } else { in_groups(&read(proc, "cgroup")?, groups) }
}

fn differs(item: &str, wanted: impl Display, found: impl Display) -> io::Error {
    io::Error::other(format!("read back {item} of the init: wanted {wanted}, found {found}"))
}

fn identity(status: &Status, expected: &Expected) -> io::Result<()> {
    for (item, found, wanted) in [("Uid", status.uids, expected.uid), ("Gid", status.gids, expected.gid)] {
        if let Some(wanted) = wanted.filter(|wanted| found != Ids::all(*wanted)) {
            return Err(differs(item, wanted, found));
        }
    }
    let mut found = status.groups.clone();
    found.sort_unstable();
    match &expected.groups {
        Some(wanted) if *wanted != found => {
            Err(differs("Groups", format!("{wanted:?}"), format!("{found:?}")))
        }
        _ => Ok(()),
    }
}

fn privileges(status: &Status, expected: &Expected) -> io::Result<()> {
    let sets = &status.capabilities;
    let found = [sets.inheritable, sets.permitted, sets.effective, sets.bounding, sets.ambient];
    for ((item, found), wanted) in SETS.into_iter().zip(found).zip(expected.capabilities) {
        if found.bits() != wanted {
            return Err(differs(item, format!("{wanted:016x}"), format!("{:016x}", found.bits())));
        }
    }
    if status.no_new_privs == expected.no_new_privs {
        return Ok(());
    }
    Err(differs("NoNewPrivs", expected.no_new_privs, status.no_new_privs))
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

/// The link's text has the inode, as `net:[4026531840]`; following it would make the kernel set up a file for each namespace.
fn namespaces(proc: &OwnedFd, own: &[OsString], wanted: &[(String, bool)]) -> io::Result<()> {
    for ((name, own_one), ours) in wanted.iter().zip(own) {
        let theirs = readlinkat(proc, format!("ns/{name}").as_str())?;
        if (theirs != *ours) != *own_one {
            let state = if *own_one { "one of its own" } else { "the host's" };
            return Err(io::Error::other(format!("read back namespace {name} of the init: wanted {state}")));
        }
    }
    Ok(())
}

/// No two namespaces that live have one inode, and those that are wanted live: the host or the container's first process holds them.
fn joined(proc: &OwnedFd, wanted: &[String]) -> io::Result<()> {
    for link in wanted {
        let found = match file_of(link) {
            Some(file) => readlinkat(proc, file.as_str())?,
            None => OsString::new(),
        };
        if found != link.as_str() {
            return Err(differs("namespace", link, found.to_string_lossy()));
        }
    }
    Ok(())
}

fn file_of(link: &str) -> Option<String> {
    link.split_once(':').map(|(kind, _)| format!("ns/{kind}"))
}

/// The namespace behind an open file of nsfs, as `/proc/PID/ns` shows it.
pub(crate) fn link_of(kind: &str, namespace: impl AsFd) -> io::Result<String> {
    Ok(format!("{kind}:[{}]", nix::sys::stat::fstat(namespace)?.st_ino))
}

fn read(proc: &OwnedFd, name: &str) -> io::Result<String> {
    let fd = openat(proc, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty())?;
    // Room for the whole file: the kernel formats it anew for each read.
    let mut text = Vec::with_capacity(4096);
    File::from(fd).take(LIMIT).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
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
}
