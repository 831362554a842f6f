//! What goes wrong: a criu that misbehaves, things that are missing, an operator who is killed in the midst of it.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use libcontainer::Network;
use libcontainer::network::netlink::{Name, Netlink, NewLink};
use libcontainer_tests::World;
use libcontainer_tests::operator::{Operator, until};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{COUNT, Saver, count};

/// An operator, and the program that stands in for criu.
fn standin(name: &str) -> Option<(Operator, String)> {
    let mut tool = Operator::new(name)?;
    let program = tool.program.with_file_name("standin");
    assert!(program.exists(), "cargo build -p libcontainer-tests --bins");
    tool.config.cgroups = Some(tool.place.cgroup());
    tool.config.args = ["sh", "-c", COUNT].map(str::to_owned).to_vec();
    tool.write();
    Some((tool, program.to_str().unwrap().to_owned()))
}

fn told(tool: &Operator, mode: &str, args: &[&str]) -> String {
    let output = tool.command(args).env("STANDIN", mode).output().unwrap();
    assert!(!output.status.success(), "{mode}");
    String::from_utf8(output.stderr).unwrap()
}

fn counts_on(tool: &Operator) {
    let from = count(tool);
    until("it counts on", || count(tool) > from);
}

/// However criu fails, it is said, and the container runs on.
#[test]
fn a_checkpoint_that_fails_changes_nothing() {
    let Some((tool, criu)) = standin("fails") else { return };
    tool.ok(&["run", "--detach", "web"]);
    let args = ["checkpoint", "--criu", &criu, "--criu-timeout", "1", "--image-path", "images", "web"];
    for (mode, wanted) in [
        ("hang", "criu said nothing for 1s"),
        ("die", "criu has ended without an answer: exit code 3"),
        ("rubbish", "what was started as criu is none, or too new"),
        ("old", "criu is version 3.10: 3.16 or newer is wanted"),
        ("stall", "criu said nothing for 1s"),
        ("vanish", "criu has ended without an answer: exit code 9"),
        ("refuse", "criu can't do it: no way: EACCES"),
        // With all processes standing still.
        ("frozen", "criu has ended without an answer: exit code 3"),
        ("frozen-stall", "criu said nothing for 1s"),
        ("frozen-hush", "criu has ended without an answer: exit code 0"),
    ] {
        let text = told(&tool, mode, &args);
        assert!(text.contains(wanted), "{mode}: {text}");
        assert!(text.contains("checkpoint \"web\""), "{mode}: {text}");
        counts_on(&tool);
        assert_eq!(tool.json(&["state", "web"])["status"], "running");
    }
    tool.ok(&["delete", "--force", "web"]);
}

/// However criu fails, nothing is left.
#[test]
fn a_restore_that_fails_leaves_nothing() {
    let Some((tool, criu)) = standin("lost") else { return };
    std::fs::create_dir(tool.place.join("images")).unwrap();
    std::fs::write(tool.place.join("images/descriptors.json"), r#"["/dev/null","/dev/null","/dev/null"]"#)
        .unwrap();
    std::fs::create_dir(tool.place.join("state")).unwrap();
    let args =
        ["restore", "--criu", &criu, "--criu-timeout", "1", "--image-path", "images", "--detach", "web"];
    for (mode, wanted) in [
        ("hang-restore", "criu said nothing for 1s"),
        ("die-restore", "criu has ended without an answer: exit code 3"),
        ("rubbish-restore", "what was started as criu is none, or too new"),
        ("old-restore", "criu is version 3.10: 3.16 or newer is wanted"),
        ("vanish-restore", "criu has ended without an answer: exit code 9"),
        ("refuse-restore", "criu can't do it: no way: EACCES"),
        ("lie-restore", "criu has not said which process it has restored"),
        // With a first process, and a network.
        ("first-restore", "criu has ended without an answer: exit code 3"),
        ("first-stall-restore", "criu said nothing for 1s"),
    ] {
        let text = told(&tool, mode, &args);
        assert!(text.contains(wanted), "{mode}: {text}");
        assert!(text.contains("restore \"web\""), "{mode}: {text}");
        nothing_is_left(&tool);
    }
}

/// criu takes along what it has made, and with that the namespace in which the device is.
#[test]
fn a_restore_that_fails_brings_a_device_of_the_host_home() {
    let Some((mut tool, criu)) = standin("homecoming") else { return };
    std::fs::create_dir_all(tool.place.join("images")).unwrap();
    std::fs::write(tool.place.join("images/descriptors.json"), r#"["/dev/null","/dev/null","/dev/null"]"#)
        .unwrap();
    std::fs::create_dir(tool.place.join("state")).unwrap();
    let kind = || "host-device".to_owned();
    tool.config.networks.push(Network { kind: kind(), device: "dev0".to_owned(), ..Network::default() });
    tool.write();
    let args =
        ["restore", "--criu", &criu, "--criu-timeout", "1", "--image-path", "images", "--detach", "web"];
    let test = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let mut host = Netlink::open().unwrap();
        let name = |text: &str| Name::new(text).unwrap();
        host.add(&NewLink::veth(name("dev0"), name("dev1"))).unwrap();
        let mut restore = |tool: &Operator, mode: &str| {
            let text = told(tool, mode, &args);
            let link = host.link("dev0").unwrap_or_else(|error| panic!("{mode}: {text}: {error}"));
            assert_eq!(link.alias, None, "{mode}: {text}");
            nothing_is_left(tool);
        };
        restore(&tool, "first-restore");
        restore(&tool, "first-stall-restore");
        let absent = Network { kind: kind(), device: "dev9".to_owned(), ..Network::default() };
        tool.config.networks.push(absent);
        tool.write();
        // What comes behind the move fails.
        restore(&tool, "-restore");
    };
    std::thread::scope(|scope| scope.spawn(test).join()).unwrap();
}

/// No record, no group, no mount, no process. Other tests have children at the same time.
fn nothing_is_left(tool: &Operator) {
    assert!(!tool.place.join("state/web").exists());
    assert_eq!(World::look(tool.place.path()).groups().next(), None);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*tool.place.path().to_string_lossy()), "{mounts}");
    assert!(tool.inside().is_empty());
}

/// Without a criu there is one error, and nothing was made.
#[test]
fn a_missing_criu_is_told_with_the_remedy() {
    let Some((tool, _)) = standin("none") else { return };
    tool.ok(&["run", "--detach", "web"]);
    let output = tool.command(&["checkpoint", "web"]).env("PATH", "/no/such").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("criu is not there: none in PATH=/no/such (install the package criu)"), "{text}");
    let text = tool.fails(&["checkpoint", "--criu", "/no/criu", "web"]);
    assert!(text.contains("/no/criu: no program that can be run as criu"), "{text}");
    counts_on(&tool);
    tool.ok(&["delete", "--force", "web"]);
}

/// What can't be executed as criu is told with its errno, and nothing was made.
#[test]
fn a_criu_that_is_no_program_is_told() {
    let Some((tool, _)) = standin("no-program") else { return };
    tool.ok(&["run", "--detach", "web"]);
    let file = tool.place.join("criu");
    std::fs::write(&file, "\0no program").unwrap();
    let path = file.to_str().unwrap();
    let args = ["checkpoint", "--criu", path, "--image-path", "images", "web"];
    for (mode, wanted) in [(0o755, "ENOEXEC"), (0o644, "no program that can be run as criu")] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let text = tool.fails(&args);
        assert!(text.contains(wanted) && text.contains(path), "{text}");
        counts_on(&tool);
    }
    tool.ok(&["delete", "--force", "web"]);
}

/// A restore without what it is made of: one error, and nothing is left.
#[test]
fn a_restore_whose_sources_are_missing() {
    let Some((mut tool, criu)) = standin("sources") else { return };
    std::fs::create_dir(tool.place.join("state")).unwrap();
    let restore = |tool: &Operator, bundle: &str, wanted: &[&str]| {
        let args =
            ["restore", "--criu", &criu, "--image-path", "images", "--bundle", bundle, "--detach", "web"];
        let text = tool.fails(&args);
        assert!(wanted.iter().all(|part| text.contains(part)), "{wanted:?}: {text}");
        nothing_is_left(tool);
    };
    restore(&tool, ".", &["directory of images: images: ENOENT"]);
    std::fs::create_dir(tool.place.join("images")).unwrap();
    restore(&tool, ".", &["descriptors.json (a checkpoint has it)", "ENOENT"]);
    std::fs::write(tool.place.join("images/descriptors.json"), "[").unwrap();
    restore(&tool, ".", &["descriptors.json"]);
    std::fs::write(tool.place.join("images/descriptors.json"), "[]").unwrap();
    restore(&tool, "no-bundle", &["no-bundle"]);
    let bind = serde_json::json!({"type": "bind", "source": "/no/such/source", "destination": "/mnt"});
    tool.config.mount_config.get_or_insert_default().mounts.push(serde_json::from_value(bind).unwrap());
    tool.write();
    restore(&tool, ".", &["/no/such/source", "ENOENT"]);
}

/// In the environment of a command that is going to be killed.
const BEGUN: &str = "LCT_BEGUN";

fn begun(tool: &Operator, mode: &str, args: &[&str]) -> Child {
    let mut command = tool.command(args);
    command.env("STANDIN", mode).env(BEGUN, tool.place.path());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Who restores is killed: what there is by then is ended by the next delete.
#[test]
fn a_restore_that_is_killed_can_be_deleted() {
    let Some((tool, criu)) = standin("killed") else { return };
    std::fs::create_dir(tool.place.join("images")).unwrap();
    std::fs::write(tool.place.join("images/descriptors.json"), "[]").unwrap();
    std::fs::create_dir(tool.place.join("state")).unwrap();
    let args = ["restore", "--criu", &criu, "--image-path", "images", "--detach", "web"];
    let mut child = begun(&tool, "stall-restore", &args);
    let state = tool.place.join("state/web/state.json");
    let pid = || {
        let text = std::fs::read_to_string(&state).ok()?;
        serde_json::from_str::<serde_json::Value>(&text).ok()?["init_pid"].as_i64().filter(|pid| *pid > 0)
    };
    until("criu is recorded", || pid().is_some());
    let pid = pid().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(tool.json(&["state", "web"])["status"], "creating");
    tool.ok(&["delete", "web"]);
    until("the one that stands in is gone", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    nothing_is_left(&tool);
}

/// Who makes a checkpoint is killed at any time: either it runs on, or it has ended; and it can be deleted.
#[test]
fn a_checkpoint_that_is_killed_leaves_one_or_the_other() {
    let Some(saver) = Saver::new("any-time") else { return };
    let tool = &saver.tool;
    for round in 0..12 {
        let images = format!("images-{round}");
        tool.ok(&["run", "--detach", "web"]);
        counts_on(tool);
        let mut child = begun(tool, "", &saver.with("checkpoint", &["--image-path", &images, "web"]));
        std::thread::sleep(std::time::Duration::from_millis(round * 15));
        child.kill().unwrap();
        child.wait().unwrap();
        let ended = || {
            let output = tool.run(&["state", "web"]);
            !output.status.success() || String::from_utf8_lossy(&output.stdout).contains("\"stopped\"")
        };
        let from = count(tool);
        until("it runs on or has ended", || ended() || count(tool) > from);
        tool.ok(&["delete", "--force", "web"]);
        assert!(tool.inside().is_empty(), "{round}");
    }
}

/// Who restores is killed at any time, with criu at work: what there is by then is ended by the next delete.
#[test]
fn a_restore_that_is_killed_at_any_time() {
    let Some(saver) = Saver::new("any-moment") else { return };
    killed_at_any_time(&saver, |nsinit| nsinit.kill().unwrap());
}

/// Nor is anything left without a control group, in which all of criu would be found.
#[test]
fn a_restore_without_a_group_that_is_killed_at_any_time() {
    let Some(mut saver) = Saver::new("ungrouped") else { return };
    saver.tool.config.cgroups = None;
    saver.tool.write();
    killed_at_any_time(&saver, |nsinit| nsinit.kill().unwrap());
}

/// criu alone is killed, or the one of it that is to become the first process.
#[test]
fn a_restore_whose_criu_is_killed_at_any_time() {
    let Some(mut saver) = Saver::new("criu-killed") else { return };
    saver.tool.config.cgroups = None;
    saver.tool.write();
    killed_at_any_time(&saver, |nsinit| {
        let children = format!("/proc/{0}/task/{0}/children", nsinit.id());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        for pid in pids {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    });
}

fn killed_at_any_time(saver: &Saver, strike: impl Fn(&mut Child)) {
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    counts_on(tool);
    saver.checkpoint(&["--image-path", "images", "web"]);
    for round in 0..12 {
        let mut child =
            begun(tool, "", &saver.with("restore", &["--image-path", "images", "--detach", "web"]));
        std::thread::sleep(std::time::Duration::from_millis(round * 20));
        strike(&mut child);
        child.wait().unwrap();
        // One that was killed before it had a record has left none.
        if tool.place.join("state/web").exists() {
            tool.ok(&["delete", "--force", "web"]);
        }
        until("all have gone", || tool.inside().is_empty() && begun_by(tool).is_empty());
        nothing_is_left(tool);
    }
    saver.restore(&["--image-path", "images", "--detach", "web"]);
    counts_on(tool);
    assert!(!tool.place.join("state/web/criu").exists());
    tool.ok(&["delete", "--force", "web"]);
}

/// Processes that were started by such a command, criu's among them.
fn begun_by(tool: &Operator) -> Vec<String> {
    let wanted = format!("{BEGUN}={}", tool.place.path().display());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let has = |entry: &std::fs::DirEntry| {
        let text = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        text.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let line =
        |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
    entries.filter(has).map(line).collect()
}
