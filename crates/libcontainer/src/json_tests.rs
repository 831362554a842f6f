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
    ];
    for (text, wanted) in cases {
        check(text, Mode::Lenient, wanted);
    }
}

/// The table of keys and the types must not drift apart.
#[test]
fn every_field_is_in_the_table() {
    let table = example();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for key in keys(&table).iter().filter(|key| *key != "system_properties") {
        let text = format!(r#"{{"{key}":null}}"#);
        check(&text, Mode::Strict, "{} []");
    }
    let source = include_str!("config/mod.rs");
    let fields = source.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
    for field in fields.filter(|field| !field.contains(' ')) {
        assert!(
            table.to_string().contains(&format!("\"{field}\"")) || ["secs", "nanosecs"].contains(&field),
            "{field}"
        );
    }
}
