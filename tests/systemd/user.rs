//! Without root, through the user's manager.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libcontainer::cgroups::Layout;
use libcontainer::cgroups::stats::Version;
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

/// A bundle that belongs to the user, and the program.
struct Session {
    place: Place,
    program: PathBuf,
    id: String,
}

impl Session {
    fn new() -> Self {
        let place = Place::new("sd-user");
        // The program is built beside this test.
        let built = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("nsinit");
        let program = place.join("nsinit");
        copy_program(&built, &program).unwrap();
        let id = place.path().file_name().unwrap().to_str().unwrap().to_owned();
        place.rootfs().unwrap();
        Self { place, program, id }
    }

    fn configure(&self, resources: &str) {
        let block = Cgroup {
            systemd: true,
            resources: serde_json::from_str(resources).unwrap(),
            ..Cgroup::default()
        };
        let mut config = Config {
            args: vec!["sleep".into(), "1000".into()],
            cgroups: Some(block),
            ..config(&self.place.join("rootfs"))
        };
        config.namespaces.set(NamespaceKind::User, Namespace::New);
        let map = IdMapping { container_id: 0, host_id: i64::from(USER), size: 1 };
        (config.uid_mappings, config.gid_mappings) = (vec![map], vec![map]);
        fs::write(self.place.join("container.json"), config.to_json().unwrap()).unwrap();
        give(self.place.path());
        fs::set_permissions(self.place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn tool(&self, args: &[&str]) -> Told {
        let root = self.place.join("root");
        user(&self.place, &self.program, &[&["--root", root.to_str().unwrap()], args].concat())
    }

    fn ok(&self, args: &[&str]) -> String {
        let told = self.tool(args);
        assert!(told.success, "{args:?}: {}", told.text);
        told.text
    }

    fn detach(&self) -> Told {
        self.tool(&["run", "--detach", "--bundle", self.place.path().to_str().unwrap(), &self.id])
    }

    fn unit(&self) -> String {
        format!("libcontainer-{}.scope", self.id)
    }

    fn show(&self, property: &str) -> String {
        let args = ["--user", "show", "--value", "-p", property, &self.unit()];
        user(&self.place, "systemctl".as_ref(), &args).text.trim().to_owned()
    }
}

#[test]
fn a_scope_of_the_users_own() {
    let name = "a_scope_of_the_users_own";
    if !ready(name) || !manager(name) {
        return;
    }
    let session = Session::new();
    session.configure(r#"{"pids": {"limit": 50}}"#);
    let started = session.detach();
    // Version 1 gives its controllers to no user.
    let layout = Layout::of_this_process().unwrap();
    let limited = layout.hierarchy("pids").unwrap().version == Version::V2;
    if limited {
        assert!(started.success, "{}", started.text);
        assert_eq!(session.show("TasksMax"), "50");
        session.ok(&["update", "--pids-limit", "60", &session.id]);
        assert_eq!(session.show("TasksMax"), "60");
    } else {
        assert!(!started.success && started.text.contains("pids.limit"), "{}", started.text);
        assert_eq!(session.show("LoadState"), "not-found");
        session.configure("{}");
        let started = session.detach();
        assert!(started.success, "{}", started.text);
    }
    assert_eq!(session.show("ActiveState"), "active");
    let inside = session.ok(&["exec", &session.id, "cat", "/proc/self/cgroup"]);
    assert!(inside.contains(&session.unit()), "{inside}");
    if limited {
        follows_the_first(&session);
    }
    session.ok(&["delete", "--force", &session.id]);
    assert_eq!(session.show("LoadState"), "not-found");
}

/// The first process has moved into a group below, as a service manager does.
fn follows_the_first(session: &Session) {
    let group = format!("/sys/fs/cgroup{}", session.show("ControlGroup"));
    let script = format!(
        "cd {group} && mkdir inner && cat cgroup.procs > inner/cgroup.procs && echo +pids > cgroup.subtree_control"
    );
    let moved = user(&session.place, "sh".as_ref(), &["-c", &script]);
    assert!(moved.success, "{}", moved.text);
    let inside = session.ok(&["exec", &session.id, "cat", "/proc/self/cgroup"]);
    assert!(inside.trim().ends_with("/inner"), "{inside}");
}
