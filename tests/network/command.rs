//! `nsinit net`: what the container has inside, and what the host does for it.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use libcontainer::cgroups::{Existing, GroupPath, Layout, Plan, Select};
use libcontainer::{Factory, Network, Port};
use libcontainer_tests::skip;
use serde_json::{Value, json};

use super::device::{device, network};
use super::host::{networked, on_a_host, port, rootfs};
use super::nat::{both, with_world};

#[test]
fn nat_and_published_ports_are_shown() {
    with_world("net-command", |place, _| {
        let at = |address: &str, one: Port| Port { host_address: address.to_owned(), ..one };
        let ports = vec![
            port(8080, 80, ""),
            at("192.0.2.1", port(5300, 53, "udp")),
            at("2001:db8::1", port(90, 91, "tcp")),
        ];
        let published = Network { nat: true, ports, ..both(2) };
        let plain = Network { forward: false, gateway: String::new(), gateway_v6: String::new(), ..both(3) };
        let config = networked(&rootfs(place), vec![published, plain]);
        let container = Factory::new().unwrap().create(place.join("web"), &config).unwrap();
        let ask = |format: &str| {
            // The program is built beside this test.
            let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("nsinit");
            let mut command = Command::new(program);
            command.arg("--root").arg(place.path()).args(["net", "--format", format, "web"]);
            let output = command.stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };

        let found: Value = serde_json::from_str(&ask("json")).unwrap();
        let record = container.network_record().unwrap();
        let host = |number: usize| record.interfaces[number].host_name.clone();
        let one = |name: &str| {
            let all = found["interfaces"].as_array().unwrap();
            all.iter().find(|one| one["name"] == name).unwrap()["host"].clone()
        };
        let wanted = json!({
            "name": host(0), "bridge": "docker0", "nat": true, "forward": true,
            "ports": [
                {"host_address": "", "host_port": 8080, "port": 80, "protocol": "tcp"},
                {"host_address": "192.0.2.1", "host_port": 5300, "port": 53, "protocol": "udp"},
                {"host_address": "2001:db8::1", "host_port": 90, "port": 91, "protocol": "tcp"},
            ],
        });
        assert_eq!(one("eth0"), wanted);
        let without =
            json!({"name": host(1), "bridge": "docker0", "nat": false, "forward": false, "ports": []});
        assert_eq!(one("eth1"), without);
        assert_eq!(one("lo"), Value::Null);

        let table = ask("table");
        let words = |start: &str| -> Vec<Vec<String>> {
            let lines = table.lines().filter(|line| line.starts_with(start));
            lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
        };
        let ports = "8080->80/tcp,192.0.2.1:5300->53/udp,[2001:db8::1]:90->91/tcp";
        assert_eq!(words("eth0")[1], ["eth0", &host(0), "docker0", "yes", "yes", ports], "{table}");
        assert_eq!(words("eth1")[1], ["eth1", &host(1), "docker0", "no", "no", "-"], "{table}");
        container.destroy().unwrap();
    });
}

/// A thread is what there is no room for then, not a process.
#[test]
fn a_full_group_of_the_caller_s_is_named() {
    on_a_host("net-full", |place| {
        let layout = Layout::of_this_process().unwrap();
        let path = GroupPath::new(format!("lct-{}-net-full", std::process::id())).unwrap();
        let select = Select::Only(BTreeSet::from(["pids".to_owned()]));
        let Ok(plan) = Plan::new(&layout, &path, &select) else {
            return skip("a_full_group_of_the_caller_s_is_named", "no controller pids");
        };
        let group = plan.make(Existing::Refuse).unwrap();
        group.controller("pids").unwrap().0.write("pids.max", "2").unwrap();
        let dir = group.paths().into_values().next().unwrap();
        device();
        let config = networked(&rootfs(place), vec![network("net0")]);
        std::fs::write(place.join("container.json"), config.to_json().unwrap()).unwrap();
        let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("nsinit");
        let script = format!(
            "echo $$ > {}/cgroup.procs; exec {} --root state run web true",
            dir.display(),
            program.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(place.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        group.destroy(Duration::from_secs(10)).unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        let wanted = format!(
            "pthread_create: EAGAIN: Try again; {}/pids.max: 1 of 2 processes and threads are there already, and 2 more are needed",
            dir.display()
        );
        assert!(text.contains(&wanted), "{text}");
    });
}
