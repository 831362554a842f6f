//! Rules of namespaces, and of what belongs to one: ids, names, kernel settings.

use std::os::unix::ffi::OsStrExt;

use libcontainer_mount::{IdMapping, id_map_problems};

use super::problems::{Facts, Problems};
use crate::config::container::Config;
use crate::config::namespace_kind::NamespaceKind;
use crate::config::namespaces::Namespace;

const HOST_NAME_MAX: usize = 64;

impl Config {
    pub(super) fn namespace_problems(&self, facts: &Facts, all: &mut Problems) {
        for key in &self.namespaces.unknown {
            all.add(format!("/namespaces/{key}"), "unknown namespace");
        }
        for (kind, namespace) in self.namespaces.iter() {
            if let Namespace::Join(path) = namespace {
                let pointer = format!("/namespaces/{}", kind.key());
                if !path.is_absolute() || path.as_os_str().as_bytes().contains(&0) {
                    all.add(pointer, format!("{}: must be absolute, without NUL", path.display()));
                } else if kind == NamespaceKind::Mount {
                    self.joined_mounts_problems(&pointer, facts, all);
                }
            }
        }
        if facts.euid != 0 && !self.namespaces.contains(NamespaceKind::User) {
            let remedy = "add NEWUSER and map the own id, or run as root";
            all.hint("/namespaces", format!("user {} needs a user namespace", facts.euid), remedy);
        }
        if !self.time_offsets.is_empty() && !self.namespaces.is_new(NamespaceKind::Time) {
            all.add("/time_offsets", "needs a new time namespace (NEWTIME)");
        }
        for (clock, offset) in &self.time_offsets {
            if !["monotonic", "boottime"].contains(&clock.as_str()) || offset.nanosecs >= 1_000_000_000 {
                all.add(
                    format!("/time_offsets/{clock}"),
                    "monotonic or boottime, with nanosecs below 1000000000",
                );
            }
        }
    }

    fn joined_mounts_problems(&self, pointer: &str, facts: &Facts, all: &mut Problems) {
        if facts.euid != 0 {
            all.add(pointer, format!("joining one needs root on the host, not user {}", facts.euid));
        }
        if self.namespaces.is_new(NamespaceKind::User) {
            let text = "a new user namespace has no rights over a mount namespace that is joined";
            all.hint(pointer, text, "join the user namespace to which it belongs");
        }
    }

    pub(super) fn mapping_problems(&self, all: &mut Problems) {
        let user = self.namespaces.get(NamespaceKind::User);
        for (key, maps) in [("uid_mappings", &self.uid_mappings), ("gid_mappings", &self.gid_mappings)] {
            if user != Some(&Namespace::New) && !maps.is_empty() {
                all.add(format!("/{key}"), "given without a new user namespace (NEWUSER)");
            }
            if user == Some(&Namespace::New) {
                self.one_mapping(key, maps, all);
            }
        }
    }

    fn one_mapping(&self, key: &str, maps: &[IdMapping], all: &mut Problems) {
        if maps.is_empty() {
            return all.add(format!("/{key}"), "missing: a user namespace needs a map");
        }
        let found = id_map_problems(maps);
        let broken = !found.is_empty();
        for problem in found {
            all.add(format!("/{key}{}", problem.pointer), problem.message);
        }
        let maps_root = maps.iter().any(|map| map.has(0));
        if !broken && !maps_root {
            all.add(format!("/{key}"), "id 0 is not mapped: the set-up runs as root of the user namespace");
        }
    }

    pub(super) fn name_problems(&self, all: &mut Problems) {
        for (key, name) in [("hostname", &self.hostname), ("domainname", &self.domainname)] {
            if name.is_empty() {
                continue;
            }
            if !self.namespaces.contains(NamespaceKind::Uts) {
                all.hint(format!("/{key}"), "would change the host's name", "add NEWUTS");
            }
            if name.len() > HOST_NAME_MAX || name.contains(|c: char| c.is_control() || c.is_whitespace()) {
                all.add(
                    format!("/{key}"),
                    format!("{name:?}: at most {HOST_NAME_MAX} bytes without spaces and control characters"),
                );
            }
        }
    }

    /// Id maps of mounts, as far as they depend on the container or on the caller.
    pub(super) fn sysctl_problems(&self, all: &mut Problems) {
        for (key, value) in &self.sysctl {
            let pointer = format!("/sysctl/{}", key.replace('~', "~0").replace('/', "~1"));
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if key.is_empty() || !key.chars().all(plain) || key.split('.').any(str::is_empty) {
                all.add(pointer, "a name of letters, digits, `_`, `-` with dots between");
            } else if value.contains(['\n', '\0']) {
                all.add(pointer, "the value contains a newline or NUL");
            } else {
                match sysctl_namespace(key) {
                    None => all.add(pointer, "not a setting of a namespace: it would change the host"),
                    Some(kind) if !self.namespaces.contains(kind) => {
                        all.hint(pointer, "would change the host", &format!("add {}", kind.key()));
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

fn sysctl_namespace(key: &str) -> Option<NamespaceKind> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    if IPC.contains(&key) || key.starts_with("fs.mqueue.") {
        return Some(NamespaceKind::Ipc);
    }
    if key.starts_with("net.") {
        return Some(NamespaceKind::Network);
    }
    matches!(key, "kernel.hostname" | "kernel.domainname").then_some(NamespaceKind::Uts)
}
