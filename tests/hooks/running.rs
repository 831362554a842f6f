//! Hooks that do well.

use std::collections::BTreeMap;

use libcontainer::{Config, Container, Factory, Hook, Hooks, ProcessConfig, RunState};
use libcontainer_tests::{Place, able};

use super::{NAMES, all, lines, list, logging, sh};

fn program() -> ProcessConfig {
    ProcessConfig::new(["sh", "-c", "sleep 1000"])
}

/// The four ways to a container that runs.
fn made(way: &str, place: &Place, config: &Config) -> Container {
    let factory = Factory::new().unwrap();
    let path = place.join(way);
    match way {
        "reaper" => factory.create(&path, config).unwrap(),
        "run" => factory.run(&path, config, program()).unwrap().0,
        "created" => {
            let (container, _) = factory.create_with(&path, config, program()).unwrap();
            assert_eq!(container.run_state().unwrap(), RunState::Created);
            // Another handle, as of another process.
            let other = factory.load(&path).unwrap();
            other.run().unwrap();
            other
        }
        _ => factory.template(place.path(), config).unwrap().run(way, program()).unwrap().0,
    }
}

#[test]
fn all_run_in_their_order_once() {
    if !able("all_run_in_their_order_once") {
        return;
    }
    for way in ["reaper", "run", "created", "template"] {
        let place = Place::new("hooks-order");
        let (config, log) = logging(&place);
        let script = format!("echo @ >> {}/order", log.display());
        let container = made(way, &place, &Config { hooks: all(&script), ..config });
        assert_eq!(lines(&log.join("order")), &NAMES[..5], "{way}");
        assert_eq!(container.run_state().unwrap(), RunState::Running, "{way}");
        container.destroy_now().unwrap();
        assert_eq!(lines(&log.join("order")), NAMES, "{way}");
        container.destroy_now().unwrap();
        assert_eq!(lines(&log.join("order")).len(), 6, "{way}: after one more destroy");
    }
}

#[test]
fn those_of_one_list_run_in_its_order() {
    if !able("those_of_one_list_run_in_its_order") {
        return;
    }
    let place = Place::new("hooks-list");
    let (mut config, log) = logging(&place);
    for name in NAMES {
        let hooks = (0..3).map(|number| sh(&format!("echo {name}{number} >> {}/order", log.display())));
        *list(&mut config.hooks, name) = hooks.collect();
    }
    made("run", &place, &config).destroy().unwrap();
    let wanted: Vec<_> = NAMES.iter().flat_map(|name| (0..3).map(move |at| format!("{name}{at}"))).collect();
    assert_eq!(lines(&log.join("order")), wanted);
}

#[test]
fn each_is_told_the_state() {
    if !able("each_is_told_the_state") {
        return;
    }
    let place = Place::new("hooks-state");
    let (config, log) = logging(&place);
    let labels = BTreeMap::from([("org.example.a".to_owned(), "b \"c\"\n".to_owned())]);
    let hooks = all(&format!("cat > {}/@", log.display()));
    let config = Config { hooks, labels: labels.clone(), bundle: place.path().to_owned(), ..config };
    let container = made("created", &place, &config);
    let pid = container.init_pid().unwrap().unwrap().as_raw();
    container.destroy().unwrap();
    let statuses = ["creating", "creating", "creating", "created", "running", "stopped"];
    for (name, status) in NAMES.into_iter().zip(statuses) {
        let text = std::fs::read_to_string(log.join(name)).unwrap();
        let mut wanted = serde_json::json!({
            "ociVersion": "1.3.0", "id": "created", "status": status, "pid": pid,
            "bundle": place.path(), "annotations": labels,
        });
        if status == "stopped" {
            wanted.as_object_mut().unwrap().remove("pid");
        }
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found, wanted, "{name}");
    }
}

/// Namespaces, root, directory, environment, descriptors, user.
const LOOK: &str = "exec > LOG/@; for kind in mnt pid net uts; do readlink /proc/self/ns/$kind; done; \
    ls -d /NAME 2>/dev/null || echo no; pwd; echo $A; env | grep -c =; ls /proc/self/fd | wc -l; id -u; umask";

#[test]
fn each_runs_where_it_belongs() {
    if !able("each_runs_where_it_belongs") {
        return;
    }
    let place = Place::new("hooks-where");
    let (mut config, log) = logging(&place);
    // Only the container has that file.
    std::fs::write(place.join("rootfs/lct-inside"), "").unwrap();
    config.hooks = all(&LOOK.replace("LOG", log.to_str().unwrap()).replace("NAME", "lct-inside"));
    for name in NAMES {
        list(&mut config.hooks, name)[0].env.push("A=hook".into());
    }
    config.environment.push("A=program".into());
    (config.user, config.bundle) = ("u".into(), place.path().to_owned());
    // A descriptor of this program's that exec would keep.
    let kept = std::fs::File::open("/").unwrap();
    nix::fcntl::fcntl(&kept, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let container = made("run", &place, &config);
    let pid = container.init_pid().unwrap().unwrap();
    let link = |pid: &str, name: &str| {
        std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap().display().to_string()
    };
    let links = |pid: &str| ["mnt", "pid", "net", "uts"].map(|name| link(pid, name));
    let (host, inside) = (links("self"), links(&pid.to_string()));
    container.destroy().unwrap();
    let rootfs = place.join("rootfs").display().to_string();
    for name in NAMES {
        let found = lines(&log.join(name));
        let is_inside = ["createContainer", "startContainer"].contains(&name);
        assert_eq!(found[..4], if is_inside { inside.clone() } else { host.clone() }, "{name}");
        let (root, cwd, uid) = match name {
            "startContainer" => ("/lct-inside", "/", "1000"),
            "createContainer" => ("no", rootfs.as_str(), "0"),
            _ => ("no", place.path().to_str().unwrap(), "0"),
        };
        assert_eq!(found[4..7], [root, cwd, "hook"], "{name}");
        // Its own two, and what the shell adds; nothing of the program's or the library's.
        let variables: usize = found[7].parse().unwrap();
        assert!((2..=6).contains(&variables), "{name}: {variables} variables");
        assert_eq!(found[8], "4", "{name}: descriptors");
        assert_eq!(found[9], uid, "{name}");
    }
}

/// A hook's mount reaches the program, and one that is there by its path only, such as a script, runs in the container's namespaces.
#[test]
fn create_container_can_add_to_the_tree() {
    if !able("create_container_can_add_to_the_tree") {
        return;
    }
    let place = Place::new("hooks-tree");
    let (mut config, log) = logging(&place);
    let script = place.join("hook.sh");
    let rootfs = place.join("rootfs").display().to_string();
    std::fs::write(
        &script,
        format!("#!/bin/sh\necho $0 $1 > {0}/name; mount -t tmpfs lct {rootfs}/tmp && echo hi > {rootfs}/tmp/file\n", log.display()),
    )
    .unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let env = vec!["PATH=/usr/bin:/bin:/usr/sbin:/sbin".into()];
    let path = script.clone();
    let hook = Hook { path, args: vec!["other".into(), "one".into()], env, ..Hook::default() };
    config.hooks = Hooks { create_container: vec![hook], ..Hooks::default() };
    config.mount_config.as_mut().unwrap().readonly_fs = true;
    let (container, process) = Factory::new()
        .unwrap()
        .run(place.join("c"), &config, ProcessConfig::new(["cat", "/tmp/file"]).piped())
        .unwrap();
    let output = process.output(100).unwrap();
    assert_eq!(output.stdout, b"hi\n");
    container.destroy().unwrap();
    assert_eq!(lines(&log.join("name")), [format!("{} one", script.display())]);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&rootfs), "the mount has come out");
}

/// While it runs others can look at the container.
#[test]
fn a_hook_can_look_at_its_container() {
    if !able("a_hook_can_look_at_its_container") {
        return;
    }
    let place = Place::new("hooks-look");
    let (mut config, log) = logging(&place);
    let wait = |name: &str| {
        sh(&format!("touch {0}/{name}; while [ ! -e {0}/{name}-on ]; do sleep 0.01; done", log.display()))
    };
    config.hooks =
        Hooks { create_runtime: vec![wait("a")], start_container: vec![wait("b")], ..Hooks::default() };
    let path = place.join("c");
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let (container, _) = Factory::new().unwrap().create_with(&path, &config, program()).unwrap();
            container.run().unwrap();
            container
        });
        for (name, wanted) in [("a", RunState::Creating), ("b", RunState::Created)] {
            while !log.join(name).exists() {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            let seen = Factory::new().unwrap().load(&path).unwrap();
            assert_eq!(seen.look().unwrap().0, wanted);
            assert!(seen.look().unwrap().1.is_some(), "the first process is known");
            if name == "b" {
                let text = seen.run().unwrap_err().to_string();
                assert!(text.contains("another process runs its startContainer hooks"), "{text}");
            }
            std::fs::write(log.join(format!("{name}-on")), "").unwrap();
        }
        run.join().unwrap().destroy().unwrap();
    });
}

#[test]
fn much_is_said_and_nothing_is_read() {
    if !able("much_is_said_and_nothing_is_read") {
        return;
    }
    let place = Place::new("hooks-much");
    let (mut config, _) = logging(&place);
    config.labels.insert("long".into(), "x".repeat(200_000));
    // The state is not read, and more than a pipe holds is written to both.
    let hook = sh("exec <&-; head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2");
    for name in NAMES {
        *list(&mut config.hooks, name) = vec![hook.clone()];
    }
    made("created", &place, &config).destroy().unwrap();
}

/// Who holds the pipe without an end does not keep anybody.
#[test]
fn what_a_hook_leaves_running_is_not_waited_for() {
    if !able("what_a_hook_leaves_running_is_not_waited_for") {
        return;
    }
    let place = Place::new("hooks-left");
    let (mut config, log) = logging(&place);
    // Nobody may read by the time that it speaks.
    let script = format!("(trap '' PIPE; echo $$; sleep 1000) & echo $! >> {}/left", log.display());
    config.hooks.create_runtime = vec![Hook { timeout: None, ..sh(&script) }];
    config.hooks.poststop = config.hooks.create_runtime.clone();
    made("run", &place, &config).destroy().unwrap();
    let left = lines(&log.join("left"));
    assert_eq!(left.len(), 2);
    for pid in left {
        let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
        let group = nix::unistd::getpgid(Some(pid)).unwrap();
        assert_ne!(group, nix::unistd::getpgrp(), "a session of its own");
        nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}

/// What a hook says of its environment is laid over that of the caller, or of the program.
#[test]
fn an_environment_is_inherited_if_asked() {
    if !able("an_environment_is_inherited_if_asked") {
        return;
    }
    let place = Place::new("hooks-inherit");
    let (mut config, log) = logging(&place);
    config.environment = vec!["PATH=/usr/bin:/bin".into(), "A=program".into(), "B=program".into()];
    for name in NAMES {
        let hook = sh(&format!("echo \"$PATH,$A,$B\" > {}/{name}", log.display()));
        *list(&mut config.hooks, name) = vec![Hook { env: vec!["B=hook".into()], inherit_env: true, ..hook }];
    }
    made("created", &place, &config).destroy().unwrap();
    let path = std::env::var("PATH").unwrap();
    for name in NAMES {
        let (path, a) = if name == "startContainer" { ("/usr/bin:/bin", "program") } else { (&*path, "") };
        assert_eq!(lines(&log.join(name)), [format!("{path},{a},hook")], "{name}");
    }
}

/// Hooks would be told of a container that may never have a program.
#[test]
fn templates_keep_none_ready() {
    if !able("templates_keep_none_ready") {
        return;
    }
    let place = Place::new("hooks-template");
    let (mut config, _) = logging(&place);
    config.hooks.poststop = vec![sh("true")];
    let template = Factory::new().unwrap().template(place.path(), &config).unwrap();
    assert!(template.keep_ready(1).unwrap_err().to_string().starts_with("/hooks: "));
    template.keep_ready(0).unwrap();
    let (container, _) = template.start(program()).unwrap();
    container.destroy_now().unwrap();
}
