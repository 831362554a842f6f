//! The mounts of control group hierarchies in `/proc/self/mountinfo`, without those that other mounts hide.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{malformed, path};
use crate::error::Result;

/// Options of a super block of version 1 that are no controllers.
const NOT_CONTROLLERS: &[&str] =
    &["rw", "ro", "noprefix", "clone_children", "xattr", "cpuset_v2_mode", "favordynmods", "sync", "dirsync"];

/// One line.
pub(super) struct Mount {
    id: u64,
    parent: u64,
    pub(super) root: PathBuf,
    pub(super) mountpoint: PathBuf,
    fs_type: Vec<u8>,
    options: Vec<String>,
    pub(super) read_only: bool,
}

impl Mount {
    pub(super) fn is_v2(&self) -> bool {
        self.fs_type == b"cgroup2"
    }

    fn place(&self) -> &[u8] {
        self.mountpoint.as_os_str().as_bytes()
    }

    pub(super) fn has_option(&self, name: &str) -> bool {
        self.options.iter().any(|option| option == name)
    }

    /// Controllers and the name of a hierarchy of version 1. `known` tells controllers from options that are new to us.
    pub(super) fn controllers(&self, known: impl Fn(&str) -> bool) -> Vec<String> {
        let named = |option: &str| option.starts_with("name=");
        let plain = |option: &str| {
            !option.contains('=') && !option.starts_with("no") && !NOT_CONTROLLERS.contains(&option)
        };
        let mine = self.options.iter().filter(|option| named(option) || known(option) || plain(option));
        mine.cloned().collect()
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
        let (root, mountpoint, options) = (fields.nth(1)?, fields.next()?, fields.next()?);
        // Optional fields end with a lone hyphen.
        fields.by_ref().find(|field| *field == b"-")?;
        let (fs_type, super_options) = (fields.next()?, fields.nth(1)?);
        let flags = |options: &[u8]| options.split(|byte| *byte == b',').any(|option| option == b"ro");
        Some(Self {
            id,
            parent,
            root: path(&unescape(root)),
            mountpoint: path(&unescape(mountpoint)),
            fs_type: fs_type.to_vec(),
            options: String::from_utf8_lossy(&unescape(super_options))
                .split(',')
                .map(str::to_owned)
                .collect(),
            read_only: flags(options) || flags(super_options),
        })
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Undoes the kernel's `\040` for a space and the like (`mangle_path`).
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                plain.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                rest = tail;
            }
            _ => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    plain
}

/// The control group mounts that a lookup by their mount point reaches.
pub(super) fn visible(text: &[u8]) -> Result<Vec<Mount>> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let all: Vec<Mount> = lines
        .map(|line| Mount::parse(line).ok_or_else(|| malformed("/proc/self/mountinfo", line)))
        .collect::<Result<_>>()?;
    let by_id: BTreeMap<u64, &Mount> = all.iter().map(|mount| (mount.id, mount)).collect();
    let shown: Vec<bool> = all
        .iter()
        .map(|mount| {
            let ours = mount.fs_type == b"cgroup" || mount.is_v2();
            // A directory that was removed after it had been mounted can't be used.
            let deleted = mount.root.as_os_str().as_encoded_bytes().ends_with(b"//deleted");
            ours && !deleted && !is_hidden(mount, &all, &by_id)
        })
        .collect();
    Ok(all.into_iter().zip(shown).filter_map(|(mount, shown)| shown.then_some(mount)).collect())
}

/// True when another mount lies over `mount` or over one of the mounts that lead to it.
fn is_hidden(mount: &Mount, all: &[Mount], by_id: &BTreeMap<u64, &Mount>) -> bool {
    let mut way = Some(mount);
    // No chain is longer than the list; a text that claims a loop ends here.
    for _ in 0..all.len() {
        let Some(step) = way else { return false };
        let over = all.iter().any(|other| {
            let on_it = other.parent == step.id && step.id == mount.id && other.place() == mount.place();
            let before_it =
                other.parent == step.parent && other.id != step.id && leads_to(other.place(), step.place());
            on_it || before_it
        });
        if over {
            return true;
        }
        way = by_id.get(&step.parent).copied().filter(|parent| parent.id != step.id);
    }
    false
}

/// Whether `top` is a directory on the way to `path`. The kernel writes both without `.`, `..` and doubled slashes. A mount over the root
/// is not seen from below it.
fn leads_to(top: &[u8], path: &[u8]) -> bool {
    top != b"/" && path.strip_prefix(top).is_some_and(|rest| rest.starts_with(b"/"))
}
