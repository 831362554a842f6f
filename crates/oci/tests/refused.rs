//! What is refused, value by value, and that nothing else is: no text makes the conversion panic.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "in a test a panic is a failure"
)]

use std::path::Path;

use libcontainer_oci::{
    Options, Problem, Spec, convert, default_spec, examine, from_config, process, resources,
};
use serde_json::{Value, json};

fn options() -> Options {
    Options { bundle: "/srv/bundle".into(), id: "c".into(), cgroups: true, ..Options::default() }
}

/// Where, value, pointer, text.
fn lines(text: &str) -> impl Iterator<Item = [&str; 4]> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.step_by(if cfg!(miri) { 16 } else { 1 }).map(|line| {
        let parts: Vec<_> = line.split(" |").map(str::trim).collect();
        parts.try_into().unwrap_or_else(|_| panic!("{line}"))
    })
}

fn changed(at: &str, value: &str) -> String {
    let mut config = serde_json::to_value(default_spec(false)).unwrap();
    let value: Value = serde_json::from_str(value).unwrap();
    let (parent, key) = at.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).unwrap() {
        Value::Array(all) if key == "-" => all.push(value),
        Value::Array(all) => all[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    config.to_string()
}

fn all(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn what_can_not_be_done_is_refused_by_its_pointer() {
    let mut wrong = Vec::new();
    for [at, value, pointer, text] in lines(include_str!("refused.txt")) {
        let spec = Spec::from_json(changed(at, value).as_bytes()).unwrap();
        let found = convert(&spec, &options()).map(drop).err().unwrap_or_default();
        if !found.iter().any(|one| one.pointer == pointer && one.to_string().contains(text)) {
            wrong.push(format!("{at} {value}: wanted {pointer}: {text}, found {}", all(&found)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_can_not_be_read_is_told_by_its_pointer() {
    let mut wrong = Vec::new();
    for [at, value, pointer, text] in lines(include_str!("unread.txt")) {
        let found = Spec::from_json(changed(at, value).as_bytes()).map(drop).unwrap_err();
        if found.pointer != pointer || !found.message.contains(text) || found.line == 0 {
            wrong.push(format!("{at} {value}: wanted {pointer}: {text}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_is_said_at_once() {
    let spec = Spec { oci_version: "1.0.0".to_owned(), ..Spec::default() };
    let found = convert(&spec, &options()).unwrap_err();
    let pointers: Vec<_> = found.iter().map(|one| one.pointer.as_str()).collect();
    assert_eq!(pointers, ["/linux", "/root"]);
}

#[test]
fn what_can_not_be_converted_hides_nothing() {
    let mut config = serde_json::to_value(default_spec(false)).unwrap();
    config["linux"]["devices"] = json!([{"path": "/dev/x", "type": "x"}]);
    config["hostname"] = json!("a b");
    config["future"] = json!(1);
    let spec = Spec::from_json(config.to_string().as_bytes()).unwrap();
    let (converted, found) = examine(&spec, &options(), &libcontainer::Facts { euid: 1000 });
    let pointers: Vec<_> = found.iter().map(|one| one.pointer.as_str()).collect();
    // Of the conversion, of the container, of the caller; and what is left out.
    assert_eq!(pointers, ["/linux/devices/0/type", "/linux/namespaces", "/hostname"]);
    assert_eq!(converted.warnings[0].pointer, "/future");
}

#[test]
fn what_is_left_out_is_said() {
    let config = json!({
        "ociVersion": "1.0.2-dev",
        "future": 1,
        "root": {"path": "r", "future": 2},
        "process": {
            "user": {"uid": 0, "gid": 0, "username": "u"}, "args": ["x"], "cwd": "/", "commandLine": "x",
            "capabilities": {"bounding": ["CAP_KILL", "CAP_FUTURE"], "permitted": ["KILL", "CAP_CHOWN"], "ambient": ["CAP_KILL"]},
        },
        "windows": {},
        "mounts": [{"destination": "rel", "type": "bind", "source": "a", "options": ["bind", "size=1m"]}],
        "linux": {"namespaces": [{"type": "mount"}]},
    });
    let spec = Spec::from_json(config.to_string().as_bytes()).unwrap();
    let converted = convert(&spec, &options()).unwrap();
    let wanted = "/future: unknown key: left out
/root/future: unknown key: left out
/windows: not Linux: left out
/mounts/0/destination: relative: taken from the root of the container
/mounts/0/options/1: \"size=1m\": of no meaning for a bind: left out
/process/commandLine: only Windows has it: left out
/process/user/username: only Windows has it: left out
/process/capabilities/bounding/1: \"CAP_FUTURE\": unknown capability: left out
/process/capabilities/permitted: CAP_CHOWN: not in bounding: left out
/process/capabilities/ambient: can't raise ambient capability CAP_KILL: only what is permitted and inheritable can be ambient: left out
";
    // No inheritable one is named.
    assert_eq!(all(&converted.grave), "");
    let mut found = converted.warnings;
    let place = |line: &str| wanted.find(line).unwrap_or(usize::MAX);
    found.sort_by_key(|one| place(&one.to_string()));
    assert_eq!(all(&found), wanted);
    let mounts = converted.config.mount_config.unwrap().mounts;
    assert_eq!(
        (mounts[0].source.to_str(), mounts[0].destination.to_str()),
        (Some("/srv/bundle/a"), Some("/rel"))
    );
}

/// As by runc, which takes the rootfs's path off, and tells of a capability that can't be had.
#[test]
fn what_is_taken_for_something_else_is_told() {
    let mounts = ["/srv/bundle/rootfs/data", "/srv/bundle/rootfs", "/srv/bundle/rootfsx", "/data"];
    let mounts = mounts.map(|to| json!({"destination": to, "type": "tmpfs", "source": "t"}));
    let sets = json!({"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL", "CAP_CHOWN"],
        "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL", "CAP_CHOWN"]});
    let config = json!({
        "ociVersion": "1.3.0", "root": {"path": "rootfs"}, "mounts": mounts, "linux": {"namespaces": [{"type": "mount"}]},
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["x"], "cwd": "/", "capabilities": sets},
    });
    let spec = Spec::from_json(config.to_string().as_bytes()).unwrap();
    let converted = convert(&spec, &options()).unwrap();
    let to: Vec<_> =
        converted.config.mount_config.unwrap().mounts.into_iter().map(|one| one.destination).collect();
    assert_eq!(
        to,
        ["/data", "/srv/bundle/rootfs", "/srv/bundle/rootfsx", "/data"].map(std::path::PathBuf::from)
    );
    let warnings = all(&converted.warnings);
    assert!(
        warnings.contains("/mounts/0/destination: begins with the rootfs's path on the host"),
        "{warnings}"
    );
    assert_eq!(
        all(&converted.grave),
        "/process/capabilities/ambient: can't raise ambient capability CAP_CHOWN: only what is permitted and inheritable can be ambient: left out\n"
    );
}

/// A group of that literal name stands outside of the slice, as with runc: whoever configures it has to learn of it.
#[test]
fn a_scope_without_systemds_driver_is_told() {
    let told = |path: &str, systemd_cgroup| {
        let config = json!({
            "ociVersion": "1.3.0", "root": {"path": "rootfs"},
            "linux": {"cgroupsPath": path, "namespaces": [{"type": "mount"}]},
        });
        let spec = Spec::from_json(config.to_string().as_bytes()).unwrap();
        let converted = convert(&spec, &Options { systemd_cgroup, ..options() }).unwrap();
        assert_eq!(converted.config.cgroups.unwrap().path.to_str(), Some(path));
        all(&converted.grave)
    };
    let text = told("kubepods-a.slice:cri-containerd:x", false);
    assert!(
        text.starts_with("/linux/cgroupsPath: \"kubepods-a.slice:cri-containerd:x\" is a scope of systemd's"),
        "{text}"
    );
    for (path, systemd_cgroup) in [
        ("kubepods-a.slice:cri-containerd:x", true),
        ("/kubepods.slice/x", false),
        ("/own/a:b:c", false),
        ("a.slice:b", false),
    ] {
        assert_eq!(told(path, systemd_cgroup), "", "{path}");
    }
}

/// Numbers that look random and are the same each time: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// All places of a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(all) => {
            for (key, inner) in all {
                places(inner, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(index, inner)| places(inner, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

fn mutated(config: &Value, dice: &mut Dice) -> Value {
    let odd = [
        json!(null),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(1.5),
        json!(""),
        json!("\u{0}"),
        json!("é/../~"),
        json!([]),
        json!({}),
        json!(true),
        json!("x".repeat(5000)),
        json!([[[]]]),
        json!({"path": "/", "type": "user"}),
    ];
    let mut config = config.clone();
    let mut all = Vec::new();
    places(&config, "", &mut all);
    for _ in 0..=dice.below(3) {
        let value = match dice.below(3) {
            // Something from elsewhere.
            0 => config.pointer(&all[dice.below(all.len())]).cloned().unwrap_or_default(),
            _ => odd[dice.below(odd.len())].clone(),
        };
        if let Some(place) = config.pointer_mut(&all[dice.below(all.len())]) {
            *place = value;
        }
    }
    config
}

fn try_all(text: &[u8]) {
    let _ = libcontainer_oci::spec::resources_from_json(text).map(|(all, _)| resources(&all));
    let _ = libcontainer_oci::spec::Process::from_json(text).map(|one| process(&one));
    let Ok(spec) = Spec::from_json(text) else { return };
    for (systemd_cgroup, rootless) in [(false, false), (true, true)] {
        let options = Options { systemd_cgroup, rootless, ..options() };
        let Ok(converted) = convert(&spec, &options) else { continue };
        let (back, _) = from_config(&converted.config);
        let text = serde_json::to_vec(&back).unwrap();
        let back = Spec::from_json(&text).unwrap();
        assert!(convert(&back, &options).is_ok(), "{}", String::from_utf8_lossy(&text));
    }
}

/// Configs, and changes of each: fewer in an interpreter.
const ROUNDS: (usize, usize) = if cfg!(miri) { (1, 1) } else { (usize::MAX, 15) };

#[test]
fn no_mutation_of_a_config_makes_it_panic() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for entry in std::fs::read_dir(dir).unwrap().take(ROUNDS.0) {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        let config: Value = serde_json::from_slice(&text).unwrap();
        for _ in 0..ROUNDS.1 {
            try_all(mutated(&config, &mut dice).to_string().as_bytes());
            let mut text = text.clone();
            let place = dice.below(text.len());
            text[place] = b"\"{}[]:,\\0e- \xff"[dice.below(13)];
            try_all(&text);
            text.truncate(place);
            try_all(&text);
        }
    }
}
