//! `config.json` as engines write them: all are converted, and what is left out of each is listed; and back again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is a failure")]

use std::path::{Path, PathBuf};

use libcontainer::Config;
use libcontainer_oci::{
    Converted, Options, Problem, Spec, convert, default_spec, from_config, rootless_spec,
};
use serde_json::{Value, json};

fn options() -> Options {
    Options { bundle: "/srv/bundle".into(), id: "c".into(), cgroups: true, ..Options::default() }
}

fn configs() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs");
    let mut all: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|end| end == "json"));
    all.sort();
    assert!(all.len() > 25, "{all:?}");
    all
}

fn spec(path: &Path) -> Spec {
    Spec::from_json(&std::fs::read(path).unwrap()).unwrap()
}

fn name(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

/// What is wrong with a config, and what is left out of it, one line each.
fn found(path: &Path) -> Vec<String> {
    let line = |kind: &str, problem: Problem| format!("{}: {kind}: {problem}", name(path));
    let grave = convert(&spec(path), &options()).is_ok_and(|converted| !converted.grave.is_empty());
    assert!(!grave, "{}", name(path));
    match convert(&spec(path), &options()) {
        Ok(converted) => converted.warnings.into_iter().map(|one| line("left out", one)).collect(),
        Err(problems) => problems.into_iter().map(|one| line("refused", one)).collect(),
    }
}

#[test]
fn what_engines_write_is_converted() {
    // Without an inheritable one in any of them.
    let ambient = |names: &str| {
        format!(
            "left out: /process/capabilities/ambient: can't raise ambient capability {names}: only what is permitted and inheritable can be ambient: left out"
        )
    };
    let usual = ambient("CAP_AUDIT_WRITE, CAP_KILL, CAP_NET_BIND_SERVICE");
    let buildah = ambient(
        "CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL, CAP_NET_BIND_SERVICE, CAP_SETFCAP, CAP_SETGID, CAP_SETPCAP, CAP_SETUID, CAP_SYS_CHROOT",
    );
    let wanted = [
        format!("buildah-run: {buildah}"),
        format!("crun-spec: {usual}"),
        "podman-idmap: refused: /mounts/0/options: idmap without a map: the container has no user namespace of its own (give uid_mappings and gid_mappings of the mount, or add the namespace \"user\")"
            .to_owned(),
        format!("runc-spec-rootless: {usual}"),
        format!("runc-spec: {usual}"),
    ];
    let mut all: Vec<_> = configs().iter().flat_map(|path| found(path)).collect();
    all.sort();
    assert_eq!(all.join("\n"), wanted.join("\n"));
}

/// What is read is what was written, but for keys that are absent, empty or null.
#[test]
fn what_is_read_can_be_written_again() {
    for path in configs() {
        let mut given: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let mut written = serde_json::to_value(spec(&path)).unwrap();
        plain(&mut given);
        plain(&mut written);
        assert_eq!(given, written, "{}", path.display());
    }
}

/// Takes away what says nothing.
fn plain(value: &mut Value) {
    let nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Bool(true) => false,
    };
    match value {
        Value::Object(all) => {
            all.values_mut().for_each(plain);
            all.retain(|_, value| !nothing(value));
            // All devices, by another word.
            all.retain(|key, value| !(key == "type" && value == "a"));
            all.retain(|key, value| !((key == "major" || key == "minor") && *value == json!(-1)));
            // Two names of one action.
            for value in all.values_mut().filter(|value| *value == "SCMP_ACT_KILL") {
                *value = json!("SCMP_ACT_KILL_THREAD");
            }
        }
        Value::Array(all) => all.iter_mut().for_each(plain),
        _ => {}
    }
}

fn without_rules(config: &Config) -> Config {
    let mut config = config.clone();
    if let Some(group) = &mut config.cgroups {
        group.resources.devices.clear();
    }
    config
}

#[test]
fn there_and_back_is_the_same() {
    for path in configs() {
        let (spec, name) = (spec(&path), name(&path));
        let Ok(Converted { config, .. }) = convert(&spec, &options()) else {
            assert_eq!(name, "podman-idmap");
            continue;
        };
        let (back, left) = from_config(&config);
        assert_eq!(left, [], "{name}");
        let text = serde_json::to_vec(&back).unwrap();
        let again = convert(&Spec::from_json(&text).unwrap(), &options()).unwrap();
        let lines = |config: &Config| without_rules(config).to_json().unwrap();
        let (first, second) = (lines(&config), lines(&again.config));
        let differs = first.lines().zip(second.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "{name}");
        assert_eq!(without_rules(&again.config), without_rules(&config), "{name}");
        assert_eq!(again.warnings, [], "{name}");
    }
}

#[test]
fn the_example_is_that_of_runc() {
    let read = |name: &str| -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(name);
        let mut value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        // This one is from before both were changed.
        value["ociVersion"] = json!("1.3.0");
        value["process"]["capabilities"].as_object_mut().unwrap().remove("ambient");
        value
    };
    assert_eq!(serde_json::to_value(default_spec(false)).unwrap(), read("runc-spec.json"));
    assert_eq!(serde_json::to_value(rootless_spec(false, 0, 0)).unwrap(), read("runc-spec-rootless.json"));
    let kinds = default_spec(true).linux.unwrap().namespaces;
    assert_eq!(kinds.last().unwrap().kind, "cgroup");
    for spec in [default_spec(true), rootless_spec(true, 1000, 1000)] {
        assert_eq!(convert(&spec, &options()).unwrap().warnings, []);
    }
}
