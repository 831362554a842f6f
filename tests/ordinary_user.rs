//! `nsinit` as an ordinary user: what it can do with ranges of ids, and one clear error for what it can't.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

#[path = "ordinary_user/hidden.rs"]
mod hidden;
#[path = "ordinary_user/hooked.rs"]
mod hooked;
#[path = "ordinary_user/nested.rs"]
mod nested;
#[path = "ordinary_user/notify.rs"]
mod notify;
#[path = "ordinary_user/pasta.rs"]
mod pasta;
#[path = "ordinary_user/unheld.rs"]
mod unheld;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libcontainer::mount::IdMapping;
use libcontainer::{Cgroup, Config, Namespace, NamespaceKind};
use libcontainer_tests::{Place, able, config, copy_program, skip};

const USER: u32 = 4321;

/// A bundle and a program that belong to the user.
struct Ordinary {
    place: Place,
    config: Config,
}

impl Ordinary {
    fn new(name: &str) -> Option<Self> {
        let program = std::env::current_exe().unwrap().parent()?.parent()?.join("nsinit");
        if !able(name) {
            return None;
        }
        if !program.exists() {
            skip(name, "nsinit is not built: cargo build -p nsinit");
            return None;
        }
        let place = Place::new(name);
        let config = config(&place.rootfs().unwrap());
        copy_program(&program, &place.join("nsinit")).unwrap();
        let this = Self { place, config };
        this.write();
        give(this.place.path());
        fs::set_permissions(this.place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if this.command("unshare", &["-U", "true"]).status().is_ok_and(|status| status.success()) {
            return Some(this);
        }
        skip(name, "this kernel keeps user namespaces from ordinary users");
        None
    }

    fn write(&self) {
        fs::write(self.place.join("container.json"), self.config.to_json().unwrap()).unwrap();
    }

    fn user_namespace(&mut self, maps: &[(i64, i64, i64)]) {
        self.config.namespaces.set(NamespaceKind::User, Namespace::New);
        let map = |(container_id, host_id, size): &(i64, i64, i64)| IdMapping {
            container_id: *container_id,
            host_id: *host_id,
            size: *size,
        };
        self.config.uid_mappings = maps.iter().map(map).collect();
        self.config.gid_mappings = self.config.uid_mappings.clone();
        self.write();
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.place.path()).stdin(Stdio::null()).uid(USER).gid(USER);
        command
    }

    fn nsinit(&self, root: &Path, args: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command(self.place.join("nsinit").to_str().unwrap(), &["--root"]);
        told(command.arg(root).args(args))
    }

    fn state(&self) -> PathBuf {
        self.place.join("state")
    }
}

fn told(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), text.concat())
}

fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
    }
}

#[test]
fn what_needs_rights_is_one_clear_error() {
    let Some(ordinary) = Ordinary::new("no-rights") else { return };
    // Another's directory of state, with a container in it.
    let other = ordinary.place.join("other");
    fs::create_dir_all(other.join("web")).unwrap();
    fs::write(other.join("web/state.json"), "{}").unwrap();
    chown(&other, Some(0), Some(0)).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    for args in [
        ["run", "web", "true"].as_slice(),
        &["create", "web", "true"],
        &["start", "web"],
        &["exec", "web", "true"],
        &["list"],
        &["state", "web"],
        &["kill", "web"],
        &["delete", "web"],
        &["delete", "--force", "web"],
        &["try"],
        &["try", "--", "true"],
    ] {
        let (found, text) = ordinary.nsinit(&other, args);
        assert_eq!(found, Some(1), "{args:?}: {text}");
        let named = text.contains("ermission denied") || text.contains("it belongs to user");
        assert!(text.lines().count() == 1 && text.starts_with("nsinit: ") && named, "{args:?}: {text}");
    }
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1, "nothing new");
    // In a directory of its own the user lacks but a user namespace.
    for args in [["run", "web", "true"].as_slice(), &["create", "web", "true"]] {
        let (code, text) = ordinary.nsinit(&ordinary.state(), args);
        assert!(code == Some(1) && text.contains("needs a user namespace (add NEWUSER"), "{text}");
        assert_eq!(fs::read_dir(ordinary.state()).unwrap().count(), 0);
    }
    // These need no rights.
    for args in [["list"].as_slice(), &["explain"], &["check"]] {
        let (code, text) = ordinary.nsinit(&ordinary.state(), args);
        assert_eq!(code, Some(0), "{args:?}: {text}");
    }
    assert_eq!(ordinary.nsinit(&ordinary.state(), &["config"]).0, Some(1), "tells what is missing");
}

/// Nobody has delegated any: what is asked for by its path, or for limits, is refused, and nothing made without.
#[test]
fn a_control_group_that_may_not_be_made_is_told() {
    // By runc's words, for who looks for them.
    const BY_PATH: &str = "unable to apply cgroup configuration: permission denied";
    const FOR_LIMITS: &str = "cannot set pids limit: container could not join or create cgroup";
    let Some(mut ordinary) = Ordinary::new("no-group") else { return };
    ordinary.user_namespace(&[(0, i64::from(USER), 1)]);
    let path = ordinary.place.cgroup().path.join("theirs");
    let shown = path.display().to_string().trim_start_matches('/').to_owned();
    let limits = serde_json::from_str(r#"{"pids": {"limit": 64}}"#).unwrap();
    let named = Cgroup { path, ..Cgroup::default() };
    let limited = Cgroup { resources: limits, ..Cgroup::default() };
    for (group, wanted) in [
        (named.clone(), [shown.as_str(), BY_PATH, "leave the path out (cgroupsPath)"]),
        (
            Cgroup { resources: limited.resources.clone(), ..named },
            [&shown, BY_PATH, "leave the path out (cgroupsPath)"],
        ),
        (limited, ["control group ", FOR_LIMITS, "leave the limits out"]),
    ] {
        ordinary.config.cgroups = Some(group);
        ordinary.write();
        let (code, text) = ordinary.nsinit(&ordinary.state(), &["run", "web", "true"]);
        assert_eq!(code, Some(1), "{text}");
        let refused = text.contains("mkdir /sys/fs/cgroup/") && text.contains("EACCES: Permission denied");
        assert!(refused && text.contains("this user may not make it"), "{text}");
        assert!(wanted.iter().all(|part| text.contains(part)), "{wanted:?}: {text}");
        assert_eq!(fs::read_dir(ordinary.state()).unwrap().count(), 0);
    }
    // Neither was asked for.
    ordinary.config.cgroups = Some(Cgroup::default());
    ordinary.write();
    let (code, text) = ordinary.nsinit(&ordinary.state(), &["run", "web", "true"]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn the_own_id_alone_needs_no_helper() {
    let Some(mut ordinary) = Ordinary::new("own-id") else { return };
    ordinary.user_namespace(&[(0, i64::from(USER), 1)]);
    let script = "id -u; id -G; cat /proc/self/setgroups";
    let (code, text) = ordinary.nsinit(&ordinary.state(), &["run", "web", "sh", "-c", script]);
    assert_eq!((code, text.as_str()), (Some(0), "0\n0\ndeny\n"), "setgroups is denied and not called");
    ordinary.config.additional_groups = vec!["5".into()];
    ordinary.write();
    let (code, text) = ordinary.nsinit(&ordinary.state(), &["run", "web", "true"]);
    assert!(code == Some(1) && text.contains("denies setgroups"), "{text}");
    assert_eq!(fs::read_dir(ordinary.state()).unwrap().count(), 0);
}

/// Of another container: the one id that is mapped can't be anybody else's, and its groups can't be set.
#[test]
fn a_user_namespace_that_denies_setgroups_is_joined() {
    let Some(mut ordinary) = Ordinary::new("denies-groups") else { return };
    ordinary.user_namespace(&[(0, i64::from(USER), 1)]);
    let state = ordinary.state();
    let mut first = ordinary.command(ordinary.place.join("nsinit").to_str().unwrap(), &["--root"]);
    first.arg(&state).args(["run", "--detach", "first", "sleep", "300"]);
    assert!(first.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    let first: serde_json::Value =
        serde_json::from_str(&ordinary.nsinit(&state, &["state", "first"]).1).unwrap();
    let path = format!("/proc/{}/ns/user", first["pid"]).into();
    ordinary.config.namespaces.set(NamespaceKind::User, Namespace::Join(path));
    ordinary.config.uid_mappings.clear();
    ordinary.config.gid_mappings.clear();
    ordinary.write();
    let script = "id -u; cat /proc/self/setgroups";
    let (code, text) = ordinary.nsinit(&state, &["run", "second", "sh", "-c", script]);
    assert_eq!((code, text.as_str()), (Some(0), "0\ndeny\n"));
    // Of root the caller's groups would come along.
    let mut root = Command::new("setpriv");
    root.args(["--groups", "0,4242", "./nsinit", "--root", "roots", "run", "third", "id"]);
    let (code, text) = told(root.current_dir(ordinary.place.path()).stdin(Stdio::null()));
    assert!(code == Some(1) && text.contains("setgroups") && text.contains("EPERM"), "{text}");
    ordinary.config.additional_groups = vec!["5".into()];
    ordinary.write();
    let (code, text) = ordinary.nsinit(&state, &["run", "second", "true"]);
    assert!(code == Some(1) && text.contains("setgroups"), "{text}");
    assert_eq!(ordinary.nsinit(&state, &["delete", "--force", "first"]), (Some(0), String::new()));
}

/// Account files of the test's own lie over those of the host, in a mount namespace of the test's own.
#[test]
fn ranges_of_ids_are_mapped_by_the_helpers() {
    let Some(mut ordinary) = Ordinary::new("id-ranges") else { return };
    let there = |name: &str| Path::new("/usr/bin").join(name).exists();
    let files = ["/etc/subuid", "/etc/subgid"].into_iter().all(|name| Path::new(name).exists());
    if !files || !["newuidmap", "newgidmap", "unshare", "setpriv"].into_iter().all(there) {
        return skip("ranges_of_ids_are_mapped_by_the_helpers", "newuidmap and newgidmap are not installed");
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap() + "lct:x:4321:4321::/:/bin/sh\n";
    let group = fs::read_to_string("/etc/group").unwrap() + "lct:x:4321:\n";
    for (name, text) in [("passwd", passwd), ("group", group)] {
        fs::write(ordinary.place.join(name), text).unwrap();
    }
    for name in ["subuid", "subgid"] {
        fs::write(ordinary.place.join(name), "lct:300000:65536\n").unwrap();
    }
    let own = i64::from(USER);
    let script = "id -u; id -G; cat /proc/self/uid_map /proc/self/gid_map | wc -l; touch /tmp/made; exec cat /proc/self/setgroups";
    ordinary.config.user = "7:8".into();
    ordinary.config.additional_groups = vec!["9".into()];
    ordinary.user_namespace(&[(0, own, 1), (1, 300_000, 100)]);
    fs::set_permissions(ordinary.config.rootfs.join("tmp"), fs::Permissions::from_mode(0o777)).unwrap();
    let (code, text) = ranged(&ordinary, &["run", "web", "sh", "-c", script]);
    assert_eq!((code, text.as_str()), (Some(0), "7\n8 9\n4\nallow\n"));
    let made = fs::metadata(ordinary.config.rootfs.join("tmp/made")).unwrap();
    let ids = (std::os::unix::fs::MetadataExt::uid(&made), std::os::unix::fs::MetadataExt::gid(&made));
    assert_eq!(ids, (300_006, 300_007));
    // A range that belongs to somebody else: the helper refuses, and says why.
    ordinary.user_namespace(&[(0, own, 1), (1, 500_000, 100)]);
    let (code, text) = ranged(&ordinary, &["run", "web", "true"]);
    assert!(code == Some(1) && text.contains("/usr/bin/newuidmap") && text.contains("not allowed"), "{text}");
    assert_eq!(fs::read_dir(ordinary.state()).unwrap().count(), 0);
}

fn ranged(ordinary: &Ordinary, args: &[&str]) -> (Option<i32>, String) {
    let script = "for name in passwd group subuid subgid; do
            mount --bind $name /etc/$name || exit 99; done
        exec setpriv --reuid 4321 --regid 4321 --clear-groups ./nsinit --root state \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", script, "sh"]).args(args);
    told(command.current_dir(ordinary.place.path()).stdin(Stdio::null()))
}

/// The whole life of a container that is left alone: one more process, its state, its end.
#[test]
fn processes_join_without_root() {
    let Some(mut ordinary) = Ordinary::new("rootless-join") else { return };
    ordinary.config.args = ["sleep", "60"].map(str::to_owned).to_vec();
    ordinary.config.oom_score_adj = Some(100);
    ordinary.user_namespace(&[(0, i64::from(USER), 1)]);
    let mut command = ordinary.command(ordinary.place.join("nsinit").to_str().unwrap(), &["--root"]);
    command
        .arg(ordinary.state())
        .args(["run", "--detach", "web"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(command.status().unwrap().success());
    let state = ordinary.state();
    let script = "id -u; test $(readlink /proc/self/ns/user) = $(readlink /proc/1/ns/user) && echo same; hostname; exit 5";
    std::os::unix::fs::symlink("busybox", ordinary.config.rootfs.join("bin/hostname")).unwrap();
    let (code, text) = ordinary.nsinit(&state, &["exec", "web", "sh", "-c", script]);
    assert_eq!((code, text.as_str()), (Some(5), "0\nsame\ninside\n"));
    // Whoever is first, the host that writes this or the init that closes its files to the host's user.
    for _ in 0..10 {
        let (code, text) = ordinary.nsinit(&state, &["exec", "web", "cat", "/proc/self/oom_score_adj"]);
        assert_eq!((code, text.as_str()), (Some(0), "100\n"));
    }
    assert!(ordinary.nsinit(&state, &["state", "web"]).1.contains("\"running\""));
    for args in [&["kill", "web", "KILL"][..], &["delete", "--force", "web"]] {
        assert_eq!(ordinary.nsinit(&state, args), (Some(0), String::new()), "{args:?}");
    }
}
