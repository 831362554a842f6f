//! Names of slices, scopes, and cgroup paths.

use std::path::Path;

use libcontainer_cgroups::systemd::{Placement, Slice, Unit};

#[test]
fn slices_expand() {
    for (name, path) in [
        ("a.slice", "a.slice"),
        ("a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice"),
        ("system.slice", "system.slice"),
        ("user-1000.slice", "user.slice/user-1000.slice"),
        (
            "kubepods-besteffort-pod1_2.slice",
            "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice",
        ),
        ("-.slice", ""),
        ("-", ""),
    ] {
        assert_eq!(Slice::new(name).unwrap().path(), Path::new(path), "{name}");
    }
    assert_eq!(Slice::new("-").unwrap().name(), "-.slice");
}

#[test]
fn names_that_are_no_slices() {
    let long = format!("{}.slice", "a".repeat(250));
    for name in [
        "",
        ".slice",
        "a",
        "a.scope",
        "-a.slice",
        "a-.slice",
        "a--b.slice",
        "a/b.slice",
        "../a.slice",
        "a\0.slice",
        "a b.slice",
        "--.slice",
        "a.slice/",
        "ä.slice",
        &long,
    ] {
        let error = Slice::new(name).unwrap_err().to_string();
        assert!(error.contains("is no name of a slice"), "{name:?}: {error}");
    }
}

#[test]
fn placements() {
    for (text, user, slice, unit, path) in [
        ("", false, "system.slice", "demo-id.scope", "system.slice/demo-id.scope"),
        ("", true, "user.slice", "demo-id.scope", "user.slice/demo-id.scope"),
        (":libpod:x", false, "system.slice", "libpod-x.scope", "system.slice/libpod-x.scope"),
        ("machine.slice:libpod:x", true, "machine.slice", "libpod-x.scope", "machine.slice/libpod-x.scope"),
        ("-:p:x", false, "-.slice", "p-x.scope", "p-x.scope"),
        ("a-b.slice::x", false, "a-b.slice", "x.scope", "a.slice/a-b.slice/x.scope"),
        ("a.slice:p:a-c.slice", false, "a.slice", "a-c.slice", "a.slice/a-c.slice"),
        (":p:x+y z", false, "system.slice", "p-x\\x2by\\x20z.scope", "system.slice/p-x\\x2by\\x20z.scope"),
    ] {
        let place = Placement::parse(text, "demo", "id", user).unwrap();
        assert_eq!((place.slice.name(), place.unit.name()), (slice, unit), "{text}");
        assert_eq!(place.path(), Path::new(path), "{text}");
        assert_eq!(place.unit.is_slice(), unit.ends_with(".slice"));
    }
}

#[test]
fn placements_that_can_not_be() {
    let long = format!(":p:{}", "a".repeat(250));
    for text in [
        "a",
        "a:b",
        "a:b:c:d",
        "/a/b",
        "a.scope:p:x",
        "a/b.slice:p:x",
        ":p:",
        ":p:a/b",
        ":../p:x",
        ":p:x\0",
        ":p:a--b.slice",
        &long,
    ] {
        let error = Placement::parse(text, "demo", "id", false).unwrap_err().to_string();
        assert!(error.starts_with("linux.cgroupsPath: "), "{text:?}: {error}");
    }
}

#[test]
fn units_by_their_full_name() {
    assert_eq!(Unit::new("a-b.scope").unwrap().interface(), "org.freedesktop.systemd1.Scope");
    assert_eq!(Unit::new("a-b.slice").unwrap().interface(), "org.freedesktop.systemd1.Slice");
    for name in ["a.service", ".scope", "a b.scope", "a/b.scope", "scope", ""] {
        assert!(Unit::new(name).is_err(), "{name:?}");
    }
}
