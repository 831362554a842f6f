//! What of a container comes from outside, and so is in no image: mounts of the host's, and namespaces that were joined.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libcontainer_mount::parse_mountinfo;
use libcontainer_mount::plan::{Origin, components};
use libcontainer_plan::Pid;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags, openat, openat2, statx};

use crate::config::NamespaceKind;
use crate::criu::External;
use crate::error::{Error, ErrorKind, Result, named};
use crate::setup::{MountItem, MountSetup};

const NULL: &str = "/dev/null";
/// `STATX_ATTR_MOUNT_ROOT`: what was looked at is where a mount begins.
const MOUNT_ROOT: u64 = 0x2000;

/// A mount of the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FromHost {
    /// Where it is to lie inside.
    to: PathBuf,
    /// What it is called in the images.
    name: PathBuf,
    /// Where it comes from.
    source: PathBuf,
}

/// Those of a container, in their order.
pub(super) fn from_host(setup: &MountSetup) -> Vec<FromHost> {
    let plain = |to: &Path, source: &Path| {
        let to = absolute(to);
        FromHost { name: to.clone(), to, source: source.to_owned() }
    };
    let mut all: Vec<_> = setup
        .items
        .iter()
        .filter_map(|item| match item {
            MountItem::Bind { bind, to, .. } if bind.within.is_none() => Some(plain(to, &bind.source)),
            _ => None,
        })
        .collect();
    let nodes = setup.devices.iter().chain(&setup.other_devices);
    let bound = nodes.filter(|node| node.origin == Origin::Host);
    all.extend(bound.map(|node| plain(&node.path, &node.path)));
    // A file is hidden by the null device; runc too calls it so in its images.
    let hidden = |path: &PathBuf| FromHost { name: NULL.into(), ..plain(path, Path::new(NULL)) };
    all.extend(setup.hidden.iter().map(hidden));
    all
}

/// Without `..`, from the root.
fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(components(path).into_iter().collect::<PathBuf>())
}

/// Those that process `pid` has, where it has them: links on the way are followed as inside. What is not there, or is no mount any more, is none.
pub(super) fn to_dump(all: &[FromHost], pid: Pid) -> Result<Vec<External>> {
    let failed = |error| Error::io("look at what comes from outside", error);
    let (table, found) = looked_up(all, pid).map_err(failed)?;
    let places = places(&table).map_err(failed)?;
    for (key, one) in &found {
        let lie = places.iter().filter(|place| *place == key).count();
        let same = found.iter().filter(|(place, other)| place == key && other.source == one.source).count();
        if lie > same {
            let text = format!(
                "{lie} mounts lie on {}, one of them from the host ({}): criu knows mounts by their places, and can't tell these apart",
                key.display(),
                one.source.display()
            );
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
    }
    let mut found: Vec<_> =
        found.into_iter().map(|(key, one)| External { key, value: one.name.clone() }).collect();
    found.dedup();
    Ok(found)
}

/// Where one lies, and which it is.
type Lying<'a> = (PathBuf, &'a FromHost);

/// The table of mounts, and where those lie.
fn looked_up(all: &[FromHost], pid: Pid) -> io::Result<(Vec<u8>, Vec<Lying<'_>>)> {
    let root = format!("/proc/{pid}/root");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, root.as_str(), flags, Mode::empty())
        .map_err(|errno| named(format!("open {root}"), errno.into()))?;
    let path = format!("/proc/{pid}/mountinfo");
    let table = fs::read(&path).map_err(|error| named(format!("read {path}"), error))?;
    let mut found = Vec::new();
    for one in all {
        let is_mask = one.source == Path::new(NULL);
        let looked = place(&dir, &one.to, is_mask, &table);
        let looked = looked.map_err(|error| named(format!("look at {} in {root}", one.to.display()), error));
        found.extend(looked?.map(|key| (key, one)));
    }
    Ok((table, found))
}

/// Where each mount of a table lies.
fn places(table: &[u8]) -> io::Result<Vec<PathBuf>> {
    let place = |target: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(target));
    parse_mountinfo(table).map(|entry| Ok(place(&entry.map_err(io::Error::other)?.target))).collect()
}

/// Where the mount lies whose beginning `path` is. A directory is hidden by a filesystem of the container's own.
fn place(root: &OwnedFd, path: &Path, is_mask: bool, table: &[u8]) -> io::Result<Option<PathBuf>> {
    let below = path.strip_prefix("/").unwrap_or(path);
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let opened = match openat2(root, below, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        opened => opened?,
    };
    let seen = statx(&opened, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID | StatxFlags::TYPE)?;
    let is_directory = FileType::from_raw_mode(seen.stx_mode.into()) == FileType::Directory;
    if seen.stx_attributes.bits() & MOUNT_ROOT == 0 || (is_mask && is_directory) {
        return Ok(None);
    }
    for entry in parse_mountinfo(table) {
        let entry = entry.map_err(io::Error::other)?;
        if u64::from(entry.id) == seen.stx_mnt_id {
            return Ok(Some(std::ffi::OsStr::from_bytes(&entry.target).into()));
        }
    }
    Ok(None)
}

/// What criu is to bind where the images have those names. It goes by paths, and does not follow links, which the sources may be.
pub(super) fn to_restore(all: &[FromHost]) -> io::Result<Vec<External>> {
    let mut mapped: Vec<External> = Vec::new();
    for one in all {
        if !mapped.iter().any(|known| known.key == one.name) {
            let source = one.source.canonicalize();
            let value = source.map_err(|error| named(format!("realpath {}", one.source.display()), error))?;
            mapped.push(External { key: one.name.clone(), value });
        }
    }
    Ok(mapped)
}

/// By what name a restore finds a namespace that was joined, for the two kinds that criu knows by names.
pub(super) fn namespace_key(kind: NamespaceKind) -> Option<&'static str> {
    match kind {
        NamespaceKind::Network => Some("extRootNetNS"),
        NamespaceKind::Pid => Some("extRootPidNS"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use libcontainer_mount::plan::{Bind, Kind};

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn masks_have_one_name() {
        let bind = Bind { source: "/proc/self/../tty".into(), ..Bind::default() };
        let setup = MountSetup {
            items: vec![MountItem::Bind { bind, to: "/x/../data/".into(), kind: Kind::Directory }],
            hidden: vec!["/proc/kcore".into(), "/proc/keys".into()],
            ..MountSetup::default()
        };
        let all = from_host(&setup);
        assert_eq!(all[0].to, Path::new("/data"));
        let pair = |key: &str, value: &str| External { key: key.into(), value: value.into() };
        // Behind links.
        assert_eq!(to_restore(&all).unwrap(), [pair("/data", "/proc/tty"), pair(NULL, NULL)]);
        let lost = FromHost { source: "/no/such".into(), name: "/other".into(), to: "/other".into() };
        assert!(to_restore(&[lost]).unwrap_err().to_string().contains("/no/such"));
    }
}
