//! What runc and crun do, and their own test suites hold them to.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use libcontainer_tests::operator::until;
use serde_json::json;

use super::Oci;

/// Runs it, and gives its output back without the last newline.
fn told(oci: &Oci) -> String {
    oci.write();
    oci.ok(&["run", "web"]).trim_end_matches('\n').to_owned()
}

#[test]
fn home_is_the_users_if_the_last_one_is_empty() {
    let name = "home_is_the_users_if_the_last_one_is_empty";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", "echo $HOME"]) else { return };
    oci.spec["process"]["env"] = json!(["PATH=/bin", "HOME=/other", "HOME="]);
    assert_ne!(told(&oci), "");
    oci.spec["process"]["env"] = json!(["PATH=/bin", "HOME=", "HOME=/other"]);
    assert_eq!(told(&oci), "/other");
}

/// Root of the container may go where the user may not, and has less to say afterwards.
#[test]
fn the_working_directory_may_be_closed_to_the_user() {
    let name = "the_working_directory_may_be_closed_to_the_user";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", "pwd"]) else { return };
    let closed = oci.config.rootfs.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    oci.spec["process"]["cwd"] = json!("/closed");
    oci.spec["process"]["user"] = json!({"uid": 42, "gid": 42});
    assert_eq!(told(&oci), "/closed");
    nix::unistd::chown(&closed, Some(43.into()), None).unwrap();
    oci.spec["process"]["user"] = json!({"uid": 0, "gid": 0});
    assert_eq!(told(&oci), "/closed");
    oci.spec["process"]["cwd"] = json!("/missing/x");
    fs::write(oci.config.rootfs.join("missing"), "").unwrap();
    oci.write();
    assert!(oci.fails(&["run", "web"]).contains("ENOTDIR"));
}

#[test]
fn a_created_container_takes_processes() {
    let Some(oci) = Oci::new("a_created_container_takes_processes", &["sleep", "300"]) else { return };
    oci.ok(&["create", "web"]);
    assert_eq!(oci.ok(&["exec", "web", "echo", "before"]), "before\n");
    assert_eq!(oci.state("web")["status"], "created");
    oci.ok(&["start", "web"]);
    oci.ok(&["delete", "--force", "web"]);
}

/// What reads it is no terminal.
#[test]
fn output_of_a_terminal_has_plain_newlines() {
    let name = "output_of_a_terminal_has_plain_newlines";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", "echo a; tty; stty 2>/dev/null; echo b"]) else {
        return;
    };
    oci.spec["process"]["terminal"] = json!(true);
    let text = told(&oci);
    assert!(text.starts_with("a\n/dev/pts/") && text.ends_with("\nb") && !text.contains('\r'), "{text:?}");
    oci.spec["process"]["terminal"] = json!(false);
    oci.spec["process"]["args"] = json!(["sleep", "300"]);
    oci.write();
    oci.ok(&["run", "--detach", "web"]);
    assert_eq!(oci.ok(&["exec", "--tty", "web", "sh", "-c", "echo a; echo b"]), "a\nb\n");
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn capabilities_out_of_bounds_are_left_out() {
    let script = "grep ^Cap[PEB] /proc/self/status | cut -f 2";
    let Some(mut oci) = Oci::new("capabilities_out_of_bounds_are_left_out", &["sh", "-c", script]) else {
        return;
    };
    let more = json!(["CAP_KILL", "CAP_CHOWN"]);
    oci.spec["process"]["capabilities"] =
        json!({"bounding": ["CAP_KILL"], "effective": more, "permitted": more});
    assert_eq!(told(&oci), ["0000000000000020"; 3].join("\n"));
    oci.spec["process"]["args"] = json!(["sleep", "300"]);
    oci.write();
    oci.ok(&["run", "--detach", "web"]);
    let cap = ["exec", "--cap", "CAP_UNKNOWN", "--cap", "CAP_CHOWN", "web", "sh", "-c", script];
    assert_eq!(oci.ok(&cap).lines().next(), Some("0000000000000021"));
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn capabilities_that_are_inheritable_become_ambient() {
    let name = "capabilities_that_are_inheritable_become_ambient";
    let Some(mut oci) = Oci::new(name, &["sleep", "300"]) else { return };
    let all = json!(["CAP_KILL", "CAP_CHOWN"]);
    oci.spec["process"]["capabilities"] =
        json!({"bounding": all, "effective": [], "permitted": ["CAP_KILL"], "inheritable": ["CAP_CHOWN"]});
    oci.write();
    oci.ok(&["run", "--detach", "web"]);
    let look =
        ["exec", "--cap", "CAP_CHOWN", "--cap", "CAP_KILL", "web", "grep", "CapAmb", "/proc/self/status"];
    assert_eq!(oci.ok(&look), "CapAmb:\t0000000000000001\n");
    oci.ok(&["delete", "--force", "web"]);
}

/// With the pid namespace of others, SIGKILL to the first process would leave the rest, also when that is gone.
#[test]
fn sigkill_ends_all_of_a_shared_pid_namespace() {
    let script = "sleep 301 & sleep 302 & wait";
    let name = "sigkill_ends_all_of_a_shared_pid_namespace";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
    oci.spec["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "ipc"}]);
    oci.spec.as_object_mut().unwrap().remove("hostname");
    oci.write();
    for first_is_gone in [false, true] {
        oci.ok(&["run", "--detach", "web"]);
        let table = || oci.ok(&["ps", "web"]);
        until("its children run", || table().contains("sleep 301\n") && table().contains("sleep 302\n"));
        oci.ok(&["kill", "web", "0"]);
        if first_is_gone {
            let pid = oci.state("web")["pid"].as_i64().unwrap();
            let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            until("the first has ended", || oci.state("web")["status"] == "stopped");
        }
        oci.ok(&["kill", "web", "KILL"]);
        until("all have ended", || !table().contains("sleep"));
        assert!(oci.fails(&["kill", "web", "0"]).contains("container not running"));
        oci.ok(&["kill", "--all", "web", "0"]);
        oci.ok(&["delete", "web"]);
    }
}

#[test]
fn a_nice_value_beside_a_deadline_is_left_out() {
    let script = "grep -E '^policy' /proc/self/sched";
    let name = "a_nice_value_beside_a_deadline_is_left_out";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
    let policy = json!({"policy": "SCHED_FIFO", "priority": 1, "nice": 19});
    oci.spec["process"]["scheduler"] = policy;
    oci.write();
    let told = oci.run(&["--debug", "run", "web"]);
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(text.contains("/process/scheduler/nice: only time-sharing policies have it: left out"), "{text}");
}

#[test]
fn resources_that_say_nothing_change_nothing() {
    let Some(oci) = Oci::new("resources_that_say_nothing_change_nothing", &["sleep", "300"]) else { return };
    oci.ok(&["run", "--detach", "web"]);
    let file = oci.place.join("nothing.json");
    fs::write(&file, "{}").unwrap();
    oci.ok(&["update", "--resources", file.to_str().unwrap(), "web"]);
    oci.ok(&["delete", "--force", "web"]);
}

/// runc leaves them out in silence; its own tests have such a rule.
#[test]
fn letters_of_an_access_that_mean_nothing_are_left_out() {
    let name = "letters_of_an_access_that_mean_nothing_are_left_out";
    let Some(mut oci) = Oci::new(name, &["sleep", "300"]) else { return };
    let rule =
        |allow, access| json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": access});
    oci.spec["linux"]["devices"] = json!([{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}]);
    let able = json!(["CAP_SYSLOG"]);
    oci.spec["process"]["capabilities"] = json!({"bounding": able, "effective": able, "permitted": able});
    let kmsg = |oci: &Oci| oci.run(&["exec", "web", "sh", "-c", ": < /dev/kmsg"]).status.success();
    for (allow, access, opened) in [(true, "ra", true), (true, "wa", false), (false, "wa", false)] {
        let first = rule(!allow, "r");
        let rules = json!([{"allow": false, "access": "rwm"}, first, rule(allow, access)]);
        oci.spec["linux"]["resources"]["devices"] = rules;
        oci.write();
        let told = String::from_utf8(oci.run(&["--debug", "run", "--detach", "web"]).stderr).unwrap();
        assert!(told.contains("/access: letters besides r, w and m: left out"), "{told}");
        assert_eq!(kmsg(&oci), opened, "{allow} {access}");
        oci.ok(&["delete", "--force", "web"]);
    }
    oci.ok(&["run", "--detach", "web"]);
    let file = oci.place.join("limits.json");
    fs::write(&file, json!({"devices": [rule(true, "ra")], "odd": 1}).to_string()).unwrap();
    let file = file.to_str().unwrap();
    let told = String::from_utf8(oci.run(&["--debug", "update", "--resources", file, "web"]).stderr).unwrap();
    assert!(told.contains("/devices/0/access: letters besides r, w and m"), "{told}");
    assert!(told.contains("/odd: unknown key") && kmsg(&oci), "{told}");
    assert_eq!(oci.ok(&["update", "--resources", file, "web"]), "");
    oci.ok(&["delete", "--force", "web"]);
    oci.check(&["validate"], 0, "/linux/resources/devices/2/access: letters besides");
}

/// runc's and crun's hooks look for programs in the PATH of whoever runs the runtime.
#[test]
fn a_hook_without_an_environment_inherits_one() {
    let Some(mut oci) = Oci::new("a_hook_without_an_environment_inherits_one", &["true"]) else { return };
    let log = oci.place.join("log");
    let script = format!("echo \"$PATH\" >> {}", log.display());
    let args = json!(["sh", "-c", script]);
    oci.spec["hooks"] = json!({"createRuntime": [
        {"path": "/bin/sh", "args": args}, {"path": "/bin/sh", "args": args, "env": ["PATH=/own"]}]});
    told(&oci);
    assert_eq!(fs::read_to_string(log).unwrap(), format!("{}\n/own\n", std::env::var("PATH").unwrap()));
}

/// Root of the user namespace can't get there by the path: a directory above is closed to it.
#[test]
fn a_source_out_of_reach_is_bound_into_a_user_namespace() {
    let name = "a_source_out_of_reach_is_bound_into_a_user_namespace";
    let script = "cat /data/file /one";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
    let closed = oci.place.join("closed");
    fs::create_dir_all(closed.join("data")).unwrap();
    fs::write(closed.join("data/file"), "far\n").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir(oci.config.rootfs.join("data")).unwrap();
    fs::write(oci.config.rootfs.join("one"), "").unwrap();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    oci.spec["linux"]["uidMappings"] = map.clone();
    oci.spec["linux"]["gidMappings"] = map;
    oci.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    for (from, to) in [("data", "/data"), ("data/file", "/one")] {
        let mount = json!({"destination": to, "type": "bind", "source": closed.join(from), "options": ["rbind", "ro"]});
        oci.spec["mounts"].as_array_mut().unwrap().push(mount);
    }
    assert_eq!(told(&oci), "far\nfar");
}

/// Files of a group are reached that way for which a user namespace has no id.
#[test]
fn groups_of_the_caller_stay_if_that_is_asked_for() {
    let name = "groups_of_the_caller_stay_if_that_is_asked_for";
    let script = "sed -n 's/^Groups:[[:space:]]*//p' /proc/self/status | tr -d '\\n' | sed 's/ $//'";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
    let started = |oci: &Oci, args: &[&str]| {
        oci.write();
        let (own, out) = (oci.command(args), oci.place.join("out"));
        let mut command = std::process::Command::new("setpriv");
        command.args(["--groups", "7,1234"]).arg(own.get_program()).args(own.get_args());
        command.current_dir(oci.place.path()).stdin(std::process::Stdio::null());
        // What goes on has it open.
        assert!(command.stdout(fs::File::create(&out).unwrap()).status().unwrap().success());
        fs::read_to_string(out).unwrap().trim_end().to_owned()
    };
    oci.spec["process"]["user"]["additionalGids"] = json!([5]);
    assert_eq!(started(&oci, &["run", "web"]), "5");
    for (value, wanted) in [("0", "5"), ("1", "7 1234")] {
        oci.spec["annotations"]["run.oci.keep_original_groups"] = json!(value);
        assert_eq!(started(&oci, &["run", "web"]), wanted, "{value}");
    }
    oci.spec["process"]["args"] = json!(["sleep", "300"]);
    started(&oci, &["run", "--detach", "web"]);
    assert_eq!(started(&oci, &["exec", "web", "sh", "-c", script]), "7 1234");
    assert_eq!(started(&oci, &["exec", "--additional-gids", "9", "web", "sh", "-c", script]), "9");
    oci.ok(&["delete", "--force", "web"]);
    oci.spec["annotations"]["run.oci.keep_original_groups"] = json!("perhaps");
    oci.write();
    oci.check(&["run", "web"], 1, "/annotations/run.oci.keep_original_groups: \"perhaps\": neither 1 nor 0");
}

/// It makes none; the host's of that path is another device, or not there.
#[test]
fn devices_of_a_user_namespace_need_not_be_on_the_host() {
    let name = "devices_of_a_user_namespace_need_not_be_on_the_host";
    let script = "stat -c '%t:%T %u:%g %a' /dev/lct /dev/zero; head -c 2 /dev/lct | wc -c";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    oci.spec["linux"]["uidMappings"] = map.clone();
    oci.spec["linux"]["gidMappings"] = map;
    oci.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    oci.spec["linux"]["devices"] = json!([
        {"path": "/dev/lct", "type": "c", "major": 1, "minor": 5, "uid": 10, "gid": 11, "fileMode": 0o646},
        {"path": "/dev/zero", "type": "c", "major": 1, "minor": 7, "fileMode": 0o600}]);
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let before = mounts();
    assert_eq!(told(&oci), "1:5 10:11 646\n1:7 0:0 600\n2");
    assert_eq!(mounts(), before);
    oci.spec["linux"]["devices"][0]["uid"] = json!(5000);
    oci.write();
    oci.check(&["run", "web"], 1, "/linux/devices: /dev/lct: owner 5000:11 is not mapped");
}

/// As for Go, which fills in what it has read of the first.
#[test]
fn an_object_in_two_spellings_is_one() {
    let script = "touch /x 2>/dev/null || echo ro; hostname";
    let Some(mut oci) = Oci::new("an_object_in_two_spellings_is_one", &["sh", "-c", script]) else { return };
    oci.spec["Root"] = json!({"readOnly": true});
    oci.spec["hostname"] = json!("first");
    oci.spec["HostName"] = json!("second");
    assert_eq!(told(&oci), "ro\nfirst");
    oci.check(&["validate"], 0, "config.json: warning: /Root: taken for root");
    oci.check(&["validate"], 0, "config.json: warning: /HostName: is there as it should be written too");
}

/// One filesystem is made, and nothing can be written to it by any of them. What is a file is not hidden by it.
#[test]
fn masked_directories_are_one_empty_directory() {
    let name = "masked_directories_are_one_empty_directory";
    let script = "stat -c %d /one /two | sort -u | wc -l; ls -A /one /two; touch /one/x 2>/dev/null || echo ro; cat /etc/masked";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
    for directory in ["one", "two"] {
        fs::create_dir(oci.config.rootfs.join(directory)).unwrap();
        fs::write(oci.config.rootfs.join(directory).join("secret"), "").unwrap();
    }
    fs::write(oci.config.rootfs.join("etc/masked"), "secret").unwrap();
    oci.spec["linux"]["maskedPaths"] = json!(["/none", "/one", "/etc/masked", "/two"]);
    assert_eq!(told(&oci), "1\n/one:\n\n/two:\nro");
}

/// Programs look for it to know whether there is shared memory.
#[test]
fn dev_has_no_place_for_shared_memory_that_is_not_mounted() {
    let name = "dev_has_no_place_for_shared_memory_that_is_not_mounted";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", "ls -d /dev/shm /dev/null 2>/dev/null; true"]) else {
        return;
    };
    assert_eq!(told(&oci), "/dev/null");
    let mount =
        json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["mode=1777"]});
    oci.spec["mounts"].as_array_mut().unwrap().push(mount);
    assert_eq!(told(&oci).lines().count(), 2);
}

/// Its first process is root there before anything is made, and the other namespaces may be the host's.
#[test]
fn the_user_namespace_of_another_is_joined() {
    let name = "the_user_namespace_of_another_is_joined";
    let Some(mut oci) = Oci::new(name, &["sleep", "300"]) else { return };
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    oci.spec["linux"]["uidMappings"] = map.clone();
    oci.spec["linux"]["gidMappings"] = map;
    oci.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    oci.write();
    oci.ok(&["run", "--detach", "first"]);
    let pid = oci.state("first")["pid"].to_string();
    let linux = oci.spec["linux"].as_object_mut().unwrap();
    linux.remove("uidMappings");
    linux.remove("gidMappings");
    linux["cgroupsPath"] = json!(format!("{}-second", linux["cgroupsPath"].as_str().unwrap()));
    let path = |kind: &str| json!(format!("/proc/{pid}/ns/{kind}"));
    linux["namespaces"] = json!([{"type": "pid"}, {"type": "mount"}, {"type": "uts"}, {"type": "ipc"},
        {"type": "network", "path": "/proc/self/ns/net"}, {"type": "user", "path": path("user")}]);
    let mounts = oci.spec["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["type"] != "sysfs");
    oci.spec["process"]["args"] = json!(["cat", "/proc/self/uid_map"]);
    assert_eq!(told(&oci).split_whitespace().collect::<Vec<_>>(), ["0", "100000", "1000"]);
    // The config says nothing of its map.
    let source = oci.place.join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "").unwrap();
    fs::create_dir(oci.config.rootfs.join("mapped")).unwrap();
    for options in [["rbind", "idmap"], ["rbind", "ridmap"]] {
        oci.spec["mounts"]
            .as_array_mut()
            .unwrap()
            .push(json!({"destination": "/mapped", "source": source, "options": options}));
        oci.spec["process"]["args"] = json!(["stat", "-c", "%u:%g", "/mapped/file"]);
        assert_eq!(told(&oci), "0:0", "{options:?}");
    }
    oci.ok(&["delete", "--force", "first"]);
}

/// The host's own stay in the mount namespace without pivot_root: whoever sees one whole may mount a new one without masks.
#[test]
fn without_pivot_root_no_proc_of_the_host_is_seen() {
    let name = "without_pivot_root_no_proc_of_the_host_is_seen";
    let script = "unshare -mrpf sh -c 'mount -t proc none /proc' && echo mounted";
    let Some(mut oci) = Oci::new(name, &["sh", "-c", script]) else { return };
    let all = json!(["CAP_SETFCAP", "CAP_SYS_ADMIN"]);
    oci.spec["process"]["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all});
    oci.write();
    let output = oci.run(&["run", "--no-pivot", "web"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("permission denied"), "{told}");
    assert!(fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" /proc "));
}

/// One that is lost among others that are not was meant; where none is inheritable none was.
#[test]
fn an_ambient_capability_that_cannot_be_had_is_told() {
    let name = "an_ambient_capability_that_cannot_be_had_is_told";
    let Some(mut oci) = Oci::new(name, &["grep", "CapAmb", "/proc/self/status"]) else { return };
    let all = json!(["CAP_KILL", "CAP_CHOWN"]);
    for (inheritable, wanted) in [(json!(["CAP_KILL"]), "0000000000000020"), (json!([]), "0000000000000000")]
    {
        oci.spec["process"]["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all,
            "inheritable": inheritable, "ambient": all});
        oci.write();
        let output = oci.command(&["run", "web"]).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(out, format!("CapAmb:\t{wanted}\n"));
        let told = err.contains("can't raise ambient capability CAP_CHOWN: ");
        assert_eq!((told, err.is_empty()), (inheritable != json!([]), inheritable == json!([])), "{err}");
    }
}
