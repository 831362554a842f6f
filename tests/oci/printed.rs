//! What callers read: logs, versions, tables.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::Oci;

#[test]
fn errors_go_to_the_log() {
    let Some(oci) = Oci::new("errors_go_to_the_log", &["true"]) else { return };
    let path = oci.place.join("log");
    let log = path.to_str().unwrap();
    for id in ["one", "two"] {
        let told = oci.fails(&["--log", log, "--log-format", "json", "state", id]);
        assert!(told.contains("does not exist"), "{told}");
    }
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["level"], "error");
    assert!(lines[1]["msg"].as_str().unwrap().contains("\"two\" does not exist"), "{text}");
    assert_eq!(lines[1]["time"].as_str().unwrap().len(), "2026-01-01T00:00:00Z".len());
    fs::remove_file(&path).unwrap();
    oci.fails(&["state", "one", "--log", log]);
    assert!(
        fs::read_to_string(&path).unwrap().contains("level=error msg=\"container \\\"one\\\" does not exist")
    );
    assert!(oci.fails(&["--log", "/nope/log", "list"]).contains("--log /nope/log: ENOENT"));
}

#[test]
fn versions_are_lines() {
    let Some(oci) = Oci::new("versions_are_lines", &["true"]) else { return };
    let text = oci.ok(&["--version"]);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("nsinit version "), "{text}");
    assert!(lines.iter().any(|line| line.starts_with("spec: 1.")), "{text}");
    // As crun tells what it was built with: its own tests, and people who read `podman info`, go by these words.
    assert_eq!(lines.last(), Some(&"+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +CRIU"), "{text}");
    // runc has the one, crun both.
    assert_eq!((oci.ok(&["-v"]), oci.ok(&["-V"])), (text.clone(), text));
}

#[test]
fn options_of_other_runtimes_are_taken() {
    let Some(oci) = Oci::new("options_of_other_runtimes_are_taken", &["cat", "/proc/self/cgroup"]) else {
        return;
    };
    let own = oci.place.cgroup().path.file_name().unwrap().to_str().unwrap().to_owned();
    let run = [
        "--debug",
        "--rootless=auto",
        "--cgroup-manager",
        "cgroupfs",
        "run",
        "--no-subreaper",
        "--no-new-keyring",
        "web",
    ];
    assert!(oci.ok(&run).contains(&own));
    oci.ok(&["--rootless", "list"]);
    let disabled = oci.ok(&["--cgroup-manager", "disabled", "run", "web"]);
    assert!(!disabled.is_empty() && !disabled.contains(&own), "{disabled}");
}

#[test]
fn lists_are_tables() {
    let Some(oci) = Oci::new("lists_are_tables", &["sleep", "300"]) else { return };
    assert_eq!(
        oci.ok(&["list"]).split_whitespace().collect::<Vec<_>>(),
        ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    );
    assert_eq!(oci.ok(&["list", "--format", "json"]), "[]\n");
    oci.ok(&["create", "web"]);
    let table = oci.ok(&["list"]);
    let line: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((line[0], line[2], line[5]), ("web", "created", "root"), "{table}");
    let listed: Value = serde_json::from_str(&oci.ok(&["list", "--format", "json"])).unwrap();
    assert_eq!(listed[0]["annotations"]["org.example.of"], "the bundle");
    assert_eq!(oci.ok(&["list", "--quiet"]), "web\n");
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn ps_passes_options_on() {
    let Some(oci) = Oci::new("ps_passes_options_on", &["sleep", "287"]) else { return };
    oci.ok(&["run", "--detach", "web"]);
    let table = oci.ok(&["ps", "web"]);
    let heading: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heading, ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"], "{table}");
    let table = oci.ok(&["ps", "web", "-eo", "pid,args"]);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines.len() == 2 && lines[1].contains("sleep 287"), "{table}");
    assert!(oci.fails(&["ps", "web", "-eo", "args"]).contains("no column PID"));
    assert!(oci.fails(&["ps", "web", "--bogus"]).contains("ps [\"--bogus\"]"));
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn events_have_the_keys_of_runc() {
    let Some(oci) = Oci::new("events_have_the_keys_of_runc", &["sleep", "300"]) else { return };
    oci.ok(&["run", "--detach", "web"]);
    let event: Value = serde_json::from_str(&oci.ok(&["events", "--stats", "web"])).unwrap();
    assert_eq!((event["type"].as_str(), event["id"].as_str()), (Some("stats"), Some("web")));
    assert!(event["data"]["memory"]["usage"]["usage"].as_u64().is_some_and(|bytes| bytes > 0), "{event}");
    assert!(event["data"]["cpu"]["usage"]["total"].is_u64(), "{event}");
    oci.ok(&["delete", "--force", "web"]);
}

/// Also while it is measured: the end is an event, no failure.
#[test]
fn events_end_with_a_container_that_is_deleted() {
    let Some(oci) = Oci::new("events_end_with_a_container_that_is_deleted", &["sleep", "300"]) else {
        return;
    };
    for _ in 0..20 {
        oci.ok(&["run", "--detach", "web"]);
        let mut command = oci.command(&["events", "--interval", "1ms", "web"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.next().unwrap().unwrap();
        oci.ok(&["delete", "--force", "web"]);
        let last = lines.map(Result::unwrap).last().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{last} {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(last, r#"{"type":"exit","id":"web"}"#);
    }
}

#[test]
fn a_spec_to_begin_with_is_not_written_over() {
    let Some(oci) = Oci::new("a_spec_to_begin_with_is_not_written_over", &["true"]) else { return };
    assert!(oci.fails(&["spec"]).contains("config.json: create"));
    fs::remove_file(oci.place.join("config.json")).unwrap();
    oci.ok(&["spec"]);
    let text = fs::read_to_string(oci.place.join("config.json")).unwrap();
    let mut spec: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(spec["root"]["path"], "rootfs");
    spec["process"]["terminal"] = Value::Bool(false);
    spec["process"]["args"] = serde_json::json!(["echo", "begun"]);
    spec["root"]["path"] = serde_json::json!(oci.config.rootfs);
    fs::write(oci.place.join("config.json"), spec.to_string()).unwrap();
    assert_eq!(oci.ok(&["--cgroup-manager", "disabled", "run", "web"]), "begun\n");
    fs::remove_file(oci.place.join("config.json")).unwrap();
    oci.ok(&["spec", "--rootless"]);
    assert!(fs::read_to_string(oci.place.join("config.json")).unwrap().contains("uidMappings"));
}

#[test]
fn features_are_those_of_the_specification() {
    let Some(oci) = Oci::new("features_are_those_of_the_specification", &["true"]) else { return };
    let features: Value = serde_json::from_str(&oci.ok(&["features"])).unwrap();
    assert!(features["ociVersionMin"].is_string() && features["ociVersionMax"].is_string(), "{features}");
    let names = |key: &str| {
        features[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(names("mountOptions").contains(&"rro".to_owned()));
    assert!(features["linux"]["namespaces"].as_array().unwrap().iter().any(|name| name == "time"));
}
