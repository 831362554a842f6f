//! Without root, through the user's manager.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use libcontainer::mount::IdMapping;
use libcontainer::{Cgroup, Config, Namespace, NamespaceKind};
use libcontainer_tests::{Place, config, copy_program, skip};

use super::live::ready;

const USER: u32 = 1000;

/// Starts the manager of the user; says why if that can't be.
fn manager(name: &str) -> bool {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    if !passwd.lines().any(|line| line.split(':').nth(2) == Some("1000")) {
        skip(name, "there is no user 1000");
        return false;
    }
    let started = Command::new("systemctl").args(["start", "user@1000.service"]).status().unwrap().success();
    let bus = Path::new("/run/user/1000/bus").exists();
    if !started || !bus {
        skip(
            name,
            &format!(
                "no user's manager: systemctl start user@1000.service: {started}, /run/user/1000/bus: {bus}"
            ),
        );
    }
    started && bus
}

/// What a command said, and whether it went well. A file takes its words: a container that runs on would keep a pipe open.
struct Told {
    success: bool,
    text: String,
}

fn user(place: &Place, program: &Path, args: &[&str]) -> Told {
    let file = place.join("told");
    let output = File::create(&file).unwrap();
    let mut command = Command::new(program);
    command.args(args).uid(USER).gid(USER).env("XDG_RUNTIME_DIR", "/run/user/1000");
    command.stdin(Stdio::null()).stderr(output.try_clone().unwrap()).stdout(output);
    let success = command.env_remove("DBUS_SESSION_BUS_ADDRESS").status().unwrap().success();
    Told { success, text: fs::read_to_string(file).unwrap() }
}

fn give(path: &Path) {
    for entry in fs::read_dir(path).unwrap().flatten() {
        let _ = std::os::unix::fs::lchown(entry.path(), Some(USER), Some(USER));
        if entry.file_type().unwrap().is_dir() {
            give(&entry.path());
        }
    }
    chown(path, Some(USER), Some(USER)).unwrap();
}

#[test]
fn a_scope_of_the_users_own() {
    let name = "a_scope_of_the_users_own";
    if !ready(name) || !manager(name) {
        return;
    }
    let place = Place::new("sd-user");
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("nsinit");
    if !program.exists() {
        return skip(name, "nsinit is not built: cargo build -p nsinit");
    }
    let own = place.join("nsinit");
    copy_program(&program, &own).unwrap();
    let resources = serde_json::from_str(r#"{"pids": {"limit": 50}}"#).unwrap();
    let block = Cgroup { systemd: true, resources, ..Cgroup::default() };
    let mut config = Config {
        args: vec!["sleep".into(), "1000".into()],
        cgroups: Some(block),
        ..config(&place.rootfs().unwrap())
    };
    config.namespaces.set(NamespaceKind::User, Namespace::New);
    let map = IdMapping { container_id: 0, host_id: i64::from(USER), size: 1 };
    (config.uid_mappings, config.gid_mappings) = (vec![map], vec![map]);
    fs::write(place.join("container.json"), config.to_json().unwrap()).unwrap();
    give(place.path());
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let id = place.path().file_name().unwrap().to_str().unwrap().to_owned();
    let (root, bundle) = (place.join("root"), place.path().to_str().unwrap().to_owned());
    let run = |args: &[&str]| {
        let told = user(&place, &own, &[&["--root", root.to_str().unwrap()], args].concat());
        assert!(told.success, "{args:?}: {}", told.text);
        told.text
    };
    let systemctl = |property: &str, unit: &str| {
        let told = user(&place, "systemctl".as_ref(), &["--user", "show", "--value", "-p", property, unit]);
        told.text.trim().to_owned()
    };
    run(&["run", "--detach", "--bundle", &bundle, &id]);
    let unit = format!("libcontainer-{id}.scope");
    assert_eq!(systemctl("ActiveState", &unit), "active");
    assert_eq!(systemctl("TasksMax", &unit), "50");
    let inside = run(&["exec", &id, "cat", "/proc/self/cgroup"]);
    assert!(inside.contains(&unit), "{inside}");
    run(&["update", "--pids-limit", "60", &id]);
    assert_eq!(systemctl("TasksMax", &unit), "60");
    run(&["delete", "--force", &id]);
    assert_eq!(systemctl("LoadState", &unit), "not-found");
}
