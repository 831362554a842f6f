//! Bundles with config.json, from create to delete.

use std::fs;

use libcontainer_tests::operator::until;
use serde_json::json;

use super::Oci;

#[test]
fn a_bundle_with_config_json_runs() {
    let script =
        "hostname; echo $OF; grep -c . /proc/mounts >/dev/null; grep CapEff /proc/self/status; exit 7";
    let Some(oci) = Oci::new("a_bundle_with_config_json_runs", &["sh", "-c", script]) else { return };
    let output = oci.run(&["run", "web"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("oci\nconfig\n") && text.contains("0000000000000020"), "{text}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_way_of_a_caller_is_gone() {
    let Some(oci) = Oci::new("the_way_of_a_caller_is_gone", &["sleep", "300"]) else { return };
    let pid_file = oci.place.join("pid");
    let bundle = oci.place.path().to_str().unwrap();
    oci.ok(&["create", "--bundle", bundle, "--pid-file", pid_file.to_str().unwrap(), "web"]);
    let created = oci.state("web");
    let pid = fs::read_to_string(pid_file).unwrap();
    assert_eq!(created["pid"].to_string(), pid);
    assert_eq!(created["status"], "created");
    assert_eq!(created["bundle"], bundle);
    assert_eq!(created["annotations"], json!({"org.example.of": "the bundle"}));
    let keys = oci.ok(&["state", "web"]);
    let order: Vec<_> =
        ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"]
            .map(|key| keys.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key}: {keys}")))
            .to_vec();
    assert!(order.is_sorted(), "{keys}");
    oci.ok(&["start", "web"]);
    assert_eq!(oci.state("web")["status"], "running");
    assert!(oci.fails(&["delete", "web"]).contains("running"));
    oci.ok(&["kill", "web", "KILL"]);
    until("it has ended", || oci.state("web")["status"] == "stopped");
    assert_eq!(oci.state("web")["pid"], 0);
    assert!(oci.fails(&["kill", "web", "TERM"]).contains("container not running"));
    oci.ok(&["delete", "web"]);
    assert!(oci.fails(&["state", "web"]).contains("does not exist"));
}

/// As pid 1 of a namespace it would outlive their default action.
#[test]
fn signals_end_one_that_waits_for_its_start() {
    let Some(oci) = Oci::new("signals_end_one_that_waits_for_its_start", &["sleep", "300"]) else { return };
    for signal in ["HUP", "INT", "QUIT", "TERM"] {
        oci.ok(&["create", "web"]);
        // Of no meaning for who waits; the program gets it.
        oci.ok(&["kill", "web", "USR1"]);
        assert_eq!(oci.state("web")["status"], "created", "{signal}");
        oci.ok(&["kill", "web", signal]);
        until("it has ended", || oci.state("web")["status"] == "stopped");
        assert!(oci.fails(&["start", "web"]).contains("is stopped"), "{signal}");
        oci.ok(&["delete", "web"]);
    }
}

#[test]
fn all_of_a_pattern_are_deleted() {
    let Some(mut oci) = Oci::new("all_of_a_pattern_are_deleted", &["true"]) else { return };
    let group = oci.spec["linux"]["cgroupsPath"].as_str().unwrap().to_owned();
    oci.check(&["delete", "--regex", "w"], 0, "");
    for name in ["web-1", "web-2", "data"] {
        oci.spec["linux"]["cgroupsPath"] = json!(format!("{group}-{name}"));
        oci.write();
        oci.ok(&["create", name]);
    }
    oci.ok(&["start", "web-1"]);
    until("it has ended", || oci.state("web-1")["status"] == "stopped");
    oci.check(&["delete", "--regex", "web-[0-9"], 2, "--regex");
    // What fails keeps no other from being deleted.
    oci.check(&["delete", "--regex", "^web-|data"], 1, "\"web-2\" is created: kill it first");
    assert_eq!(oci.ok(&["list", "--quiet"]), "data\nweb-2\n");
    oci.ok(&["delete", "--force", "--regex", "^web-"]);
    assert_eq!(oci.ok(&["list", "--quiet"]), "data\n");
    oci.ok(&["delete", "--force", "data"]);
}

#[test]
fn a_bundle_with_both_has_to_say_which() {
    let Some(oci) = Oci::new("a_bundle_with_both_has_to_say_which", &["echo", "of config.json"]) else {
        return;
    };
    let mut own = oci.config.clone();
    own.args = ["echo", "of container.json"].map(str::to_owned).to_vec();
    fs::write(oci.place.join("container.json"), own.to_json().unwrap()).unwrap();
    let told = oci.fails(&["run", "web"]);
    assert!(
        told.contains("config.json") && told.contains("container.json") && told.contains("--config"),
        "{told}"
    );
    for name in ["config.json", "container.json"] {
        assert_eq!(oci.ok(&["run", "--config", name, "web"]), format!("of {name}\n"));
    }
    // A third name is known by what is in it.
    fs::rename(oci.place.join("config.json"), oci.place.join("other")).unwrap();
    assert_eq!(oci.ok(&["run", "--config", "other", "web"]), "of config.json\n");
}

#[test]
fn all_problems_are_told_with_their_places() {
    let Some(mut oci) = Oci::new("all_problems_are_told_with_their_places", &["true"]) else { return };
    oci.spec["process"]["cwd"] = json!("here");
    oci.spec["linux"]["namespaces"][0]["type"] = json!("quux");
    oci.write();
    let told = oci.fails(&["create", "web"]);
    assert!(told.contains("config.json") && told.contains("/linux/namespaces/0/type"), "{told}");
    assert!(oci.fails(&["state", "web"]).contains("does not exist"));
}

#[test]
fn exec_takes_a_process_from_a_file() {
    let Some(oci) = Oci::new("exec_takes_a_process_from_a_file", &["sleep", "300"]) else { return };
    oci.ok(&["run", "--detach", "web"]);
    let process = json!({
        "args": ["sh", "-c", "id -u; id -G; pwd; echo $A; umask; grep -E 'CapBnd|NoNewPrivs' /proc/self/status"],
        "env": ["PATH=/bin", "A=of the file"],
        "cwd": "/tmp",
        "user": {"uid": 7, "gid": 8, "additionalGids": [9], "umask": 0o027},
        "capabilities": {"bounding": ["CAP_CHOWN"]},
        "noNewPrivileges": true,
    });
    let file = oci.place.join("process.json");
    fs::write(&file, process.to_string()).unwrap();
    let text = oci.ok(&["exec", "--process", file.to_str().unwrap(), "web"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..5], ["7", "8 9", "/tmp", "of the file", "0027"], "{text}");
    assert!(text.contains("CapBnd:\t0000000000000001") && text.contains("NoNewPrivs:\t1"), "{text}");
    let told = oci.ok(&[
        "exec",
        "--cap",
        "CAP_CHOWN",
        "--additional-gids",
        "5",
        "web",
        "sh",
        "-c",
        "id -G; grep CapEff /proc/self/status",
    ]);
    assert!(told.starts_with("0 5\n") && told.contains("0000000000000021"), "{told}");
    oci.ok(&["delete", "--force", "web"]);
}

/// The first process goes on: who reaches that alone ends nobody.
#[test]
fn a_signal_reaches_all_processes() {
    let script = "trap : TERM; sleep 301 & sleep 302 & while :; do wait; sleep 0.1; done";
    let Some(oci) = Oci::new("a_signal_reaches_all_processes", &["sh", "-c", script]) else { return };
    oci.ok(&["run", "--detach", "web"]);
    let table = || oci.ok(&["ps", "web"]);
    until("its children run", || table().contains("sleep 301\n") && table().contains("sleep 302\n"));
    oci.ok(&["kill", "web", "TERM"]);
    assert!(table().contains("sleep 301\n") && table().contains("sleep 302\n"));
    oci.ok(&["kill", "--all", "web", "TERM"]);
    until("they have ended", || !table().contains("sleep 301\n") && !table().contains("sleep 302\n"));
    assert_eq!(oci.state("web")["status"], "running");
    oci.ok(&["kill", "--all", "web", "KILL"]);
    until("all have ended", || oci.state("web")["status"] == "stopped");
    oci.ok(&["kill", "--all", "web", "TERM"]);
    assert!(oci.fails(&["kill", "web", "TERM"]).contains("container not running"));
    oci.ok(&["delete", "web"]);
}
