//! Where the buses are.

use std::ffi::OsStr;
use std::path::PathBuf;

use libcontainer_cgroups::systemd::{Endpoint, Environment, Socket, Which, parse_address};

#[test]
fn addresses() {
    let path = |path: &str| Endpoint::bus(path);
    let name = |name: &[u8]| Endpoint { socket: Socket::Abstract(name.to_vec()), is_bus: true };
    for (text, expected) in [
        ("unix:path=/run/bus", vec![path("/run/bus")]),
        ("unix:path=/run/bus,guid=0011", vec![path("/run/bus")]),
        ("unix:guid=0011,path=/a%20b", vec![path("/a b")]),
        ("unix:abstract=/tmp/x", vec![name(b"/tmp/x")]),
        ("tcp:host=a,port=1;unix:path=/b;unix:abstract=c", vec![path("/b"), name(b"c")]),
    ] {
        assert_eq!(parse_address(OsStr::new(text)).unwrap(), expected, "{text}");
    }
    for text in [
        "",
        "tcp:host=a",
        "unix:",
        "unix:path=",
        "unix:path=%zz",
        "unix:path=%0",
        "unix:path=a%00b",
        "/run/bus",
    ] {
        let error = parse_address(OsStr::new(text)).unwrap_err().to_string();
        assert!(error.contains("has no unix:path="), "{text}: {error}");
    }
}

#[test]
fn endpoints_by_the_environment() {
    let private = Endpoint { socket: Socket::Path(PathBuf::from("/run/systemd/private")), is_bus: false };
    let nothing = Environment::default();
    let system = Endpoint::bus("/run/dbus/system_bus_socket");
    assert_eq!(nothing.endpoints(Which::System).unwrap(), std::slice::from_ref(&system));
    let root = Environment { root: true, ..nothing.clone() };
    assert_eq!(root.endpoints(Which::System).unwrap(), [system, private.clone()]);
    let other = Environment { system_address: Some("unix:path=/x".into()), ..root };
    assert_eq!(other.endpoints(Which::System).unwrap(), [Endpoint::bus("/x"), private]);

    let error = nothing.endpoints(Which::User).unwrap_err().to_string();
    assert!(error.contains("XDG_RUNTIME_DIR"), "{error}");
    let dir = Environment { runtime_dir: Some("/run/user/7".into()), ..nothing };
    assert_eq!(dir.endpoints(Which::User).unwrap(), [Endpoint::bus("/run/user/7/bus")]);
    let address = Environment { session_address: Some("unix:abstract=s".into()), ..dir };
    let session = Endpoint { socket: Socket::Abstract(b"s".to_vec()), is_bus: true };
    assert_eq!(address.endpoints(Which::User).unwrap(), [session]);
}
