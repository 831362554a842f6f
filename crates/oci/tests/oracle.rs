//! The crate `oci-spec` as a second opinion: it reads the same configs to the same values, and takes what this crate writes.
#![allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]

use std::path::{Path, PathBuf};

use libcontainer_oci::{Options, Spec, convert, default_spec, features, from_config, rootless_spec};
use serde_json::Value;

fn configs() -> Vec<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let dirs = ["configs", "fixtures"].map(|dir| std::fs::read_dir(tests.join(dir)).unwrap());
    let all = dirs.into_iter().flatten().map(|entry| entry.unwrap().path());
    let all: Vec<_> = all.filter(|path| !path.to_string_lossy().ends_with(".process.json")).collect();
    assert!(all.len() > 40, "{all:?}");
    all
}

/// What a text says to the other crate, and to this one.
fn both(text: &[u8]) -> (Value, Value) {
    let theirs: oci_spec::runtime::Spec = serde_json::from_slice(text).unwrap();
    let ours = Spec::from_json(text).unwrap();
    assert_eq!(ours.notes, []);
    (plain(serde_json::to_value(theirs).unwrap()), plain(serde_json::to_value(ours).unwrap()))
}

/// Without what says nothing; lists of capabilities in order, as they are sets to the other crate.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(all) => {
            let mut all: serde_json::Map<_, _> =
                all.into_iter().map(|(key, value)| (key, plain(value))).collect();
            all.retain(|key, value| !says_nothing(key, value));
            Value::Object(all)
        }
        Value::Array(all) => {
            let mut all: Vec<_> = all.into_iter().map(plain).collect();
            if all.iter().all(|one| one.as_str().is_some_and(|name| name.starts_with("CAP_"))) {
                all.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
            }
            Value::Array(all)
        }
        other => other,
    }
}

fn says_nothing(key: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => {
            number.as_i64() == Some(0) || (["major", "minor"].contains(&key) && number.as_i64() == Some(-1))
        }
        Value::String(text) => text.is_empty() || (key == "type" && text == "a"),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Bool(true) => false,
    }
}

#[test]
fn both_read_the_same() {
    for path in configs() {
        let (theirs, ours) = both(&std::fs::read(&path).unwrap());
        assert_eq!(theirs, ours, "{}", path.display());
    }
}

#[test]
fn what_is_written_is_read_to_the_same() {
    let check = |spec: &Spec| {
        let (theirs, ours) = both(&serde_json::to_vec(spec).unwrap());
        assert_eq!(theirs, ours);
    };
    check(&default_spec(true));
    check(&rootless_spec(false, 1000, 1000));
    for path in configs() {
        let options =
            Options { bundle: "/srv/bundle".into(), id: "c".into(), cgroups: true, ..Options::default() };
        let spec = Spec::from_json(&std::fs::read(&path).unwrap()).unwrap();
        let Ok(converted) = convert(&spec, &options) else { continue };
        check(&from_config(&converted.config).0);
    }
}

#[test]
fn the_features_are_a_document_of_the_specification() {
    let mut ours = features(&libcontainer::Probe::linux(6, 12));
    // Those that the other crate doesn't have yet.
    let newer = ["LOONGARCH64", "M68K", "PARISC", "PARISC64", "SH", "SHEB"];
    ours.linux.seccomp.archs.retain(|arch| !newer.iter().any(|name| arch.ends_with(&format!("_{name}"))));
    let text = serde_json::to_vec(&ours).unwrap();
    let theirs: oci_spec::runtime::Features = serde_json::from_slice(&text).unwrap();
    let theirs = serde_json::to_value(theirs).unwrap();
    for pointer in [
        "/ociVersionMax",
        "/hooks",
        "/mountOptions",
        "/linux/namespaces",
        "/linux/cgroup",
        "/linux/seccomp/archs",
    ] {
        let ours = serde_json::to_value(&ours).unwrap();
        assert!(ours.pointer(pointer).is_some(), "{pointer}");
        assert_eq!(ours.pointer(pointer), theirs.pointer(pointer), "{pointer}");
    }
}
