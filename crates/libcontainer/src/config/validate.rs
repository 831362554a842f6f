//! Cross-field rules of a config: pure, and all problems at once.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libcontainer_mount::{IdMapping, id_map_problems};
use libcontainer_security::{CapSet, Capabilities, rlimit_problems};

use super::container::Config;
use super::namespace_kind::NamespaceKind;
use super::namespaces::Namespace;
use crate::error::Problem;

/// What validation needs to know of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Effective user id of the caller.
    pub euid: u32,
    /// Let through what this version can't do yet: for `explain`, which runs nothing.
    pub allow_unsupported: bool,
}

/// Longest single argument or variable: execve(2), `MAX_ARG_STRLEN` less the NUL.
const ARGUMENT: usize = 131_071;
/// Room for all arguments and variables under the usual stack limit of 8 MiB.
const ARGUMENTS: usize = 2 * 1024 * 1024;
const PATH_MAX: usize = 4095;
const HOST_NAME_MAX: usize = 64;

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { pointer: pointer.into(), message: message.into(), remedy: None });
    }

    fn hint(&mut self, pointer: impl Into<String>, message: impl Into<String>, remedy: &str) {
        let remedy = Some(remedy.to_owned());
        self.0.push(Problem { pointer: pointer.into(), message: message.into(), remedy });
    }
}

impl Config {
    /// Everything that is wrong with the config, each with a JSON pointer; nothing if it is fit to be compiled.
    #[must_use]
    pub fn problems(&self, facts: &Facts) -> Vec<Problem> {
        let mut all = Problems::default();
        self.rootfs_problems(&mut all);
        self.namespace_problems(facts, &mut all);
        self.mapping_problems(&mut all);
        self.name_problems(&mut all);
        self.mount_problems(&mut all);
        self.mapped_mount_problems(facts, &mut all);
        self.process_problems(&mut all);
        self.capability_problems(&mut all);
        self.sysctl_problems(&mut all);
        self.network_problems(facts, &mut all);
        if !facts.allow_unsupported {
            self.unsupported(&mut all);
        }
        all.0
    }

    fn rootfs_problems(&self, all: &mut Problems) {
        let path = self.rootfs.as_os_str().as_bytes();
        if path.is_empty() {
            if self.namespaces.contains(NamespaceKind::Mount) {
                all.add("/rootfs", "missing");
            }
        } else if path.contains(&0) {
            all.add("/rootfs", "contains NUL");
        } else if path.len() > PATH_MAX {
            all.add("/rootfs", format!("longer than {PATH_MAX} bytes"));
        } else if !self.rootfs.is_absolute() {
            all.add("/rootfs", format!("{}: must be absolute", self.rootfs.display()));
        } else if self.rootfs == Path::new("/") {
            all.hint(
                "/rootfs",
                "\"/\": the host's root can't be taken as rootfs",
                "bind it to a directory first",
            );
        }
    }

    fn namespace_problems(&self, facts: &Facts, all: &mut Problems) {
        for key in &self.namespaces.unknown {
            all.add(format!("/namespaces/{key}"), "unknown namespace");
        }
        for (kind, namespace) in self.namespaces.iter() {
            if let Namespace::Join(path) = namespace {
                let pointer = format!("/namespaces/{}", kind.key());
                if !path.is_absolute() || path.as_os_str().as_bytes().contains(&0) {
                    all.add(pointer, format!("{}: must be absolute, without NUL", path.display()));
                } else if kind == NamespaceKind::Mount {
                    all.add(pointer, "joining a mount namespace at creation is not supported");
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

    fn mapping_problems(&self, all: &mut Problems) {
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

    fn name_problems(&self, all: &mut Problems) {
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
    fn mapped_mount_problems(&self, facts: &Facts, all: &mut Problems) {
        let new_user = self.namespaces.is_new(NamespaceKind::User);
        for (index, mount) in self.mount_config.iter().flat_map(|config| &config.mounts).enumerate() {
            let own = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
            let named = mount.options.iter().any(|option| option == "idmap" || option == "ridmap");
            let pointer =
                format!("/mount_config/mounts/{index}/{}", if own { "uid_mappings" } else { "options" });
            if named && !own && !new_user {
                let remedy = "give uid_mappings and gid_mappings of the mount, or add NEWUSER";
                all.hint(pointer, "idmap without a map: the container has no new user namespace", remedy);
            } else if (named || own) && facts.euid != 0 {
                let text = format!("an id map of a mount needs root on the host, not user {}", facts.euid);
                all.add(pointer, text);
            }
        }
    }

    fn mount_problems(&self, all: &mut Problems) {
        let own = self.namespaces.contains(NamespaceKind::Mount);
        if let Some(config) = &self.mount_config {
            if !own {
                all.hint("/mount_config", "would change the host's mounts", "add NEWNS");
            }
            for problem in config.problems() {
                all.add(format!("/mount_config{}", problem.pointer), problem.message);
            }
        }
        if self.restrict_sys && !own {
            all.hint("/restrict_sys", "would change the host's mounts", "add NEWNS");
        }
    }

    fn process_problems(&self, all: &mut Problems) {
        for (index, entry) in self.environment.iter().enumerate() {
            environment(entry.as_bytes(), &format!("/environment/{index}"), all);
        }
        directory(&self.working_dir, "/working_dir", all);
        if self.oom_score_adj.is_some_and(|score| !(-1000..=1000).contains(&score)) {
            all.add("/oom_score_adj", "not in -1000..=1000");
        }
        if self.umask.is_some_and(|umask| umask > 0o777) {
            all.add("/umask", "out of range: at most 511 (0777)");
        }
        if self.parent_death_signal > 64 {
            all.add("/parent_death_signal", format!("{}: no signal", self.parent_death_signal));
        }
        if self.additional_groups.len() > 65536 {
            all.add("/additional_groups", "more than 65536");
        }
        for (index, reason) in rlimit_problems(&self.rlimits) {
            all.add(format!("/rlimits/{index}"), reason);
        }
        if self.user.contains('\0') {
            all.add("/user", "contains NUL");
        }
    }

    fn capability_problems(&self, all: &mut Problems) {
        for (index, name) in self.capabilities.iter().enumerate() {
            if let Err(error) = CapSet::from_names([name.as_str()]) {
                all.add(format!("/capabilities/{index}"), error.to_string());
            }
        }
        let Some(sets) = &self.capability_sets else { return };
        let lists = [
            ("bounding", &sets.bounding),
            ("effective", &sets.effective),
            ("permitted", &sets.permitted),
            ("inheritable", &sets.inheritable),
            ("ambient", &sets.ambient),
        ];
        let before = all.0.len();
        for (key, names) in lists {
            for (index, name) in names.iter().enumerate() {
                if let Err(error) = CapSet::from_names([name.as_str()]) {
                    all.add(format!("/capability_sets/{key}/{index}"), error.to_string());
                }
            }
        }
        if all.0.len() == before {
            for (key, reason) in self.capability_masks().problems() {
                all.add(format!("/capability_sets/{key}"), reason);
            }
        }
    }

    /// The five sets that the config asks for. Unknown names are left out: validation has reported them.
    pub(crate) fn capability_masks(&self) -> Capabilities {
        let set = |names: &[String]| names.iter().filter_map(|name| name.parse().ok()).collect::<CapSet>();
        match &self.capability_sets {
            Some(sets) => Capabilities {
                bounding: set(&sets.bounding),
                effective: set(&sets.effective),
                permitted: set(&sets.permitted),
                inheritable: set(&sets.inheritable),
                ambient: set(&sets.ambient),
            },
            None => Capabilities::keep(set(&self.capabilities)),
        }
    }

    fn sysctl_problems(&self, all: &mut Problems) {
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

    fn network_problems(&self, facts: &Facts, all: &mut Problems) {
        let plan = match libcontainer_network::Plan::new(&self.networks, &self.routes) {
            Ok(plan) => plan,
            Err(found) => {
                return found.into_iter().for_each(|problem| all.add(problem.pointer, problem.message));
            }
        };
        let joins = self.networks.iter().filter(|network| network.kind == "netns").count();
        let own = self.namespaces.contains(NamespaceKind::Network);
        if joins > 1 || (joins == 1 && own) {
            all.add(
                "/networks",
                "a container has one network namespace: NEWNET, or one network of type netns",
            );
        }
        if joins == 0 && !own && !(self.networks.is_empty() && self.routes.is_empty()) {
            all.hint("/networks", "would change the host's network", "add NEWNET");
        }
        if facts.euid != 0 && plan.needs_root() {
            let remedy =
                "an ordinary user can have loopback, pasta, or join a namespace that was set up for it";
            all.hint("/networks", "needs root: it changes links of the host", remedy);
        }
        if plan.has_pasta() && (facts.euid == 0 || !self.namespaces.is_new(NamespaceKind::User)) {
            let remedy = "as root use veth";
            all.hint("/networks", "pasta: only without root, and with a user namespace", remedy);
        }
    }

    /// What the config asks for and this version does not do: refused, never skipped.
    fn unsupported(&self, all: &mut Problems) {
        let mut refuse = |asked: bool, pointer: &str, what: &str| {
            if asked {
                all.add(pointer, format!("{what}: not supported yet"));
            }
        };
        refuse(!self.apparmor_profile.is_empty(), "/apparmor_profile", "AppArmor");
        refuse(!self.process_label.is_empty(), "/process_label", "SELinux process labels");
        refuse(self.seccomp.is_some(), "/seccomp", "seccomp");
        for (index, mount) in self.mount_config.iter().flat_map(|config| &config.mounts).enumerate() {
            let pointer = |key: &str| format!("/mount_config/mounts/{index}/{key}");
            refuse(!mount.relabel.is_empty(), &pointer("relabel"), "SELinux relabelling (z, Z)");
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

fn environment(entry: &[u8], pointer: &str, all: &mut Problems) {
    if entry.contains(&0) {
        all.add(pointer, "contains NUL");
    }
    match entry.iter().position(|byte| *byte == b'=') {
        None => all.add(pointer, format!("{}: no '='", entry.escape_ascii())),
        Some(0) => all.add(pointer, "no name before '='"),
        Some(_) if entry.len() > ARGUMENT => {
            all.add(pointer, format!("{} bytes, limit {ARGUMENT}", entry.len()));
        }
        Some(_) => {}
    }
}

fn directory(path: &Path, pointer: &str, all: &mut Problems) {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) {
        all.add(pointer, "contains NUL");
    } else if bytes.len() > PATH_MAX {
        all.add(pointer, format!("longer than {PATH_MAX} bytes"));
    } else if bytes.windows(3).any(|part| part == b"/fd") && bytes.starts_with(b"/proc/") {
        all.add(pointer, format!("{}: leads through an open descriptor", path.display()));
    }
}

/// Everything that is wrong with a process's arguments and environment.
pub(crate) fn process_problems(args: &[Vec<u8>], env: &[Vec<u8>], cwd: &Path) -> Vec<Problem> {
    let mut all = Problems::default();
    if args.first().is_none_or(Vec::is_empty) {
        all.add("/args", "empty");
    }
    for (index, arg) in args.iter().enumerate() {
        if arg.contains(&0) {
            all.add(format!("/args/{index}"), "contains NUL");
        }
        if arg.len() > ARGUMENT {
            all.add(format!("/args/{index}"), format!("{} bytes, limit {ARGUMENT}", arg.len()));
        }
    }
    for (index, entry) in env.iter().enumerate() {
        environment(entry, &format!("/env/{index}"), &mut all);
    }
    directory(cwd, "/cwd", &mut all);
    let total: usize = args.iter().chain(env).map(|text| text.len() + 9).sum();
    // The plan itself holds at most 1 MiB of strings; the kernel's limit is above that.
    let limit = ARGUMENTS.min(libcontainer_plan::MAX_ARENA);
    if total > limit {
        all.add("/args", format!("arguments and environment take {total} bytes, limit {limit}"));
    }
    all.0
}
