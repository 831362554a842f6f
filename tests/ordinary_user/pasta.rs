//! The outside world without root, by pasta.

use std::path::Path;
use std::process::{Command, Stdio};

use libcontainer::network::Network;
use libcontainer_tests::skip;

use super::{Ordinary, USER, told};

/// Two machines: this one, where the user is, and a second one behind it that says hello to whoever calls. The device for tap
/// interfaces is open to all, as distributions have it.
const WORLD: &str = r#"
set -e
mount -t tmpfs tmpfs /mnt; mknod /mnt/tun c 10 200; chmod 666 /mnt/tun; mount --bind /mnt/tun /dev/net/tun
unshare --net sleep 60 & second=$!
trap 'kill $second' EXIT
until [ "$(readlink /proc/$second/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link set lo up; ip link add v0 type veth peer name v1 netns $second
ip address add 10.9.9.1/24 dev v0; ip link set v0 up; ip route add default via 10.9.9.2
there="nsenter --target $second --net"
$there ip address add 10.9.9.2/24 dev v1; $there ip link set v1 up
(while echo hello | $there busybox nc -l -p 7777; do :; done) > /dev/null 2>&1 &
set +e
user="setpriv --reuid UID --regid UID --clear-groups"
"#;

fn has(program: &str) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("command -v {program}")]).stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A bundle with one network by pasta, if the machine has what that takes.
fn with_pasta(name: &str) -> Option<Ordinary> {
    let mut ordinary = Ordinary::new(name)?;
    for (program, package) in [("pasta", "passt"), ("ip", "iproute2")] {
        if !has(program) {
            skip(name, &format!("{program} is not installed (package {package})"));
            return None;
        }
    }
    if !Path::new("/dev/net/tun").exists() {
        skip(name, "this kernel has no tun device");
        return None;
    }
    for name in ["nc", "timeout"] {
        std::os::unix::fs::symlink("busybox", ordinary.config.rootfs.join("bin").join(name)).unwrap();
    }
    ordinary.config.networks = vec![Network { kind: "pasta".to_owned(), mtu: 1400, ..Network::default() }];
    let user = i64::from(USER);
    ordinary.user_namespace(&[(0, user, 1)]);
    Some(ordinary)
}

/// Runs `script` as root beside the second machine; `$user nsinit …` is the user's.
fn beside(ordinary: &Ordinary, script: &str) -> (Option<i32>, String) {
    let text = format!("{}\n{script}", WORLD.replace("UID", &USER.to_string()));
    let mut command = Command::new("unshare");
    // Whatever the script leaves ends with its pid namespace.
    let own = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", &text];
    command.args(own).current_dir(ordinary.place.path());
    told(command.stdin(Stdio::null()))
}

/// Prints how many there are.
const LEFT: &str = "echo $(pgrep -c '^pas(st|ta)') left";

#[test]
fn the_world_is_reached_by_pasta() {
    let Some(ordinary) = with_pasta("pasta") else { return };
    // Whether the end of the connection comes through depends on pasta's version, and one that waits for it on a busy machine was seen to
    // send the line again; the shell may say that it ended the client.
    let script = "timeout 5 nc 10.9.9.2 7777 < /dev/null; cat /sys/class/net/eth0/mtu; exit 3";
    let run = format!("$user ./nsinit --root state run web sh -c '{script}'; code=$?; {LEFT}; exit $code");
    let (code, text) = beside(&ordinary, &run);
    let behind = text.trim_start_matches("hello\n");
    assert!(code == Some(3) && behind.len() < text.len(), "{code:?}: {text}");
    assert!(behind.starts_with("1400\n0 left\n"), "{text}");
}

#[test]
fn pasta_goes_with_its_container() {
    let Some(ordinary) = with_pasta("pasta-end") else { return };
    // The container is killed from outside, so that nobody but `delete` could end its pasta.
    let script = "$user ./nsinit --root state run --detach web sleep 60 > /dev/null 2>&1 || exit 9
        pgrep '^pas(st|ta)' > /dev/null && grep -c eth0 < <($user ./nsinit --root state exec web cat /proc/net/dev)
        $user ./nsinit --root state kill web KILL; $user ./nsinit --root state delete --force web; ls state";
    let (code, text) = beside(&ordinary, &format!("{script}; {LEFT}"));
    assert_eq!((code, text.as_str()), (Some(0), "1\n0 left\n"));
}

#[test]
fn without_pasta_there_is_one_clear_error() {
    let Some(mut ordinary) = with_pasta("pasta-bad") else { return };
    let error = |ordinary: &Ordinary, script: &str, wanted: &str| {
        let (code, text) = beside(ordinary, script);
        assert!(code == Some(1) && text.contains(wanted), "{script}: {code:?} {text}");
        assert!(!ordinary.state().join("web").exists(), "{text}");
    };
    let run = "$user ./nsinit --root state run web true";
    error(
        &ordinary,
        "mkdir none; /usr/bin/env PATH=$PWD/none /usr/bin/$user ./nsinit --root state run web true",
        "apt-get install passt",
    );
    error(&ordinary, &format!("ip route del default; {run}"), "start pasta for eth0");
    error(&ordinary, &format!("chmod 600 /mnt/tun; {run}"), "/dev/net/tun must be open to this user");
    error(&ordinary, "./nsinit --root other run web true", "pasta: only without root");
    ordinary.config.networks[0].address = "10.0.0.2/24".to_owned();
    ordinary.write();
    error(&ordinary, run, "pasta gives the container the host's addresses");
}
