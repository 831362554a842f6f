//! Pointers into the library's config, as pointers into the config that it was made of.

use libcontainer::{NamespaceKind, Problem, cgroups};

use super::devices;
use crate::kinds;
use crate::spec::{Namespace, Spec, escaped};

/// An error of limits, whose fields have the specification's names with dots; names of the user's are in quotes.
pub(super) fn of_group(error: &cgroups::Error, at: &str) -> Problem {
    let (pointer, message) = match error {
        cgroups::Error::Invalid { field, problem } => {
            let (field, name) = field.split_once('"').unwrap_or((field, ""));
            let field = field.replace(['.', '['], "/").replace(']', "");
            (format!("{at}/{field}{}", escaped(name.trim_end_matches(['"', ']']))), problem.clone())
        }
        other => (at.to_owned(), other.to_string()),
    };
    Problem { pointer, message, remedy: None }
}

/// Where `container.json` has what lies elsewhere in `config.json`; the longest beginning counts.
const PLACES: &[(&str, &str)] = &[
    ("/rootfs", "/root/path"),
    ("/mount_config/mounts", "/mounts"),
    ("/mount_config/device_nodes", "/linux/devices"),
    ("/mount_config/masked_paths", "/linux/maskedPaths"),
    ("/mount_config/readonly_paths", "/linux/readonlyPaths"),
    ("/mount_config/rootfs_propagation", "/linux/rootfsPropagation"),
    ("/mount_config/mount_label", "/linux/mountLabel"),
    ("/mount_config/readonly_fs", "/root/readonly"),
    ("/mount_config", "/mounts"),
    ("/user", "/process/user"),
    ("/additional_groups", "/process/user/additionalGids"),
    ("/working_dir", "/process/cwd"),
    ("/environment", "/process/env"),
    ("/namespaces", "/linux/namespaces"),
    ("/uid_mappings", "/linux/uidMappings"),
    ("/gid_mappings", "/linux/gidMappings"),
    ("/time_offsets", "/linux/timeOffsets"),
    ("/capabilities", "/process/capabilities"),
    ("/capability_sets", "/process/capabilities"),
    ("/rlimits", "/process/rlimits"),
    ("/scheduler", "/process/scheduler"),
    ("/io_priority", "/process/ioPriority"),
    ("/cpu_affinity", "/process/execCPUAffinity"),
    ("/memory_policy", "/linux/memoryPolicy"),
    ("/personality", "/linux/personality"),
    ("/oom_score_adj", "/process/oomScoreAdj"),
    ("/umask", "/process/user/umask"),
    ("/sysctl", "/linux/sysctl"),
    ("/networks", "/linux/netDevices"),
    ("/resctrl/class", "/linux/intelRdt/closID"),
    ("/resctrl", "/linux/intelRdt"),
    ("/cgroups/resources", "/linux/resources"),
    ("/cgroups", "/linux/cgroupsPath"),
    ("/apparmor_profile", "/process/apparmorProfile"),
    ("/process_label", "/process/selinuxLabel"),
    ("/seccomp", "/linux/seccomp"),
    ("/labels", "/annotations"),
    ("/hooks", "/hooks"),
];

/// The last parts of pointers into lists of `container.json`.
const KEYS: &[(&str, &str)] = &[
    ("uid_mappings", "uidMappings"),
    ("gid_mappings", "gidMappings"),
    ("container_id", "containerID"),
    ("host_id", "hostID"),
    ("major_number", "major"),
    ("minor_number", "minor"),
    ("create_runtime", "createRuntime"),
    ("create_container", "createContainer"),
    ("start_container", "startContainer"),
];

/// Where `config.json` has what a pointer into the library's config of it is about.
#[must_use]
pub fn pointer(own: &str, spec: &Spec) -> String {
    let place = PLACES.iter().filter(|(begin, _)| begins(own, begin)).max_by_key(|(begin, _)| begin.len());
    let Some((begin, place)) = place else { return own.to_owned() };
    let rest = own.get(begin.len()..).unwrap_or_default();
    let rest = match *place {
        "/linux/namespaces" => {
            rest.strip_prefix('/').and_then(|key| namespace(key, spec)).unwrap_or_default()
        }
        "/linux/sysctl" => sysctl(rest, spec).unwrap_or_else(|| rest.to_owned()),
        "/linux/netDevices" => renumbered(rest, |index| net_device(index, spec)),
        "/linux/devices" => renumbered(rest, |index| devices::kept(spec).get(index).map(ToString::to_string)),
        _ => rest.split('/').map(|part| word(KEYS, part)).collect::<Vec<_>>().join("/"),
    };
    format!("{place}{rest}")
}

/// A problem of the library's config as one of the config that it was made of.
#[must_use]
pub fn translated(problem: Problem, spec: &Spec) -> Problem {
    let spoken = |text: String| {
        let all = NamespaceKind::ALL.into_iter();
        all.fold(text, |text, kind| {
            text.replace(kind.key(), &format!("the namespace {:?}", kinds::word(kind)))
        })
    };
    let Problem { pointer: own, message, remedy } = problem;
    Problem { pointer: pointer(&own, spec), message: spoken(message), remedy: remedy.map(spoken) }
}

/// A pointer into a list whose elements stand elsewhere, or under other names; nothing of one that is not the config's.
fn renumbered(rest: &str, name: impl Fn(usize) -> Option<String>) -> String {
    let mut parts = rest.splitn(3, '/').skip(1);
    let Some(name) = parts.next().and_then(|index| index.parse().ok()).and_then(name) else {
        return String::new();
    };
    let rest = parts.next().map(|rest| format!("/{}", word(KEYS, rest)));
    format!("/{name}{}", rest.unwrap_or_default())
}

/// The name as the config has it, which may be with slashes.
fn sysctl(rest: &str, spec: &Spec) -> Option<String> {
    let own = rest.strip_prefix('/')?.replace("~1", "/").replace("~0", "~");
    let given = spec.linux.as_ref()?.sysctl.keys().find(|key| key.replace('/', ".") == own)?;
    Some(format!("/{}", escaped(given)))
}

/// Before the devices is the loopback of a new network namespace.
fn net_device(index: usize, spec: &Spec) -> Option<String> {
    let linux = spec.linux.as_ref()?;
    let is_new = |namespace: &Namespace| namespace.kind == "network" && namespace.path.as_os_str().is_empty();
    let first = usize::from(linux.namespaces.iter().any(is_new));
    linux.net_devices.keys().nth(index.checked_sub(first)?).map(|name| escaped(name))
}

fn begins(pointer: &str, with: &str) -> bool {
    pointer.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn word<'a>(table: &[(&str, &'a str)], part: &'a str) -> &'a str {
    table.iter().find(|(own, _)| *own == part).map_or(part, |(_, other)| other)
}

/// Where the list of namespaces has the one with this key.
fn namespace(key: &str, spec: &Spec) -> Option<String> {
    let kind = kinds::word(NamespaceKind::from_key(key)?);
    let index = spec.linux.as_ref()?.namespaces.iter().position(|namespace| namespace.kind == kind)?;
    Some(format!("/{index}"))
}
