//! What is wrong with a mount config, all of it at once.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::config::{IdMapping, Mount, MountConfig};
use crate::device::{DeviceKind, DeviceNode, WILDCARD};
use crate::options::{Options, parse_options};
use crate::plan::components;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer, relative to the mount config.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

const PATH_MAX: usize = 4095;
const PAGE: usize = 4095;
const MAX_LINES: usize = 340;

/// Files in `/proc` over which a host service such as lxcfs may mount.
const PROC_FILES: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "net/dev",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
];

impl MountConfig {
    /// Everything that is wrong with it, without looking at the host.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut all = Problems::default();
        for (index, mount) in self.mounts.iter().enumerate() {
            all.under(&format!("/mounts/{index}"), |all| mount_problems(mount, all));
        }
        for (index, node) in self.device_nodes.iter().enumerate() {
            all.under(&format!("/device_nodes/{index}"), |all| node_problems(node, all));
        }
        for (key, paths) in [("masked_paths", &self.masked_paths), ("readonly_paths", &self.readonly_paths)] {
            for (index, path) in paths.iter().enumerate() {
                all.under(&format!("/{key}/{index}"), |all| absolute(path, "", all));
            }
        }
        let propagation = self.rootfs_propagation.as_str();
        if !propagation.is_empty() && self.propagation().is_none() {
            all.add("/rootfs_propagation", format!("{propagation:?}: unknown propagation"));
        }
        all.found
    }

    /// The propagation of the rootfs, and whether for all mounts in it.
    #[must_use]
    pub fn propagation(&self) -> Option<(crate::plan::Propagation, bool)> {
        // What is no option is no propagation: `problems` says so.
        parse_options([self.rootfs_propagation.as_str()], false).ok()?.propagation
    }
}

#[derive(Default)]
struct Problems {
    prefix: String,
    found: Vec<Problem>,
}

impl Problems {
    fn add(&mut self, pointer: &str, message: impl Into<String>) {
        self.found.push(Problem { pointer: format!("{}{pointer}", self.prefix), message: message.into() });
    }

    fn under(&mut self, prefix: &str, check: impl FnOnce(&mut Self)) {
        let len = self.prefix.len();
        self.prefix.push_str(prefix);
        check(self);
        self.prefix.truncate(len);
    }
}

fn absolute(path: &Path, pointer: &str, all: &mut Problems) {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) {
        all.add(pointer, "contains NUL");
    }
    if bytes.len() > PATH_MAX {
        all.add(pointer, format!("longer than {PATH_MAX} bytes"));
    }
    if !path.is_absolute() {
        all.add(pointer, format!("{}: must be absolute", path.display()));
    }
}

fn mount_problems(mount: &Mount, all: &mut Problems) {
    absolute(&mount.destination, "/destination", all);
    destination_problems(mount, all);
    if mount.kind.is_empty() && !mount.is_remount() {
        all.add("/type", "missing");
    }
    if mount.kind.contains('\0') || mount.source.as_os_str().as_bytes().contains(&0) {
        all.add("/source", "contains NUL");
    }
    if mount.is_bind() && !mount.is_remount() && mount.source.as_os_str().is_empty() {
        all.add("/source", "missing: a bind needs a host path");
    }
    let options: usize = mount.options.iter().map(|option| option.len() + 1).sum();
    if options + mount.data.len() > PAGE {
        all.add("/options", format!("longer than {PAGE} bytes"));
    }
    for (index, option) in mount.options.iter().enumerate() {
        if option.contains('\0') {
            all.add(&format!("/options/{index}"), "contains NUL");
        } else if let Err(error) = parse_options([option.as_str()], mount.is_bind()) {
            all.add(&format!("/options/{index}"), error.to_string());
        }
    }
    if mount.data.contains('\0') {
        all.add("/data", "contains NUL");
    } else if let Err(error) = parse_options(mount.data.split(','), mount.is_bind()) {
        all.add("/data", error.to_string());
    }
    option_problems(mount, all);
    if !["", "z", "Z"].contains(&mount.relabel.as_str()) {
        all.add("/relabel", format!("{:?}: z or Z", mount.relabel));
    } else if !mount.relabel.is_empty() && !mount.is_bind() {
        all.add("/relabel", "only for a bind");
    }
    for (key, maps) in [("/uid_mappings", &mount.uid_mappings), ("/gid_mappings", &mount.gid_mappings)] {
        for problem in id_map_problems(maps) {
            all.add(&format!("{key}{}", problem.pointer), problem.message);
        }
    }
}

/// What changes a mount that is there can't be what only a new one can have.
fn remount_problems(mount: &Mount, all: &mut Problems) {
    for (index, option) in mount.options.iter().enumerate() {
        let Ok(own) = parse_options([option.as_str()], false) else { continue };
        if !own.data.is_empty() || own.copy_up || own.copy_symlink || own.idmap.is_some() {
            let text = format!("{option}: not of a remount, which changes attributes such as ro and nosuid");
            all.add(&format!("/options/{index}"), text);
        }
    }
    if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        all.add("/uid_mappings", "an id map: only for a new mount");
    }
    let changes = |own: Options| {
        own.set | own.clear | own.recursive_set | own.recursive_clear != 0 || own.propagation.is_some()
    };
    // Of options that can't be parsed there is a word already.
    if parse_options(mount.options.iter().map(String::as_str), false).is_ok_and(|own| !changes(own)) {
        all.add("/options", "a remount that changes nothing: name an attribute such as ro");
    }
}

/// Options that some kinds of mounts can't have.
fn option_problems(mount: &Mount, all: &mut Problems) {
    if mount.is_remount() {
        return remount_problems(mount, all);
    }
    const OF_BINDS: [&str; 4] = ["copy-symlink", "src-nofollow", "idmap", "ridmap"];
    for (index, option) in mount.options.iter().enumerate() {
        let pointer = format!("/options/{index}");
        if option == "tmpcopyup" && (mount.is_bind() || mount.kind != "tmpfs") {
            all.add(&pointer, "tmpcopyup: only for a tmpfs");
        } else if OF_BINDS.contains(&option.as_str()) && !mount.is_bind() {
            all.add(&pointer, format!("{option}: only for a bind"));
        }
    }
    let (users, groups) = (!mount.uid_mappings.is_empty(), !mount.gid_mappings.is_empty());
    if (users || groups) && !mount.is_bind() {
        all.add("/uid_mappings", "an id map: only for a bind");
    } else if users != groups {
        let (missing, other) =
            if users { ("gid_mappings", "uid_mappings") } else { ("uid_mappings", "gid_mappings") };
        all.add(&format!("/{missing}"), format!("missing beside {other}"));
    }
}

fn destination_problems(mount: &Mount, all: &mut Problems) {
    let names = components(&mount.destination);
    let Some((first, rest)) = names.split_first() else {
        if mount.destination.is_absolute() {
            all.add("/destination", "\"/\": the rootfs itself can't be mounted over");
        }
        return;
    };
    // The host's own is bound by who shares its pid namespace.
    let procfs = mount.kind == "proc" || (mount.is_bind() && mount.source == Path::new("/proc"));
    if first != "proc" || (rest.is_empty() && procfs) {
        return;
    }
    let below = rest.join(std::ffi::OsStr::new("/"));
    let allowed = mount.is_bind() && PROC_FILES.iter().any(|file| below == *file);
    if !allowed {
        all.add("/destination", format!("{}: inside /proc", mount.destination.display()));
    }
}

fn node_problems(node: &DeviceNode, all: &mut Problems) {
    absolute(&node.path, "/path", all);
    if node.path.components().any(|part| part == std::path::Component::ParentDir) {
        all.add("/path", "contains ..");
    }
    if components(&node.path).is_empty() {
        all.add("/path", "missing: a node needs a name");
    }
    if node.kind == DeviceKind::Fifo {
        return;
    }
    for (key, number, most) in
        [("/major_number", node.major_number, 4095), ("/minor_number", node.minor_number, 0xf_ffff)]
    {
        if number == WILDCARD {
            all.add(key, "a node needs a number, not a wildcard");
        } else if !(0..=most).contains(&number) {
            all.add(key, format!("{number}: not in 0..={most}"));
        }
    }
}

/// Everything that is wrong with an id map, each with the index of the line.
#[must_use]
pub fn id_map_problems(maps: &[IdMapping]) -> Vec<Problem> {
    let mut all = Problems::default();
    if maps.len() > MAX_LINES {
        all.add("", format!("{} lines; the kernel takes {MAX_LINES}", maps.len()));
    }
    for (index, map) in maps.iter().enumerate() {
        let pointer = format!("/{index}");
        let last = i64::from(u32::MAX);
        if map.size <= 0 {
            all.add(&format!("{pointer}/size"), format!("{}: must be positive", map.size));
        }
        for (key, first) in [("container_id", map.container_id), ("host_id", map.host_id)] {
            if first < 0 || first.saturating_add(map.size.max(0)) > last {
                all.add(&format!("{pointer}/{key}"), format!("{first}: out of range"));
            }
        }
        let overlap = |a: i64, b: i64, other: &IdMapping| {
            a < b.saturating_add(other.size) && b < a.saturating_add(map.size)
        };
        for (earlier, other) in maps.iter().enumerate().take(index) {
            if overlap(map.container_id, other.container_id, other)
                || overlap(map.host_id, other.host_id, other)
            {
                all.add(&pointer, format!("overlaps with line {earlier}"));
            }
        }
    }
    all.found
}

impl Mount {
    /// Whether it binds a host path rather than mounting a filesystem.
    #[must_use]
    pub fn is_bind(&self) -> bool {
        self.kind == "bind" || self.options.iter().any(|option| option == "bind" || option == "rbind")
    }

    /// Whether it changes attributes of a mount that is there, rather than making one.
    #[must_use]
    pub fn is_remount(&self) -> bool {
        self.options.iter().any(|option| option == "remount")
    }
}
