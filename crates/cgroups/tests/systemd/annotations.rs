//! Properties out of annotations.

use libcontainer_cgroups::systemd::{ANNOTATION_PREFIX, annotated};
use proptest::prelude::*;

fn shown(name: &str, text: &str) -> Result<String, String> {
    match annotated(&format!("{ANNOTATION_PREFIX}{name}"), text) {
        Ok(property) => {
            let property = property.unwrap();
            Ok(format!("{} {} {}", property.name, property.value.signature(), property.value))
        }
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn values() {
    for (name, text, expected) in [
        ("CollectMode", "'inactive-or-failed'", "CollectMode s \"inactive-or-failed\""),
        ("TimeoutStopUSec", "uint64 123000000", "TimeoutStopUSec t 123000000"),
        ("TimeoutStopSec", "123", "TimeoutStopUSec t 123000000"),
        ("TimeoutStopSec", "0.5", "TimeoutStopUSec t 500000"),
        ("TimeoutStopSec", "@t 18446744073709551615", "TimeoutStopUSec t infinity"),
        ("DefaultDependencies", " true ", "DefaultDependencies b true"),
        ("After", "['a.service', \"b's.target\"]", "After as [\"a.service\", \"b's.target\"]"),
        ("Documentation", r"'a\'b\\c\n'", r#"Documentation s "a'b\\c\n""#),
        ("TasksMax", "@t 5", "TasksMax t 5"),
        ("OOMScoreAdjust", "-5", "OOMScoreAdjust i -5"),
        ("DeviceAllow", "[('/dev/null', 'rw')]", "DeviceAllow a(ss) [(\"/dev/null\", \"rw\")]"),
        ("AllowedCPUs", "[byte 3, byte 0x1]", "-"),
        ("AllowedCPUs", "[byte 3, byte 1]", "AllowedCPUs ay [0x03, 0x01]"),
        ("Some", "<uint32 7>", "Some v 7"),
        ("Some", "objectpath '/a/b'", "Some o \"/a/b\""),
    ] {
        assert_eq!(shown(name, text).unwrap_or_else(|_| "-".to_owned()), expected, "{name} {text}");
    }
    assert_eq!(annotated("org.example.Other", "garbage (").unwrap(), None);
}

#[test]
fn what_is_not_understood() {
    for text in [
        "",
        "'a",
        "[]",
        "()",
        "[1, 'a']",
        "1 2",
        "uint64",
        "uint64 -1",
        "wrong",
        "[1",
        "uint16 70000",
        "'a' b",
        "true false",
        "string 5",
    ] {
        let error = shown("TasksMax", text).unwrap_err();
        assert_eq!(
            error,
            format!("annotations[org.systemd.property.TasksMax]: {text:?} is no value that is understood")
        );
    }
    for text in ["true", "-1", "-0.5", "'5'", "uint64 18446744073709551614"] {
        assert!(shown("TimeoutStopSec", text).unwrap_err().contains("is no number of seconds"), "{text}");
    }
    for name in ["", "Ab", "lower", "With.Dot", "With Space", "With\0"] {
        assert!(shown(name, "1").unwrap_err().contains("is no name of a property"), "{name}");
    }
    assert!(shown("Deep", &"[".repeat(100_000)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_never_panics(text in "[\\[\\]()<>,'\"\\\\ @a-z0-9.é-]{0,40}") {
        let _ = shown("TasksMax", &text);
    }
}
