//! What becomes of each value: one line per field.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is a failure"
)]

use libcontainer::{Config, Namespace, NamespaceKind};
use libcontainer_oci::{Options, Spec, convert, default_spec};
use serde_json::{Value, json};

fn options() -> Options {
    Options { bundle: "/srv/bundle".into(), id: "c".into(), cgroups: true, ..Options::default() }
}

fn changed(at: &str, value: Value) -> Spec {
    let mut config = serde_json::to_value(default_spec(false)).unwrap();
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
    let (parent, key) = at.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).unwrap() {
        Value::Array(all) if key == "-" => all.push(value),
        Value::Array(all) => all[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    Spec::from_json(config.to_string().as_bytes()).unwrap()
}

fn converted(at: &str, value: Value, options: &Options) -> Config {
    convert(&changed(at, value), options).unwrap_or_else(|found| panic!("{at}: {found:?}")).config
}

#[test]
fn each_value_has_its_place() {
    let mut wrong = Vec::new();
    let lines = include_str!("converted.txt").lines().filter(|line| !line.starts_with('#'));
    for line in lines.step_by(if cfg!(miri) { 16 } else { 1 }) {
        let parts: Vec<_> = line.split(" | ").collect();
        let [at, value, place, wanted] = parts[..] else { panic!("{line}") };
        let (value, wanted): (Value, Value) =
            (serde_json::from_str(value).unwrap(), serde_json::from_str(wanted).unwrap());
        let config: Value =
            serde_json::from_str(&converted(at, value, &options()).to_json().unwrap()).unwrap();
        let found = config.pointer(place).cloned().unwrap_or_default();
        if found != wanted {
            wrong.push(format!("{line}: found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn options_of_the_runtime_count() {
    let nothing = || ("/annotations", json!({}));
    let convert = |change: (&str, Value), options: &Options| converted(change.0, change.1, options);
    let plain = Options { no_pivot: true, no_new_keyring: true, cgroups: false, ..options() };
    let config = convert(nothing(), &plain);
    assert!(config.mount_config.unwrap().no_pivot_root && config.no_new_keyring && config.cgroups.is_none());
    // Nobody asked for a group by name or limit.
    let rootless = Options { rootless: true, ..options() };
    assert!(convert(nothing(), &rootless).cgroups.is_none());
    let limited = convert(("/linux/resources/pids", json!({"limit": 3})), &rootless).cgroups.unwrap();
    assert!(limited.allow_all_devices && limited.resources.devices.is_empty());
    let systemd = Options { systemd_cgroup: true, ..options() };
    let change = (
        "/annotations",
        json!({"org.systemd.property.TimeoutStopSec": "double 1.5", "org.systemd.property.Slice": "'x'"}),
    );
    let group = convert(change, &systemd).cgroups.unwrap();
    assert!(group.systemd && group.path.as_os_str().is_empty());
    assert_eq!(group.properties["TimeoutStopUSec"], "uint64 1500000");
    assert_eq!(group.properties["Slice"], "'x'");
}

#[test]
fn a_joined_user_namespace_has_its_own_map() {
    let mut spec = changed("/linux/namespaces/-", json!({"type": "user", "path": "/u"}));
    let linux = spec.linux.as_mut().unwrap();
    linux.uid_mappings = serde_json::from_value(json!([{"containerID": 0, "hostID": 5, "size": 9}])).unwrap();
    linux.gid_mappings.clone_from(&linux.uid_mappings);
    spec.mounts.push(
        serde_json::from_value(
            json!({"destination": "/v", "type": "bind", "source": "/a", "options": ["idmap"]}),
        )
        .unwrap(),
    );
    let converted = convert(&spec, &options()).unwrap();
    let config = converted.config;
    assert_eq!(config.namespaces.get(NamespaceKind::User), Some(&Namespace::Join("/u".into())));
    assert!(config.uid_mappings.is_empty() && config.gid_mappings.is_empty());
    // Which a mount may have all the same.
    assert_eq!(config.mount_config.unwrap().mounts[7].uid_mappings[0].host_id, 5);
    let left: Vec<_> = converted.warnings.iter().map(|one| one.pointer.as_str()).collect();
    assert_eq!(left, ["/linux/uidMappings", "/linux/gidMappings"]);
}
