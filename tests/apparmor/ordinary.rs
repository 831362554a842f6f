//! An ordinary user's containers: the procfs is the host's, the user namespace the container's.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use libcontainer::mount::IdMapping;
use libcontainer::{Config, Namespace, NamespaceKind};
use libcontainer_tests::{config, copy_program, skip};

use super::{Ground, Profile};

const USER: u32 = 4321;

fn give(path: &Path) {
    lchown(path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
    }
}

/// nsinit as the user calls it.
fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(dir.join("nsinit"));
    command.arg("--root").arg(dir.join("state")).args(args).current_dir(dir).stdin(Stdio::null());
    command.uid(USER).gid(USER);
    command
}

/// What it says, and how it ends.
fn nsinit(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = command(dir, args).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), text.concat())
}

fn mapped(rootfs: &Path, profile: &str) -> Config {
    let map = vec![IdMapping { container_id: 0, host_id: USER.into(), size: 1 }];
    let mut config = config(rootfs);
    config.namespaces.set(NamespaceKind::User, Namespace::New);
    (config.uid_mappings, config.gid_mappings) = (map.clone(), map);
    Config {
        apparmor_profile: profile.to_owned(),
        args: vec!["sleep".to_owned(), "300".to_owned()],
        ..config
    }
}

#[test]
fn an_ordinary_users_containers_are_under_their_profile() {
    let test = "an_ordinary_users_containers_are_under_their_profile";
    let Some(ground) = Ground::new(test) else { return };
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("nsinit");
    if !program.exists() {
        return skip(test, "nsinit is not built: cargo build -p nsinit");
    }
    let profile = Profile::default("lct-ordinary");
    let dir = ground.place.path();
    let write = |profile: &str| {
        fs::write(dir.join("container.json"), mapped(&ground.rootfs, profile).to_json().unwrap())
    };
    copy_program(&program, &dir.join("nsinit")).unwrap();
    write("lct-ordinary").unwrap();
    give(dir);
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    let own = ["cat", "/proc/self/attr/apparmor/current"];
    let wanted = (Some(0), "lct-ordinary (enforce)\n".to_owned());
    assert_eq!(nsinit(dir, &["run", "web", own[0], own[1]]), wanted, "run");
    // What goes on keeps what it was given open.
    let detached =
        command(dir, &["run", "--detach", "web"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(detached.unwrap().success());
    assert_eq!(nsinit(dir, &["exec", "web", own[0], own[1]]), wanted, "join");
    assert_eq!(nsinit(dir, &["delete", "--force", "web"]).0, Some(0));
    drop(profile);
    // Whether a profile is loaded is told to everyone, though the list of them is not.
    let (code, text) = nsinit(dir, &["run", "web", "true"]);
    assert!(code == Some(1) && text.contains("AppArmor profile \"lct-ordinary\" is not loaded"), "{text}");
    let (code, text) = nsinit(dir, &["apparmor", "list"]);
    assert!(code == Some(1) && text.contains("/sys/kernel/security/apparmor/profiles: EACCES"), "{text}");
}
