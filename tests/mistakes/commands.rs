//! Mistakes of commands, and of the place in which they are called.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use serde_json::json;

use crate::scene::{Mistake, Scene, run, words};

pub(crate) fn all() -> Vec<Mistake> {
    let mut all = names();
    all.extend(states());
    all.extend(terminals());
    all.extend(programs());
    all.extend(places());
    all
}

fn names() -> Vec<Mistake> {
    let none = |command: &'static [&'static str]| move |_: &mut Scene| words(command);
    vec![
        Mistake::new("name is taken", 1, &["\"c\"", "already exists", "nsinit delete"], |scene| {
            scene.running();
            run(scene)
        }),
        Mistake::new("name is no name", 2, &["a/b", "container name"], |scene| {
            words(&["run", "--bundle", &scene.at(""), "a/b"])
        }),
        Mistake::new(
            "state of a container that is not there",
            1,
            &["\"blue\"", "does not exist", "nsinit list"],
            none(&["state", "blue"]),
        ),
        Mistake::new(
            "start of a container that is not there",
            1,
            &["\"blue\"", "does not exist", "nsinit list"],
            none(&["start", "blue"]),
        ),
        Mistake::new(
            "exec in a container that is not there",
            1,
            &["\"blue\"", "does not exist", "nsinit list"],
            none(&["exec", "blue", "sh"]),
        ),
        Mistake::new("misspelt command", 2, &["strat", "start"], none(&["strat", "c"])),
        Mistake::new("misspelt option", 2, &["--bundel", "--bundle"], none(&["run", "--bundel", "x", "c"])),
        Mistake::new("no name at all", 2, &["<ID>", "Usage"], none(&["start"])),
    ]
}

fn states() -> Vec<Mistake> {
    vec![
        Mistake::new("start of one that runs", 1, &["\"c\"", "running"], |scene| {
            scene.running();
            words(&["start", "c"])
        }),
        Mistake::new("delete of one that runs", 1, &["\"c\"", "kill it first", "--force"], |scene| {
            scene.running();
            words(&["delete", "c"])
        }),
        Mistake::new("unknown signal", 2, &["SIGSTOPP", "TERM"], |scene| {
            scene.running();
            words(&["kill", "c", "SIGSTOPP"])
        }),
        Mistake::new("kill of one that has ended", 1, &["\"c\"", "not running"], |scene| {
            ended(scene);
            words(&["kill", "c", "TERM"])
        }),
        Mistake::new("exec in one that has ended", 1, &["\"c\"", "not running"], |scene| {
            ended(scene);
            words(&["exec", "c", "sh"])
        }),
        Mistake::new("pause of one that has ended", 1, &["\"c\"", "not running"], |scene| {
            ended(scene);
            words(&["pause", "c"])
        }),
        Mistake::new(
            "exec in one that is paused",
            1,
            &["\"c\"", "paused", "resume", "--ignore-paused"],
            |scene| {
                scene.running();
                scene.done(&["pause", "c"]);
                words(&["exec", "c", "true"])
            },
        ),
        Mistake::new("memory limit in words", 2, &["--memory", "lots", "k, m or g"], |scene| {
            scene.running();
            words(&["update", "--memory", "lots", "c"])
        }),
    ]
}

/// A container whose program has ended.
fn ended(scene: &mut Scene) {
    scene.config["process"]["args"] = json!(["sleep", "0"]);
    scene.write();
    scene.done(&["run", "--detach", "--bundle", &scene.at(""), "c"]);
    libcontainer_tests::operator::until("its end", || scene.status() == "stopped");
}

fn terminals() -> Vec<Mistake> {
    vec![
        Mistake::new("terminal, and nobody to hold it", 1, &["terminal", "--console-socket"], |scene| {
            scene.config["process"]["terminal"] = json!(true);
            words(&["create", "--bundle", &scene.at(""), "c"])
        }),
        Mistake::new("console socket, and no terminal", 1, &["--console-socket", "terminal"], |scene| {
            words(&["create", "--bundle", &scene.at(""), "--console-socket", &scene.at("socket"), "c"])
        }),
        Mistake::new(
            "console socket is not there",
            1,
            &["--console-socket", "/b/socket", "ENOENT"],
            |scene| {
                scene.config["process"]["terminal"] = json!(true);
                words(&["create", "--bundle", &scene.at(""), "--console-socket", &scene.at("socket"), "c"])
            },
        ),
        Mistake::new(
            "nobody listens at the console socket",
            1,
            &["--console-socket", "/b/socket", "ECONNREFUSED"],
            |scene| {
                scene.config["process"]["terminal"] = json!(true);
                drop(std::os::unix::net::UnixListener::bind(scene.place.join("socket")).unwrap());
                words(&["create", "--bundle", &scene.at(""), "--console-socket", &scene.at("socket"), "c"])
            },
        ),
        Mistake::new(
            "directory of the pid file is not there",
            1,
            &["--pid-file", "/b/nonesuch/pid", "ENOENT"],
            |scene| words(&["run", "--bundle", &scene.at(""), "--pid-file", &scene.at("nonesuch/pid"), "c"]),
        ),
    ]
}

fn programs() -> Vec<Mistake> {
    let exec = |args: &'static [&'static str]| {
        move |scene: &mut Scene| {
            scene.running();
            words(args)
        }
    };
    vec![
        Mistake::new(
            "exec of a program that is not there",
            127,
            &["bash", "executable file not found in $PATH", "ENOENT"],
            exec(&["exec", "c", "bash"]),
        ),
        Mistake::new(
            "exec of a file that is no program",
            126,
            &["/etc/passwd", "permission denied", "EACCES"],
            exec(&["exec", "c", "/etc/passwd"]),
        ),
        Mistake::new(
            "exec in a directory that is not there",
            1,
            &["/srv/app", "ENOENT"],
            exec(&["exec", "--cwd", "/srv/app", "c", "true"]),
        ),
        Mistake::new("exec without a program", 2, &["ARGS", "Usage"], exec(&["exec", "c"])),
        Mistake::new(
            "exec by a file that is not there",
            1,
            &["--process", "/srv/p.json", "ENOENT"],
            exec(&["exec", "--process", "/srv/p.json", "c"]),
        ),
    ]
}

fn places() -> Vec<Mistake> {
    vec![
        Mistake::new("directory of states is read-only", 1, &["/b/state", "EROFS"], |scene| {
            disk(&scene.root, "size=64k,mode=755", MsFlags::MS_RDONLY);
            run(scene)
        }),
        Mistake::new("disk of the states is full", 1, &["/b/state", "ENOSPC"], |scene| {
            disk(&scene.root, "size=4k,nr_inodes=4,mode=755", MsFlags::empty());
            run(scene)
        }),
        Mistake::new("control groups are read-only", 1, &["/sys/fs/cgroup", "read-only"], |scene| {
            with_read_only_groups(scene);
            run(scene)
        }),
        Mistake::new(
            "called by a user, without a user namespace",
            1,
            &["user 1000", "the namespace \"user\"", "run as root"],
            |scene| {
                by_user(scene);
                run(scene)
            },
        ),
        Mistake::new(
            "capability that the caller has not",
            1,
            &["read back the bounding set", "the caller itself has not SYS_PTRACE", "leave it out"],
            |scene| {
                for set in ["bounding", "effective", "permitted"] {
                    scene.config["process"]["capabilities"][set] = json!(["CAP_CHOWN", "CAP_SYS_PTRACE"]);
                }
                scene.before = words(&["setpriv", "--bounding-set", "-sys_ptrace"]);
                run(scene)
            },
        ),
        Mistake::new("user namespaces are forbidden", 1, &["ENOSPC", "user.max_user_namespaces"], |scene| {
            let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
            let linux = &mut scene.config["linux"];
            (linux["uidMappings"], linux["gidMappings"]) = (map.clone(), map);
            linux["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            scene.before = shell(
                "echo 0 >/proc/sys/user/max_user_namespaces",
                &["unshare", "--user", "--map-root-user"],
            );
            run(scene)
        }),
        Mistake::new(
            "directory of states is another's",
            1,
            &["/b/state", "belongs to user 1", "--root"],
            |scene| {
                by_user(scene);
                std::os::unix::fs::chown(&scene.root, Some(1), Some(1)).unwrap();
                run(scene)
            },
        ),
    ]
}

/// A command in a shell before the runtime, and what that shell runs in.
fn shell(script: &str, before: &[&str]) -> Vec<String> {
    let whole = format!("{script} || exit 99; exec \"$@\"");
    let mut all = words(before);
    all.extend(words(&["sh", "-c", &whole, "-"]));
    all
}

fn with_read_only_groups(scene: &mut Scene) {
    let script = "for top in $(findmnt -rno TARGET -t cgroup,cgroup2); do mount -o remount,bind,ro $top || exit 99; done";
    scene.before = shell(script, &["unshare", "--mount"]);
}

/// Everything of the bundle belongs to the user, and so does the directory of states.
fn by_user(scene: &mut Scene) {
    for path in [scene.place.path(), &scene.root] {
        std::os::unix::fs::chown(path, Some(1000), Some(1000)).unwrap();
    }
    scene.before = words(&["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"]);
}

fn disk(path: &Path, data: &str, flags: MsFlags) {
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(data)).unwrap();
}
