//! stats, ps, pause, resume, update, events, net: as an operator uses them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use libcontainer_tests::{Place, able, config};
use serde_json::Value;

struct Tool<'a> {
    place: &'a Place,
}

impl Tool<'_> {
    fn command(&self, args: &[&str]) -> Command {
        // The program is built beside this test.
        let own = std::env::current_exe().unwrap();
        let program = own.ancestors().nth(2).unwrap().join("nsinit");
        let mut command = Command::new(program);
        command.arg("--root").arg(self.place.join("state")).args(args).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The error of a command that fails: one line.
    fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }
}

#[test]
fn a_container_is_measured_paused_and_limited() {
    if !able("a_container_is_measured_paused_and_limited") {
        return;
    }
    let place = Place::new("commands");
    let mut config = config(&place.rootfs().unwrap());
    config.cgroups = Some(place.cgroup());
    config.args = ["sh", "-c", "sleep 300 & sleep 300"].map(str::to_owned).to_vec();
    std::fs::write(place.join("container.json"), config.to_json().unwrap()).unwrap();
    let tool = Tool { place: &place };
    let bundle = place.path().to_str().unwrap();
    // Its standard descriptors must not be this test's pipes, which it would keep open.
    let started = tool
        .command(&["run", "--detach", "--bundle", bundle, "web"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(started.unwrap().success());

    let table = tool.ok(&["stats", "web"]);
    assert!(table.starts_with("ID") && table.contains("256.0 MiB"), "{table}");
    let stats = tool.json(&["stats", "--format", "json", "web"]);
    assert_eq!(stats["id"], "web");
    assert!(
        stats["data"]["cgroup_stats"]["memory"].is_object()
            && stats["data"]["network_stats"]["rx_bytes"] == 0,
        "{stats}"
    );
    let pids = tool.json(&["ps", "--format", "json", "web"]);
    assert!(pids.as_array().is_some_and(|pids| pids.len() >= 2), "{pids}");
    assert!(tool.ok(&["ps", "web"]).contains("sleep 300"));

    let state = || tool.json(&["state", "web"])["status"].clone();
    tool.ok(&["pause", "web"]);
    assert_eq!(state(), "paused");
    assert!(tool.fails(&["exec", "web", "true"]).contains("Paused"));
    tool.ok(&["resume", "web"]);
    assert_eq!(state(), "running");

    tool.ok(&["update", "--memory", "300m", "web"]);
    assert!(tool.ok(&["stats", "web"]).contains("300.0 MiB"));
    assert!(tool.fails(&["update", "web"]).contains("no limit is given"));
    assert!(tool.fails(&["update", "--memory", "3q", "web"]).contains("3q"));
    assert!(tool.fails(&["update", "--cpu-quota", "5", "web"]).contains("cpu.quota"));
    assert!(tool.fails(&["stats", "absent"]).contains("\"absent\" does not exist"));

    let net = tool.json(&["net", "--format", "json", "web"]);
    assert_eq!(net["interfaces"][0]["name"], "lo", "{net}");
    assert!(tool.ok(&["net", "web"]).contains("127.0.0.1/8"));
    events(&tool);
    tool.ok(&["delete", "--force", "web"]);
    assert!(tool.fails(&["events", "web"]).contains("does not exist"));
}

/// Events go on until the container ends.
fn events(tool: &Tool<'_>) {
    let mut child =
        tool.command(&["events", "--interval", "1", "web"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["type"].clone();
    assert!(["stats", "group"].map(Value::from).contains(&next()));
    tool.ok(&["kill", "web", "KILL"]);
    while next() != "exit" {}
    assert!(child.wait().unwrap().success());
}
