//! Containers of `config.json`: what they see, from inside.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends by panicking")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libcontainer::{Factory, ProcessConfig};
use libcontainer_oci::{Options, Spec, convert, default_spec};
use libcontainer_tests::{Place, able, text};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

/// The example config with an ordinary root, and these changes: a pointer and what to put there; `-` behind a list appends.
fn spec(changes: &[(&str, Value)]) -> Spec {
    let mut config = serde_json::to_value(default_spec(false)).unwrap();
    config["process"]["env"] = json!(["PATH=/bin"]);
    config["process"]["terminal"] = json!(false);
    config["root"]["readonly"] = json!(false);
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match config.pointer_mut(parent).unwrap() {
            Value::Array(all) if key == "-" => all.push(value.clone()),
            Value::Array(all) => all[key.parse::<usize>().unwrap()] = value.clone(),
            parent => parent[key] = value.clone(),
        }
    }
    Spec::from_json(config.to_string().as_bytes()).unwrap()
}

fn run_in(place: &Place, changes: &[(&str, Value)], script: &str) -> String {
    let options =
        Options { bundle: place.path().into(), id: "c".into(), cgroups: true, ..Options::default() };
    let mut changes = changes.to_vec();
    let name = place.path().file_name().unwrap().to_str().unwrap();
    changes.push(("/linux/cgroupsPath", json!(format!("/{name}"))));
    changes.push(("/process/args", json!(["sh", "-c", script])));
    let converted = convert(&spec(&changes), &options).unwrap();
    let program = converted.process.unwrap();
    let process =
        if program.terminal { program.config() } else { ProcessConfig { ..program.config().piped() } };
    let (container, mut process) =
        Factory::new().unwrap().run(place.join("c"), &converted.config, process).unwrap();
    let found = match process.terminal.take() {
        None => text(&process.output(1 << 16).unwrap()),
        Some(terminal) => {
            let mut all = String::new();
            // Its end is EIO.
            let _ = terminal.file().read_to_string(&mut all);
            process.wait().unwrap();
            all.replace('\r', "")
        }
    };
    container.destroy().unwrap();
    found
}

fn run(name: &str, changes: &[(&str, Value)], script: &str) -> Option<String> {
    if !able(name) {
        return None;
    }
    let place = Place::new(name);
    place.rootfs().unwrap();
    Some(run_in(&place, changes, script))
}

#[test]
fn the_example_has_its_mounts_and_nodes_and_no_others() {
    let script = "cat /proc/self/mounts | while read a b c; do echo $b; done; ls /dev; readlink /dev/ptmx; echo x >/dev/null && head -c 1 /dev/zero | wc -c";
    let Some(found) = run("bundle-example", &[], script) else { return };
    let mounts: Vec<_> = found.lines().filter(|line| line.starts_with('/')).collect();
    let wanted = ["/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"];
    assert_eq!(mounts[..wanted.len()], wanted, "{found}");
    let all = ["core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr"];
    assert!(found.contains(&all.join("\n")), "{found}");
    assert!(found.ends_with("pts/ptmx\n1\n"), "{found}");
}

#[test]
fn groups_are_seen_with_and_without_a_namespace() {
    let script = "ls /sys/fs/cgroup; cat /proc/self/cgroup; for d in /sys/fs/cgroup /sys/fs/cgroup/*; do grep -l . $d/cgroup.procs 2>/dev/null; done; touch /sys/fs/cgroup/x; head -n 99 /sys/fs/cgroup/*/tasks /sys/fs/cgroup/cgroup.procs 2>/dev/null | grep -x 1";
    for kind in ["ipc", "cgroup"] {
        let namespaces = json!([{"type": "pid"}, {"type": "mount"}, {"type": kind}]);
        let changes = [("/linux/namespaces", namespaces), ("/hostname", json!(""))];
        let Some(found) = run("bundle-groups", &changes, script) else { return };
        assert!(found.contains("Read-only"), "{kind}: {found}");
        // What is there is the container's own group, with its first process.
        assert!(found.lines().any(|line| line == "1"), "{kind}: {found}");
        let own = found.contains("/lct-bundle-groups-");
        assert_eq!(own, kind == "ipc", "{kind}: {found}");
    }
}

#[test]
fn a_dev_of_the_rootfs_is_filled_and_a_bound_one_left_alone() {
    if !able("a_dev_of_the_rootfs_is_filled_and_a_bound_one_left_alone") {
        return;
    }
    let pts = json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["ptmxmode=0666"]});
    let proc = json!({"destination": "/proc", "type": "proc", "source": "proc"});
    let place = Place::new("bundle-dev");
    let rootfs = place.rootfs().unwrap();
    let script = "ls /dev; tty; readlink /dev/fd; ls -l /dev/console";
    let changes = [("/mounts", json!([proc, pts])), ("/process/terminal", json!(true))];
    let found = run_in(&place, &changes, script);
    assert!(found.starts_with("console"), "{found}");
    assert!(found.contains("/dev/pts/0\n/proc/self/fd\n"), "{found}");
    assert!(rootfs.join("dev/null").exists() && rootfs.join("dev/stdin").symlink_metadata().is_ok());

    // Not one of the host's: what is not left alone here shows.
    let outside = place.join("outside");
    fs::create_dir_all(outside.join("pts")).unwrap();
    fs::write(outside.join("console"), "").unwrap();
    let bound = json!({"destination": "/dev", "type": "bind", "source": outside, "options": ["rbind"]});
    let changes = [("/mounts", json!([proc, bound, pts])), ("/process/terminal", json!(true))];
    let found = run_in(&place, &changes, "tty; ls /dev; ls -l /dev/console");
    assert!(found.starts_with("/dev/pts/0\nconsole"), "{found}");
    assert!(found.contains("crw"), "the terminal lies on it: {found}");
    let mut left: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["console", "pts"]);
}

#[test]
fn nodes_are_made_in_place_of_the_usual_ones() {
    let devices = json!([
        {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o20600, "uid": 7},
        {"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2},
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229},
        {"path": "/dev/pipe", "type": "p"},
    ]);
    let script = "stat -c '%a %u %t:%T %F' /dev/null /dev/fuse /dev/pipe; readlink /dev/ptmx";
    let Some(found) = run("bundle-nodes", &[("/linux/devices", devices)], script) else { return };
    let wanted =
        "600 7 1:3 character special file\n666 0 a:e5 character special file\n666 0 0:0 fifo\npts/ptmx\n";
    assert_eq!(found, wanted);
}

#[test]
fn a_tmpfs_has_the_mode_of_what_it_covers() {
    if !able("a_tmpfs_has_the_mode_of_what_it_covers") {
        return;
    }
    let place = Place::new("bundle-tmpfs");
    let rootfs = place.rootfs().unwrap();
    fs::set_permissions(rootfs.join("home/u"), fs::Permissions::from_mode(0o2710)).unwrap();
    let tmpfs = |to: &str, options: &[&str]| json!({"destination": to, "type": "tmpfs", "source": "tmpfs", "options": options});
    let changes = [
        ("/mounts/-", tmpfs("/home/u", &[])),
        ("/mounts/-", tmpfs("/new", &[])),
        ("/mounts/-", tmpfs("/tmp", &["mode=700"])),
        ("/mounts/-", tmpfs("/new/bin", &[])),
    ];
    let found =
        run_in(&place, &changes, "stat -c %a /home/u /new /tmp /new/bin; grep /home/u /proc/self/mounts");
    assert!(found.starts_with("2710\n1777\n700\n1777\n"), "{found}");
    assert!(!found.contains("nosuid"), "nothing is added to the options: {found}");
}

#[test]
fn mounts_travel_as_the_options_say() {
    if !able("mounts_travel_as_the_options_say") {
        return;
    }
    // In a thread with mounts of its own.
    let thread = || {
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let place = Place::new("bundle-travel");
        place.rootfs().unwrap();
        let outside = place.join("outside");
        fs::create_dir(&outside).unwrap();
        mount(Some("tmpfs"), &outside, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        mount(none, &outside, none, MsFlags::MS_SHARED, none).unwrap();
        fs::create_dir(outside.join("d")).unwrap();
        let bind = |option: &str| json!({"destination": "/v", "type": "bind", "source": outside, "options": ["rbind", option]});
        let all = json!(["CAP_SYS_ADMIN"]);
        let caps = json!({"bounding": all, "effective": all, "permitted": all});
        for (option, wanted) in [("rprivate", false), ("rslave", false), ("rshared", true)] {
            let changes = [("/mounts/-", bind(option)), ("/process/capabilities", caps.clone())];
            let found =
                run_in(&place, &changes, "mount -t tmpfs inside /v/d && grep -c ' /v/d ' /proc/self/mounts");
            assert_eq!(found, "1\n", "{option}");
            let seen = fs::read_to_string("/proc/thread-self/mounts").unwrap();
            let seen = seen.lines().any(|line| line.starts_with("inside "));
            assert_eq!(seen, wanted, "{option}");
        }
    };
    std::thread::scope(|scope| scope.spawn(thread).join()).unwrap();
}

#[test]
fn the_hosts_procfs_can_be_bound_by_who_shares_its_pids() {
    let proc =
        json!({"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind", "nosuid"]});
    let namespaces = json!([{"type": "mount"}]);
    let changes = [("/mounts/0", proc), ("/linux/namespaces", namespaces), ("/hostname", json!(""))];
    let Some(found) = run("bundle-proc", &changes, "readlink /proc/self; echo $$; cat /proc/1/comm") else {
        return;
    };
    let comm = fs::read_to_string("/proc/1/comm").unwrap();
    assert!(found.ends_with(&comm), "{found}");
    assert!(Path::new("/proc/self").exists(), "the host's own stays");
}
