//! `config.json` → `Config`. Pure: nothing of the host is looked at.

mod capabilities;
mod cgroup;
mod devices;
mod found;
mod hooks;
mod linux;
mod mounts;
mod namespaces;
mod options;
mod pointers;
mod process;

pub use cgroup::leave_idle_weight;
use found::Found;
use libcontainer::mount::MountConfig;
use libcontainer::{Config, Facts, Problem};
pub use linux::schemata;
pub use options::Options;
pub use pointers::{pointer, translated};
pub use process::{ProcessParts, process};

use crate::spec::{Linux, Resources, Spec};

/// A container as the library has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The container.
    pub config: Config,
    /// Its program, if the config names one.
    pub process: Option<ProcessParts>,
    /// What is left out because the specification, or runc, leaves it out.
    pub warnings: Vec<Problem>,
    /// Those of the warnings that should be told in any case: something that was meant can't be had, and the container is made without it.
    pub grave: Vec<Problem>,
}

/// Converts `config.json`.
///
/// # Errors
/// Everything in it that can't be done, each with its JSON pointer.
pub fn convert(spec: &Spec, options: &Options) -> Result<Converted, Vec<Problem>> {
    // What depends on the caller is told by the start.
    match examine(spec, options, &Facts { euid: 0 }) {
        (converted, problems) if problems.is_empty() => Ok(converted),
        (_, problems) => Err(problems),
    }
}

/// The same for who wants to know all at once: what comes of a config as far as it can be converted, and everything that is wrong with it for such a caller.
#[must_use]
pub fn examine(spec: &Spec, options: &Options, facts: &Facts) -> (Converted, Vec<Problem>) {
    let mut found = Found::default();
    found.warnings.extend(spec.notes.iter().cloned());
    let mut config = Config { no_new_keyring: options.no_new_keyring, ..Config::default() };
    version(spec, &mut found);
    foreign(spec, &mut found);
    root(spec, options, &mut config, &mut found);
    config.hostname.clone_from(&spec.hostname);
    config.domainname.clone_from(&spec.domainname);
    config.labels.clone_from(&spec.annotations);
    config.bundle.clone_from(&options.bundle);
    hooks::convert(spec, &mut config, &mut found);
    namespaces::convert(spec, &mut config, &mut found);
    mounts::convert(spec, options, &mut config, &mut found);
    linux::convert(spec, options, &mut config, &mut found);
    cgroup::convert(spec, options, &mut config, &mut found);
    let process = spec.process.as_ref().map(|process| process::first(process, &mut config, &mut found));
    process::kept_groups(spec, &mut config, &mut found);
    if process.is_none() {
        found.warn("/process", "missing: the container can be created, not started");
    }
    for problem in config.problems(facts) {
        let problem = pointers::translated(problem, spec);
        // What has a problem already is there by halves only.
        if !found.problems.iter().any(|known| overlap(&known.pointer, &problem.pointer)) {
            found.problems.push(problem);
        }
    }
    (Converted { config, process, warnings: found.warnings, grave: found.grave }, found.problems)
}

/// Whether one of two pointers leads to where the other does, or into it.
fn overlap(one: &str, other: &str) -> bool {
    let into = |short: &str, long: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    into(one, other) || into(other, one)
}

/// Converts limits, as `update` is given them.
///
/// # Errors
/// What can't be done, each with its JSON pointer.
pub fn resources(resources: &Resources) -> Result<Resources, Vec<Problem>> {
    match resources.validate() {
        Ok(()) => Ok(resources.clone()),
        Err(error) => Err(vec![pointers::of_group(&error, "")]),
    }
}

/// A version is `MAJOR.MINOR.PATCH` with a tail; what 1 says holds for all that begin so.
fn version(spec: &Spec, found: &mut Found) {
    let text = spec.oci_version.as_str();
    let major = text.split('.').next().unwrap_or_default();
    if text.is_empty() {
        found.problem("/ociVersion", "missing");
    } else if major != "1" {
        found.problem("/ociVersion", format!("{text:?}: this is version {}", crate::VERSION));
    }
}

/// What other systems have. A virtual machine is asked for by whoever means isolation, so it is not left out.
fn foreign(spec: &Spec, found: &mut Found) {
    let all = [
        ("solaris", &spec.solaris),
        ("windows", &spec.windows),
        ("zos", &spec.zos),
        ("freebsd", &spec.freebsd),
    ];
    for (key, _) in all.iter().filter(|(_, value)| value.is_some()) {
        found.warn(&format!("/{key}"), "not Linux: left out");
    }
    if spec.vm.is_some() {
        found.problem("/vm", "containers are no virtual machines here");
    }
    if spec.linux.is_none() {
        found.problem("/linux", "missing: without namespaces a container would be the host");
    }
}

fn root(spec: &Spec, options: &Options, config: &mut Config, found: &mut Found) {
    let Some(root) = &spec.root else { return found.problem("/root", "missing") };
    if root.path.as_os_str().is_empty() {
        return found.problem("/root/path", "missing");
    }
    let absent = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&absent);
    config.rootfs = options.bundle.join(&root.path);
    config.mount_config = Some(MountConfig {
        no_pivot_root: options.no_pivot,
        readonly_fs: root.readonly,
        bare: true,
        fill_dev: true,
        mount_label: linux.mount_label.clone(),
        masked_paths: linux.masked_paths.clone(),
        readonly_paths: linux.readonly_paths.clone(),
        rootfs_propagation: linux.rootfs_propagation.clone(),
        ..MountConfig::default()
    });
}
