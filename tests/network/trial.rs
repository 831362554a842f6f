//! `nsinit try --net`: a network made for one command, gone with it.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};

use libcontainer::network::netlink::Cidr;
use libcontainer_tests::Place;

use super::host::{links, settled, tables};
use super::nat::{serve, with_world};

/// Says what it finds: the default route's gateway in hex, what resolves names, and whom the server in the world takes it for.
const SCRIPT: &str = r#"while read -r link to by rest; do [ "$to" = 00000000 ] && echo "$link $by"; done < /proc/net/route
grep ^hosts: /etc/nsswitch.conf
exec timeout "$2" bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf "?" >&3 && cat <&3' "$0" "$1""#;

fn attempt(place: &Place, server: SocketAddr, seconds: &str) -> Output {
    // The program is built beside this test.
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("nsinit");
    let mut command = Command::new(program);
    command.arg("--root").arg(place.join("state")).args(["try", "--net", "--", "bash", "-c", SCRIPT]);
    command.args([&server.ip().to_string(), &server.port().to_string(), seconds]);
    command.stdin(Stdio::null()).output().unwrap()
}

/// The gateway that a route of `/proc/net/route` goes by.
fn gateway(line: &str) -> Cidr {
    let (link, hex) = line.split_once(' ').unwrap();
    assert_eq!(link, "eth0");
    let address = std::net::Ipv4Addr::from(u32::from_str_radix(hex, 16).unwrap().to_ne_bytes());
    format!("{address}/24").parse().unwrap()
}

#[test]
fn a_trial_reaches_the_world_if_the_host_forwards() {
    with_world("trial-net", |place, world| {
        let server: SocketAddr = "192.0.2.2:7000".parse().unwrap();
        let listener = world.within(|| TcpListener::bind(server).unwrap());
        let before = links();
        let unchanged = || {
            settled(&before);
            assert_eq!(tables(), Vec::<String>::new());
        };
        let forward = |value: &str| std::fs::write("/proc/sys/net/ipv4/ip_forward", value).unwrap();

        forward("1");
        let output = std::thread::scope(|scope| {
            scope.spawn(|| serve(&listener, 1));
            attempt(place, server, "30")
        });
        let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[1..], ["hosts: files dns", "192.0.2.1"], "{said}{told}");
        // Not the network of another bridge of this host.
        let taken: Cidr = "10.0.0.1/20".parse().unwrap();
        assert!(!taken.contains(gateway(lines[0]).address()), "{said}");
        unchanged();

        // The host's own choice stands: the trial has its network, but no way out.
        forward("0");
        let output = attempt(place, server, "3");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && !said.contains("192.0.2.1"), "{said}");
        gateway(said.lines().next().unwrap());
        assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim(), "0");
        unchanged();
    });
}
