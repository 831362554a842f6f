use super::*;

fn check(text: &str, mode: Mode, wanted: &str) {
    let found = match Config::from_json_with(text.as_bytes(), mode, "c.json") {
        Ok((config, unknown)) => format!("{} {unknown:?}", serde_json::to_string(&config).unwrap()),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, wanted, "{text}");
}

#[test]
fn lenient_keys() {
    check(r#"{"HostName":"a","TTY":true,"user":null}"#, Mode::Lenient, r#"{"hostname":"a","tty":true} []"#);
    check(
        r#"{"nope":1,"networks":[{"Type":"loopback","x/y":2}]}"#,
        Mode::Lenient,
        r#"{"networks":[{"type":"loopback"}]} ["/networks/0/x~1y", "/nope"]"#,
    );
    check(r#"{"system_properties":{"net.x":"1"}}"#, Mode::Lenient, r#"{"sysctl":{"net.x":"1"}} []"#);
}

#[test]
fn strict_keys() {
    check(r#"{"HostName":"a"}"#, Mode::Strict, "c.json: /HostName: unknown key");
    let letters = r#"{"cgroups":{"resources":{"devices":[{"allow":true,"access":"rwa"}]}}}"#;
    let pointer = "/cgroups/resources/devices/0/access";
    check(letters, Mode::Strict, &format!("c.json: {pointer}: letters besides r, w and m"));
    let read = r#"{"cgroups":{"resources":{"devices":[{"allow":true,"access":"rw"}]}}}"#;
    check(letters, Mode::Lenient, &format!("{read} [{pointer:?}]"));
    check(
        r#"{"capabilites":[],"nope":1}"#,
        Mode::Strict,
        "c.json\n  /capabilites: unknown key\n  /nope: unknown key",
    );
}

#[test]
fn broken_text() {
    let deep = "[".repeat(100_000);
    let cases = [
        ("", ": empty file"),
        (" \n", ": empty file"),
        ("{", ":1:1: EOF while parsing an object"),
        ("null", ": expected an object, found null"),
        ("[]", ": expected an object, found an array"),
        ("42", ": expected an object, found a number"),
        ("{} x", ":1:4: trailing characters"),
        (r#"{"tty":true,"tty":false}"#, ":1:24: duplicate key \"tty\""),
        (&deep, ":1:128: recursion limit exceeded"),
    ];
    for (text, wanted) in cases {
        check(text, Mode::Lenient, &format!("c.json{wanted}"));
    }
    let error = Config::from_json(b"{\"user\":\"\xff\"}").unwrap_err();
    assert_eq!(error.to_string(), "container.json: invalid UTF-8 at byte 9");
}

#[test]
fn wrong_types_are_pointed_at() {
    let cases = [
        (r#"{"tty":1}"#, "c.json: /tty: invalid type: integer `1`, expected a boolean"),
        (
            r#"{"mount_config":{"mounts":[{},{"writable":3}]}}"#,
            "c.json: /mount_config/mounts/1/writable: invalid type: integer `3`, expected a boolean",
        ),
        (
            r#"{"mount_config":{"mounts":7}}"#,
            "c.json: /mount_config/mounts: invalid type: integer `7`, expected a sequence",
        ),
        // Whatever else an object must have.
        (
            r#"{"rlimits":[{"type":"CORE","soft":1,"hard":1},{"type":"CORES","soft":1,"hard":1}]}"#,
            "c.json: /rlimits/1/type: \"CORES\": unknown resource limit",
        ),
        (r#"{"rlimits":[{"type":"CORE","soft":1}]}"#, "c.json: /rlimits/0: missing field `hard`"),
        (
            r#"{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG",
                "args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":-1,"op":"SCMP_CMP_EQ"}]}]}}"#,
            "c.json: /seccomp/syscalls/0/args/1/value: invalid value: integer `-1`, expected u64",
        ),
    ];
    for (text, wanted) in cases {
        check(text, Mode::Lenient, wanted);
    }
}

/// The table of keys and the types must not drift apart.
#[test]
#[cfg_attr(miri, ignore = "too long")]
fn every_field_is_in_the_table() {
    let table = example();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for key in keys(&table).iter().filter(|key| *key != "system_properties") {
        let text = format!(r#"{{"{key}":null}}"#);
        check(&text, Mode::Strict, "{} []");
    }
    let source = include_str!("container.rs");
    let fields = source.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
    for field in fields.filter(|field| !field.contains(' ')) {
        assert!(
            table.to_string().contains(&format!("\"{field}\"")) || ["secs", "nanosecs"].contains(&field),
            "{field}"
        );
    }
}

/// Tells the keys of a struct by being asked for them.
struct Keys<'k>(&'k mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Keys<'_> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> std::result::Result<V::Value, Self::Error> {
        Err(de::Error::custom("only for structs"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> std::result::Result<V::Value, Self::Error> {
        self.0.extend(fields);
        Err(de::Error::custom("told"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

fn keys<T: for<'de> serde::Deserialize<'de>>() -> Vec<&'static str> {
    let mut found = Vec::new();
    let _ = T::deserialize(Keys(&mut found));
    found
}

/// A key that is missing there would be dropped as unknown, whatever the struct has.
#[test]
fn every_key_of_every_struct_is_known() {
    use crate::cgroups::resources as limits;
    use crate::config as of;
    use crate::{mount, security};
    let known = example();
    for (pointer, keys) in [
        ("", keys::<Config>()),
        ("/mount_config", keys::<mount::MountConfig>()),
        ("/mount_config/mounts/0", keys::<mount::Mount>()),
        ("/mount_config/mounts/0/uid_mappings/0", keys::<mount::IdMapping>()),
        ("/mount_config/device_nodes/0", keys::<mount::DeviceNode>()),
        ("/uid_mappings/0", keys::<mount::IdMapping>()),
        ("/capability_sets", keys::<of::CapabilitySets>()),
        ("/landlock", keys::<security::landlock::Landlock>()),
        ("/landlock/paths/0", keys::<security::landlock::PathRule>()),
        ("/scheduler", keys::<security::Scheduler>()),
        ("/io_priority", keys::<security::IoPriority>()),
        ("/cpu_affinity", keys::<security::CpuAffinity>()),
        ("/memory_policy", keys::<security::MemoryPolicy>()),
        ("/resctrl", keys::<of::Resctrl>()),
        ("/personality", keys::<security::Personality>()),
        ("/hooks", keys::<of::Hooks>()),
        ("/hooks/poststop/0", keys::<of::Hook>()),
        ("/networks/0", keys::<of::Network>()),
        ("/networks/0/ports/0", keys::<of::Port>()),
        ("/routes/0", keys::<of::Route>()),
        ("/cgroups", keys::<of::Cgroup>()),
        ("/cgroups/allowed_devices/0", keys::<mount::DeviceNode>()),
        ("/cgroups/resources", keys::<limits::Resources>()),
        ("/cgroups/resources/memory", keys::<limits::Memory>()),
        ("/cgroups/resources/cpu", keys::<limits::Cpu>()),
        ("/cgroups/resources/blockIO", keys::<limits::BlockIo>()),
    ] {
        assert!(!keys.is_empty(), "{pointer}: no struct");
        let there = known.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is missing"));
        let missing: Vec<_> = keys.iter().filter(|key| there.get(key).is_none()).collect();
        assert!(missing.is_empty(), "{pointer}: {missing:?}");
    }
}
