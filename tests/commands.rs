//! stats, ps, pause, resume, update, events, net: as an operator uses them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use libcontainer_tests::operator::Operator;
use serde_json::Value;

#[test]
fn a_container_is_measured_paused_and_limited() {
    let Some(mut tool) = Operator::new("commands") else { return };
    tool.config.cgroups = Some(tool.place.cgroup());
    tool.config.args = ["sh", "-c", "sleep 300 & sleep 300"].map(str::to_owned).to_vec();
    tool.write();
    tool.ok(&["run", "--detach", "--bundle", tool.place.path().to_str().unwrap(), "web"]);

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
    assert!(tool.fails(&["exec", "web", "true"]).contains("paused"));
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
fn events(tool: &Operator) {
    let mut child =
        tool.command(&["events", "--interval", "1", "web"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["type"].clone();
    assert!(["stats", "group"].map(Value::from).contains(&next()));
    tool.ok(&["kill", "web", "KILL"]);
    while next() != "exit" {}
    assert!(child.wait().unwrap().success());
}

/// What an operator asks of a config and of a host, in words and as JSON.
#[test]
fn configs_and_hosts_are_described() {
    let Some(tool) = Operator::new("described") else { return };
    let (place, config) = (&tool.place, &tool.config);
    let bundle = place.path().to_str().unwrap();
    let plan = tool.json(&["explain", "--json", bundle]);
    assert_eq!(
        plan["counts"]["child_steps"].as_u64().unwrap(),
        plan["child"].as_array().unwrap().len() as u64
    );
    assert!(plan["host"][0]["call"].as_str().unwrap().starts_with("mkdir"), "{plan}");
    let known = tool.json(&["check", "--json"]);
    let names: Vec<_> = known.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"kernel") && names.contains(&"cgroups"), "{names:?}");
    let mut strange: Value = serde_json::from_slice(config.to_json().unwrap().as_bytes()).unwrap();
    strange["bogus"] = 1.into();
    std::fs::write(place.join("container.json"), strange.to_string()).unwrap();
    assert_eq!(tool.json(&["config", bundle])["hostname"], "inside");
    assert!(tool.fails(&["config", "--strict", bundle]).contains("/bogus"));
    assert!(tool.fails(&["run", "--strict", "--bundle", bundle, "x"]).contains("/bogus"));
}

#[test]
fn pids_are_written_and_ended_containers_kept() {
    let Some(mut tool) = Operator::new("kept") else { return };
    tool.config.args = ["sh", "-c", "exit 3"].map(str::to_owned).to_vec();
    tool.write();
    let (bundle, pid) = (tool.place.path().to_str().unwrap(), tool.place.join("pid"));
    let pid = pid.to_str().unwrap();
    let kept = tool.run(&["run", "--keep", "--pid-file", pid, "--bundle", bundle, "web"]);
    assert_eq!(kept.status.code(), Some(3));
    assert!(std::fs::read_to_string(pid).unwrap().parse::<i32>().unwrap() > 1);
    assert_eq!(tool.json(&["state", "web"])["status"], "stopped");
    assert_eq!(tool.ok(&["list", "--quiet"]), "web\n");
    assert!(tool.ok(&["list"]).contains("stopped"));
    assert!(tool.fails(&["run", "--bundle", bundle, "web"]).contains("already exists"));
    // A pid file that can't be written takes the container back.
    let nowhere = ["create", "--pid-file", "/no/such/dir/pid", "--bundle", bundle, "other"];
    assert!(tool.fails(&nowhere).contains("--pid-file /no/such/dir/pid"));
    tool.ok(&["delete", "web"]);
    assert_eq!(tool.ok(&["list", "-q"]), "");
}

/// `--pid-file /dev/null` by root put a file in the place of the device, for all on the machine.
#[test]
fn what_is_no_file_is_not_replaced_by_a_pid_file() {
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    use std::os::unix::fs::FileTypeExt;
    let Some(tool) = Operator::new("pid-device") else { return };
    for (name, kind, number) in [("null", SFlag::S_IFCHR, (1, 3)), ("disk", SFlag::S_IFBLK, (7, 200))] {
        mknod(&tool.place.join(name), kind, Mode::S_IRUSR | Mode::S_IWUSR, makedev(number.0, number.1))
            .unwrap();
    }
    std::os::unix::fs::symlink("null", tool.place.join("link")).unwrap();
    std::os::unix::fs::symlink("loop", tool.place.join("loop")).unwrap();
    nix::unistd::mkfifo(&tool.place.join("pipe"), Mode::S_IRWXU).unwrap();
    let kind = |name: &str| tool.place.join(name).symlink_metadata().unwrap().file_type();
    for name in ["null", "link"] {
        tool.ok(&["run", "--detach", "--pid-file", name, "web"]);
        tool.ok(&["delete", "--force", "web"]);
    }
    assert!(kind("null").is_char_device() && kind("link").is_symlink());
    // Nobody reads the pipe, and what the loop leads to can't be known.
    for (name, errno) in [("disk", "EEXIST"), ("pipe", "ENXIO"), ("loop", "ELOOP")] {
        let wanted = format!("--pid-file {name}: {errno}");
        assert!(tool.fails(&["run", "--detach", "--pid-file", name, "web"]).contains(&wanted), "{wanted}");
    }
    assert!(kind("disk").is_block_device() && kind("pipe").is_fifo() && kind("loop").is_symlink());
    let mut reader = std::fs::File::options().read(true).write(true).open(tool.place.join("pipe")).unwrap();
    tool.ok(&["run", "--detach", "--pid-file", "pipe", "web"]);
    let mut bytes = [0; 32];
    let count = std::io::Read::read(&mut reader, &mut bytes).unwrap();
    let told = String::from_utf8_lossy(&bytes[..count]).parse::<i64>().unwrap();
    assert_eq!(tool.json(&["state", "web"])["pid"], told);
    tool.ok(&["delete", "--force", "web"]);
}

/// A ps(1) that is not there or does not know its options is done without; one that fails is told.
#[test]
fn a_table_by_a_ps_that_fails() {
    let Some(tool) = Operator::new("ps-fails") else { return };
    tool.ok(&["run", "--detach", "web"]);
    let bin = tool.place.join("programs");
    std::fs::create_dir(&bin).unwrap();
    let ps = |script: &str| {
        let file = bin.join("ps");
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let found = tool.command(&["ps", "web"]).env("PATH", &bin).output().unwrap();
        (found.status.code(), String::from_utf8_lossy(&[found.stdout, found.stderr].concat()).into_owned())
    };
    for (script, code, wanted) in [
        ("exit 1", 0, "PID PPID UID STATE COMMAND"),
        ("echo nothing", 0, "PID PPID UID STATE COMMAND"),
        ("echo heading PID; kill -9 $$", 1, "ps [\"-ef\"]: signal: 9 (SIGKILL)"),
    ] {
        let (found, text) = ps(script);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(found == Some(code) && text.contains(wanted), "{script}: {found:?} {text}");
    }
    std::fs::remove_file(bin.join("ps")).unwrap();
    let found = tool.command(&["ps", "web"]).env("PATH", &bin).output().unwrap();
    assert!(found.status.success() && String::from_utf8_lossy(&found.stdout).contains("STATE"), "{found:?}");
    tool.ok(&["delete", "--force", "web"]);
}
