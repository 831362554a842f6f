//! Inside a user namespace that somebody else made (`unshare -Urnm`): root of it, but of nothing else.

use libcontainer::{Cgroup, Network};

use super::{Ordinary, fs};

/// The container's devices, its interface and its route.
const LOOK: &str = "echo x > /dev/null && stat -c '%F %t:%T' /dev/null; cat /proc/net/dev /proc/net/route";

fn ordinary(name: &str) -> Option<Ordinary> {
    let mut ordinary = Ordinary::new(name)?;
    ordinary.config.networks.push(Network {
        kind: "veth".into(),
        bridge: "br0".into(),
        create_bridge: true,
        bridge_addresses: vec!["10.9.0.1/24".into()],
        veth_prefix: "lcn".into(),
        address: "10.9.0.2/24".into(),
        gateway: "10.9.0.1".into(),
        ..Network::default()
    });
    // No limit is asked for, so that it is no error if there can be no group.
    ordinary.config.cgroups = Some(Cgroup { path: ordinary.place.cgroup().path, ..Cgroup::default() });
    ordinary.config.args = ["sh", "-c", LOOK].map(str::to_owned).to_vec();
    ordinary.write();
    Some(ordinary)
}

/// Runs the bundle's container as root of new user, network and mount namespaces, and lists the interfaces that are there afterwards.
fn run(ordinary: &Ordinary) -> (bool, String) {
    let script = "./nsinit --root ./state run --bundle . c; status=$?; cat /proc/net/dev; exit $status";
    let output = ordinary.command("unshare", &["-Urnm", "sh", "-c", script]).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_veth_and_device_nodes_without_root_of_the_host() {
    let Some(ordinary) = ordinary("a_veth_and_device_nodes_without_root_of_the_host") else { return };
    let (good, text) = run(&ordinary);
    assert!(good && text.contains("character special file 1:3"), "{text}");
    // The default route: 10.9.0.1.
    assert!(text.contains("eth0\t00000000\t0100090A"), "{text}");
    let after = text.rsplit("Inter-").next().unwrap();
    assert!(!after.contains("lcn"), "{text}");
    assert!(fs::read_dir(ordinary.place.join("state")).is_ok_and(|mut entries| entries.next().is_none()));
}

#[test]
fn a_user_namespace_below_it() {
    let Some(mut ordinary) = ordinary("a_user_namespace_below_it") else { return };
    ordinary.user_namespace(&[(0, 0, 1)]);
    let (good, text) = run(&ordinary);
    assert!(good && text.contains("character special file 1:3"), "{text}");
    assert!(text.contains("eth0\t00000000\t0100090A"), "{text}");
}

#[test]
fn another_program_joins() {
    let Some(mut ordinary) = ordinary("another_program_joins") else { return };
    ordinary.config.args = ["sleep", "100"].map(str::to_owned).to_vec();
    for maps in [&[][..], &[(0, 0, 1)]] {
        if !maps.is_empty() {
            ordinary.user_namespace(maps);
        }
        ordinary.write();
        let script = "n() { ./nsinit --root ./state \"$@\"; }; n run --detach --bundle . c && n exec c id -u && n net c; \
            status=$?; n delete --force c; exit $status";
        let output = ordinary.command("unshare", &["-Urnm", "sh", "-c", script]).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && text.starts_with("0\n"), "{text}");
        assert!(text.contains("10.9.0.2/24"), "{text}");
    }
}

#[test]
fn ids_that_it_does_not_map_are_refused_before_anything_is_made() {
    let Some(mut ordinary) = ordinary("ids_that_it_does_not_map_are_refused") else { return };
    ordinary.config.user = "daemon".into();
    ordinary.write();
    let (good, text) = run(&ordinary);
    assert!(!good && text.contains("/user: user 1 is not mapped"), "{text}");
    assert!(!ordinary.place.join("state/c").exists());
}

/// The way to the network of a container leads through its user namespace.
#[test]
fn net_shows_the_own_containers() {
    let Some(mut ordinary) = Ordinary::new("net_shows_the_own_containers") else { return };
    ordinary.user_namespace(&[(0, i64::from(super::USER), 1)]);
    let args = ["run", "--detach", "web", "sleep", "100"];
    // A pipe that the container holds would keep the test waiting.
    let mut command = ordinary.command("sh", &["-c", "./nsinit --root state \"$@\" > /dev/null 2>&1", "sh"]);
    assert!(command.args(args).status().unwrap().success());
    let found = ordinary.nsinit(&ordinary.state(), &["net", "web"]);
    let gone = ordinary.nsinit(&ordinary.state(), &["delete", "--force", "web"]);
    assert_eq!((found.0, gone.0), (Some(0), Some(0)), "{found:?} {gone:?}");
    assert!(found.1.contains("lo") && found.1.contains("127.0.0.1/8,::1/128"), "{found:?}");
    let (code, text) = ordinary.nsinit(&ordinary.state(), &["net", "web"]);
    assert!(code == Some(1) && text.contains("does not exist"), "{text}");
}
