//! What users of other runtimes have reported trouble with.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use libcontainer::cgroups::Layout;
use libcontainer_tests::operator::until;
use libcontainer_tests::skip;
use serde_json::json;

use super::Oci;
use super::handing::received;

fn running(name: &str) -> Option<Oci> {
    let oci = Oci::new(name, &["sleep", "300"])?;
    oci.ok(&["run", "--detach", "web"]);
    Some(oci)
}

/// Standard input is a pipe with this in it; standard output is read to its end, by whoever has it open.
fn piped(oci: &Oci, args: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let mut child = oci
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Who does not read gets none of it.
    let _ = stdin.write_all(input);
    drop(stdin);
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code(), text)
}

fn user_namespace(oci: &mut Oci) {
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    oci.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    oci.spec["linux"]["uidMappings"] = map.clone();
    oci.spec["linux"]["gidMappings"] = map;
}

fn without(oci: &mut Oci, kind: &str) {
    let all = oci.spec["linux"]["namespaces"].as_array_mut().unwrap();
    all.retain(|one| one["type"] != kind);
}

fn mounts(oci: &mut Oci, more: serde_json::Value) {
    oci.spec["mounts"].as_array_mut().unwrap().push(more);
}

#[test]
fn exec_ends_with_its_program_though_a_child_keeps_the_pipe() {
    let Some(oci) = running("exec_ends_with_its_program_though_a_child_keeps_the_pipe") else { return };
    let mut child = oci
        .command(&["exec", "web", "sh", "-c", "sleep 300 & echo $!; exit 7"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut ended = None;
    until("exec ends", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(7));
    // The pipe is the child's until it ends, and nobody else's.
    let mut first = [0; 1];
    stdout.read_exact(&mut first).unwrap();
    oci.ok(&["kill", "--all", "web", "KILL"]);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(rest.trim().parse::<u32>().is_ok() || rest == "\n", "{rest:?}");
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn a_standard_input_that_is_closed_early_is_the_end_of_input() {
    let Some(oci) = running("a_standard_input_that_is_closed_early_is_the_end_of_input") else { return };
    assert_eq!(piped(&oci, &["exec", "web", "cat"], b""), (Some(0), String::new()));
    assert_eq!(piped(&oci, &["exec", "web", "cat"], b"some"), (Some(0), "some".to_owned()));
    // More than a pipe holds, for a program that reads a part.
    let much = vec![b'x'; 1 << 20];
    assert_eq!(piped(&oci, &["exec", "web", "head", "-c", "3"], &much), (Some(0), "xxx".to_owned()));
    // None at all: a shell closes it.
    let (program, state) = (oci.program.display(), oci.place.join("state"));
    let script = format!("{program} --root {} exec web sh -c 'cat; echo end' <&- ", state.display());
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "end\n");
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn a_hundred_execs_at_once_each_tell_their_own() {
    let Some(oci) = running("a_hundred_execs_at_once_each_tell_their_own") else { return };
    let start = |number: u32| {
        let script = format!("echo {number}; exit {number}");
        let mut command = oci.command(&["exec", "web", "sh", "-c", &script]);
        (number, command.stdout(Stdio::piped()).spawn().unwrap())
    };
    let all: Vec<_> = (0..100).map(start).collect();
    for (number, child) in all {
        let output = child.wait_with_output().unwrap();
        let found = (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned());
        assert_eq!(found, (Some(i32::try_from(number).unwrap()), number.to_string()));
    }
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn the_output_of_create_is_the_programs_and_ends_with_it() {
    let Some(oci) = Oci::new(
        "the_output_of_create_is_the_programs_and_ends_with_it",
        &["sh", "-c", "echo of $0; exit 3"],
    ) else {
        return;
    };
    let mut child = oci.command(&["create", "web"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    until("create ends", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
    oci.ok(&["start", "web"]);
    // To its end: nothing of ours keeps it.
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(text, "of sh\n");
    until("it has ended", || oci.state("web")["status"] == "stopped");
    oci.ok(&["delete", "web"]);
}

/// The source is mounted in mounts of the command's own: the machine's are left alone.
#[test]
fn sources_with_locked_attributes_are_bound_in_a_user_namespace() {
    let name = "sources_with_locked_attributes_are_bound_in_a_user_namespace";
    let script = "cat /locked/file; touch /locked/x 2>/dev/null || echo kept; grep -o ' /locked [^ ]*' /proc/self/mountinfo";
    for options in [
        json!(["rbind"]),
        json!(["bind", "rw"]),
        json!(["bind", "ro"]),
        json!(["rbind", "nosuid", "nodev", "ro", "rprivate"]),
    ] {
        let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
        user_namespace(&mut oci);
        let source = oci.place.join("source");
        fs::create_dir(&source).unwrap();
        fs::create_dir(oci.operator.config.rootfs.join("locked")).unwrap();
        mounts(
            &mut oci,
            json!({"destination": "/locked", "type": "bind", "source": source, "options": options}),
        );
        oci.write();
        let (program, state) = (oci.program.display(), oci.place.join("state"));
        let from = source.display();
        let script = format!(
            "mount -t tmpfs t {from} && echo in >{from}/file && mount -o remount,ro,nosuid,nodev {from} && \
             exec {program} --root {} run --bundle {} web",
            state.display(),
            oci.place.path().display()
        );
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .output()
            .unwrap();
        let told =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // To clear what is locked is told, not left out: as newer runc.
        let wanted =
            if options[1] == "rw" { "leave that option out" } else { "in\nkept\n /locked ro,nosuid,nodev" };
        assert!(told.contains(wanted), "{options}: {told}");
    }
}

#[test]
fn without_a_network_namespace_of_its_own_a_user_namespace_has_the_hosts_sysfs() {
    let name = "without_a_network_namespace_of_its_own_a_user_namespace_has_the_hosts_sysfs";
    let script = "ls /sys/kernel >/dev/null && echo there; grep -c ' /sys ro,nosuid,nodev,noexec' /proc/self/mountinfo";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
    user_namespace(&mut oci);
    without(&mut oci, "network");
    mounts(
        &mut oci,
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}),
    );
    oci.write();
    assert_eq!(oci.ok(&["run", "web"]), "there\n1\n");
}

#[test]
fn without_a_pid_namespace_of_its_own_a_user_namespace_has_the_hosts_procfs() {
    let name = "without_a_pid_namespace_of_its_own_a_user_namespace_has_the_hosts_procfs";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", "test -d /proc/self && echo there"]) else { return };
    user_namespace(&mut oci);
    without(&mut oci, "pid");
    oci.spec["linux"]["maskedPaths"] = json!(null);
    oci.spec["linux"]["readonlyPaths"] = json!(null);
    oci.write();
    assert_eq!(oci.ok(&["run", "web"]), "there\n");
}

#[test]
fn swap_alone_is_changed_and_memory_below_use_is_told() {
    let name = "swap_alone_is_changed_and_memory_below_use_is_told";
    let layout = Layout::of_this_process().unwrap();
    let Some(memory) =
        layout.hierarchy("memory").filter(|one| one.version == libcontainer::cgroups::stats::Version::V1)
    else {
        return skip(name, "memory is not of version 1 here: there the kernel kills instead of refusing");
    };
    let script = "dd if=/dev/zero of=/dev/shm/much bs=1M count=40 2>/dev/null; touch /tmp/ready; sleep 300";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
    mounts(&mut oci, json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm"}));
    oci.spec["linux"]["resources"] = json!({"memory": {"limit": 128 << 20, "swap": 256 << 20}});
    let _ = fs::create_dir(oci.operator.config.rootfs.join("tmp"));
    oci.write();
    oci.ok(&["run", "--detach", "web"]);
    until("it uses memory", || oci.operator.config.rootfs.join("tmp/ready").exists());
    let group =
        memory.mountpoint.join(oci.spec["linux"]["cgroupsPath"].as_str().unwrap().trim_start_matches('/'));
    let read = |file: &str| fs::read_to_string(group.join(file)).unwrap().trim().parse::<u64>().unwrap();
    if group.join("memory.memsw.limit_in_bytes").exists() {
        oci.ok(&["update", "--memory-swap", "200m", "web"]);
        assert_eq!(
            (read("memory.limit_in_bytes"), read("memory.memsw.limit_in_bytes")),
            (128 << 20, 200 << 20)
        );
        let told = oci.fails(&["update", "--memory-swap", "100m", "web"]);
        assert!(told.contains("memory.swap") && told.contains("below the limit of memory"), "{told}");
        assert_eq!(read("memory.memsw.limit_in_bytes"), 200 << 20);
    }
    // Where there is swap the kernel makes room: then it is no failure.
    let output = oci.run(&["update", "--memory", "8m", "web"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        assert_eq!(read("memory.limit_in_bytes"), 8 << 20);
    } else {
        assert!(told.contains("memory.limit_in_bytes") && told.contains("more is in use"), "{told}");
        assert_eq!(read("memory.limit_in_bytes"), 128 << 20);
    }
    assert_eq!(oci.state("web")["status"], "running");
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn links_in_the_way_are_followed_inside() {
    let name = "links_in_the_way_are_followed_inside";
    let script = "cat /dangling/file; id -u; id -G; cat /etc/resolv.conf/file";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
    let rootfs = oci.operator.config.rootfs.clone();
    let given = oci.place.join("given");
    fs::create_dir(&given).unwrap();
    fs::write(given.join("file"), "given\n").unwrap();
    // Targets that are links to nothing yet, with the host's names behind them.
    symlink("/run/../made/for/it", rootfs.join("dangling")).unwrap();
    let _ = fs::create_dir(rootfs.join("etc"));
    symlink("../run/systemd/resolve/stub", rootfs.join("etc/resolv.conf")).unwrap();
    for to in ["/dangling", "/etc/resolv.conf"] {
        mounts(&mut oci, json!({"destination": to, "type": "bind", "source": given, "options": ["rbind"]}));
    }
    // Account files as links, absolute ones too, are the container's.
    for file in ["passwd", "group"] {
        let _ = fs::remove_file(rootfs.join("etc").join(file));
        symlink(format!("/usr/own/{file}"), rootfs.join("etc").join(file)).unwrap();
    }
    fs::create_dir_all(rootfs.join("usr/own")).unwrap();
    fs::write(rootfs.join("usr/own/passwd"), "own:x:77:78::/:/bin/sh\n").unwrap();
    fs::write(rootfs.join("usr/own/group"), "own:x:78:\nmore:x:79:own\n").unwrap();
    // A rootfs behind a link.
    let link = oci.place.join("way");
    symlink(&rootfs, &link).unwrap();
    oci.spec["root"]["path"] = json!("way");
    oci.write();
    assert_eq!(oci.ok(&["run", "web"]), "given\n0\n0\ngiven\n");
    assert!(rootfs.join("made/for/it").is_dir() && !std::path::Path::new("/made/for/it").exists());
    oci.ok(&["run", "--detach", "web", "sleep", "300"]);
    assert_eq!(oci.ok(&["exec", "--user", "own", "web", "sh", "-c", "id -u; id -G"]), "77\n78 79\n");
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn a_hook_that_hangs_is_ended_in_its_time() {
    let Some(mut oci) = Oci::new("a_hook_that_hangs_is_ended_in_its_time", &["true"]) else { return };
    let sleep = oci.operator.config.rootfs.join("bin/busybox");
    oci.spec["hooks"] = json!({"createRuntime": [{"path": sleep, "args": ["sleep", "300"], "timeout": 1}]});
    oci.write();
    let told = oci.fails(&["run", "web"]);
    assert!(told.contains("busybox") && told.contains("1 s"), "{told}");
    assert!(oci.fails(&["state", "web"]).contains("does not exist"));
}

#[test]
fn a_terminal_is_resized_while_nobody_of_ours_is_there() {
    let script = "trap 'stty size' WINCH; echo begun; while :; do sleep 0.05; done";
    let Some(mut oci) =
        Oci::new("a_terminal_is_resized_while_nobody_of_ours_is_there", &["sh", "-c", script])
    else {
        return;
    };
    oci.spec["process"]["terminal"] = json!(true);
    oci.write();
    let path = oci.place.join("console");
    let listener = UnixListener::bind(&path).unwrap();
    oci.ok(&["run", "--detach", "--console-socket", path.to_str().unwrap(), "web"]);
    let mut terminal = File::from(received(&listener));
    let mut shown = String::new();
    let mut wait = |terminal: &mut File, text: &str| {
        while !shown.contains(text) {
            let mut part = [0; 256];
            let count = terminal.read(&mut part).unwrap();
            shown.push_str(std::str::from_utf8(&part[..count]).unwrap());
        }
    };
    wait(&mut terminal, "begun");
    let size = rustix::termios::Winsize { ws_row: 21, ws_col: 43, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&terminal, size).unwrap();
    wait(&mut terminal, "21 43");
    oci.ok(&["delete", "--force", "web"]);
}
