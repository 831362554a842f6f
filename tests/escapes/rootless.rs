//! The same from an ordinary user: what a container of theirs reaches, and what they reach through the command.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use libcontainer::mount::IdMapping;
use libcontainer::{Namespace, NamespaceKind};
use libcontainer_tests::{copy_program, skip};

use crate::{Attack, bind, paths, tmpfs, with_mounts};

const USER: u32 = 4321;

/// A bundle, an image and `nsinit`, all of a user's own.
struct Ordinary(Attack);

impl Ordinary {
    fn new(name: &str) -> Option<Self> {
        let program = std::env::current_exe().unwrap().parent()?.parent()?.join("nsinit");
        let mut attack = Attack::new(name)?;
        if !program.exists() {
            skip(name, "nsinit is not built: cargo build -p nsinit");
            return None;
        }
        copy_program(&program, &attack.place.join("nsinit")).unwrap();
        attack.config.namespaces.set(NamespaceKind::User, Namespace::New);
        let map = vec![IdMapping { container_id: 0, host_id: i64::from(USER), size: 1 }];
        (attack.config.uid_mappings, attack.config.gid_mappings) = (map.clone(), map);
        give(attack.place.path());
        fs::set_permissions(attack.place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let this = Self(attack);
        if this.command("unshare", &["-U", "true"]).status().is_ok_and(|status| status.success()) {
            return Some(this);
        }
        skip(name, "this kernel keeps user namespaces from ordinary users");
        None
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.0.place.path()).stdin(Stdio::null()).uid(USER).gid(USER);
        command
    }

    /// Exit code and words of a throw-away container with this script.
    fn run(&self, script: &str) -> (Option<i32>, String) {
        self.run_with(script, |_| ())
    }

    fn run_with(&self, script: &str, change: impl Fn(&mut Command)) -> (Option<i32>, String) {
        let file = self.0.place.join("container.json");
        fs::write(&file, self.0.config.to_json().unwrap()).unwrap();
        let mut command = self.command(
            self.0.place.join("nsinit").to_str().unwrap(),
            &["--root", "state", "run", "web", "sh", "-c", script],
        );
        change(&mut command);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code(), text.concat())
    }
}

fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
    }
}

/// crun CVE-2026-84042: programs of the image, and of the caller's PATH, with the names of all helpers.
#[test]
fn helpers_of_the_image_are_not_run() {
    let Some(mut ordinary) = Ordinary::new("helpers") else { return };
    let marks = ordinary.0.place.join("marks");
    fs::create_dir(&marks).unwrap();
    fs::set_permissions(&marks, fs::Permissions::from_mode(0o777)).unwrap();
    let evil = format!("#!/bin/sh\ntouch {}/${{0##*/}}\n", marks.display());
    for dir in ["bin", "usr/bin", "sbin", "usr/sbin", "usr/local/bin"] {
        fs::create_dir_all(ordinary.0.rootfs(dir)).unwrap();
        for name in [
            "newuidmap",
            "newgidmap",
            "pasta",
            "criu",
            "systemd-notify",
            "modprobe",
            "iptables",
            "ip",
            "nft",
            "dbus-daemon",
        ] {
            let path = ordinary.0.rootfs(dir).join(name);
            fs::write(&path, &evil).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    give(&ordinary.0.config.rootfs);
    let dirs = ["bin", "usr/bin", "sbin"].map(|dir| ordinary.0.rootfs(dir).display().to_string()).join(":");
    // More than the own id: this needs helpers, which may refuse it.
    let more = vec![
        IdMapping { container_id: 0, host_id: i64::from(USER), size: 1 },
        IdMapping { container_id: 1, host_id: 300_000, size: 10 },
    ];
    (ordinary.0.config.uid_mappings, ordinary.0.config.gid_mappings) = (more.clone(), more);
    ordinary
        .0
        .config
        .networks
        .push(libcontainer::Network { kind: "pasta".into(), ..libcontainer::Network::default() });
    for _ in 0..2 {
        let _ = ordinary.run_with("true", |command| {
            command.env("PATH", &dirs);
        });
        ordinary.0.config.networks.truncate(1);
    }
    assert_eq!(
        fs::read_dir(&marks).unwrap().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>(),
        [""; 0]
    );
}

/// CVE-2014-8989: groups that take rights away can't be dropped in a user namespace of the user's own.
#[test]
fn groups_can_not_be_dropped() {
    let Some(ordinary) = Ordinary::new("drop-groups") else { return };
    let (code, text) = ordinary.run("cat /proc/self/setgroups; id -G");
    assert_eq!((code, text.as_str()), (Some(0), "deny\n0\n"));
}

/// CVE-2015-3629, CVE-2024-45310, CVE-2025-31133 of an ordinary user: links of the image, and masks whatever its null device is.
#[test]
fn an_image_reaches_nothing_of_the_users() {
    let Some(mut ordinary) = Ordinary::new("user-links") else { return };
    let canary = ordinary.0.canary.clone();
    ordinary.0.replace("a", &canary);
    fs::write(ordinary.0.rootfs("secret"), "secret").unwrap();
    symlink_null(&ordinary.0, &canary);
    give(&ordinary.0.config.rootfs);
    ordinary.0.config.mount_config =
        with_mounts(vec![tmpfs("/a/new/dir"), bind(Path::new("/etc/passwd"), "/a/file")]);
    ordinary.0.mounts().masked_paths = paths(&["/secret", "/proc/keys"]);
    let (code, text) = ordinary
        .run("cat /secret /proc/keys; (echo overwritten > /secret) 2>/dev/null; stat -c %t:%T /secret");
    assert_eq!((code, text.as_str()), (Some(0), "1:3\n"));
    assert_eq!(fs::read_to_string(ordinary.0.rootfs("secret")).unwrap(), "secret");
    ordinary.0.unharmed();
    for name in ["dev", "proc", "sys"] {
        ordinary.0.replace(name, &canary);
        let (code, text) = ordinary.run("true");
        assert_eq!(code, Some(1), "{name}: {text}");
        ordinary.0.unharmed();
        fs::remove_file(ordinary.0.rootfs(name)).unwrap();
        fs::create_dir(ordinary.0.rootfs(name)).unwrap();
        give(&ordinary.0.rootfs(name));
    }
}

fn symlink_null(attack: &Attack, canary: &Path) {
    attack.replace("dev/null", &canary.join("ptmx"));
}

/// CVE-2023-25809: without a network namespace the host's sysfs is bound; what is mounted below it is read-only too.
#[test]
fn the_users_own_groups_are_read_only() {
    let Some(mut ordinary) = Ordinary::new("user-sys") else { return };
    ordinary.0.applets(&["find", "rmdir"]);
    ordinary.0.config.namespaces = libcontainer::Namespaces::new([
        NamespaceKind::Mount,
        NamespaceKind::Pid,
        NamespaceKind::Uts,
        NamespaceKind::User,
    ]);
    ordinary.0.config.networks.clear();
    let script = "grep ' /sys' /proc/self/mountinfo | grep -v ' ro,'; for d in $(find /sys/fs/cgroup -maxdepth 3 -type d); do \
        mkdir $d/lct-evil && echo made $d; (: >> $d/cgroup.procs) && echo opened $d; done 2>/dev/null; echo end";
    // Mounts whose options say that they are writable, or what could be written to.
    let (code, text) = ordinary.run(script);
    assert_eq!((code, text.as_str()), (Some(0), "end\n"));
}
