//! `mounts`: what comes and goes while the container runs.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::Oci;

/// The entries that were added.
fn added(oci: &Oci) -> Vec<Value> {
    let all = oci.json(&["mounts", "list", "--format", "json", "web"]);
    all.as_array().unwrap().iter().filter(|one| one["added"] == true).cloned().collect()
}

/// A directory of the host with a file, and one with a mount of its own would be the machine's business.
fn source(oci: &Oci) -> String {
    let dir = oci.place.join("given");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "of the host\n").unwrap();
    dir.to_str().unwrap().to_owned()
}

#[test]
fn mounts_come_and_go_while_it_runs() {
    let Some(oci) = Oci::new("mounts_come_and_go_while_it_runs", &["sleep", "300"]) else { return };
    oci.ok(&["run", "--detach", "web"]);
    let given = source(&oci);
    oci.ok(&["mounts", "add", "--options", "ro,nosuid", "web", &given, "/mnt/new"]);
    assert_eq!(oci.ok(&["exec", "web", "cat", "/mnt/new/file"]), "of the host\n");
    assert!(oci.fails(&["exec", "web", "touch", "/mnt/new/x"]).contains("Read-only"));
    oci.ok(&["mounts", "add", "web", &format!("{given}/file"), "/mnt/one"]);
    oci.ok(&["mounts", "add", "--type", "tmpfs", "--options", "size=64k", "web", "none", "/mnt/new"]);
    assert_eq!(oci.ok(&["exec", "web", "ls", "/mnt/new"]), "");
    let places: Vec<_> = added(&oci).iter().map(|one| one["destination"].clone()).collect();
    assert_eq!(places, ["/mnt/new", "/mnt/one", "/mnt/new"]);
    let table = oci.ok(&["mounts", "list", "web"]);
    assert!(
        table
            .lines()
            .any(|line| line.starts_with("/mnt/new") && line.contains("ro,nosuid") && line.ends_with("yes")),
        "{table}"
    );
    // The last one first.
    oci.ok(&["mounts", "remove", "web", "/mnt/new"]);
    assert_eq!(oci.ok(&["exec", "web", "cat", "/mnt/new/file"]), "of the host\n");
    oci.ok(&["mounts", "remove", "web", "/mnt/one"]);
    oci.ok(&["mounts", "remove", "web", "/mnt/new"]);
    assert_eq!(oci.ok(&["exec", "web", "ls", "-A", "/mnt/new"]), "");
    assert!(added(&oci).is_empty());
    assert!(oci.fails(&["mounts", "remove", "web", "/mnt/new"]).contains("no mount was added there"));
    // What the container was made with is its own.
    assert!(oci.fails(&["mounts", "remove", "web", "/proc"]).contains("no mount was added there"));
    oci.ok(&["delete", "--force", "web"]);
    assert_eq!(fs::read_to_string(format!("{given}/file")).unwrap(), "of the host\n");
}

#[test]
fn a_link_inside_leads_nowhere_outside() {
    let Some(oci) = Oci::new("a_link_inside_leads_nowhere_outside", &["sleep", "300"]) else { return };
    let rootfs = oci.operator.config.rootfs.clone();
    symlink("/../../../mnt/target", rootfs.join("link")).unwrap();
    oci.ok(&["run", "--detach", "web"]);
    let given = source(&oci);
    oci.ok(&["mounts", "add", "web", &given, "/link"]);
    assert_eq!(added(&oci)[0]["destination"], "/mnt/target");
    assert_eq!(oci.ok(&["exec", "web", "cat", "/mnt/target/file"]), "of the host\n");
    // It is found by both names, and not by where the link leads now.
    oci.ok(&["exec", "web", "sh", "-c", "rm /link; ln -s /proc /link"]);
    oci.ok(&["mounts", "remove", "web", "/link"]);
    assert_eq!(oci.ok(&["exec", "web", "ls", "-A", "/mnt/target"]), "");
    assert_ne!(oci.ok(&["exec", "web", "ls", "/proc/self"]), "");
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn what_can_not_be_mounted_changes_nothing() {
    let Some(oci) = Oci::new("what_can_not_be_mounted_changes_nothing", &["sleep", "300"]) else { return };
    let fails = |args: &[&str], wanted: &str| {
        let told = oci.fails(&[&["mounts", "add"], args].concat());
        assert!(told.contains(wanted), "{args:?}: {told}");
    };
    fails(&["web", "/etc", "/mnt"], "does not exist");
    oci.ok(&["create", "web"]);
    fails(&["web", "/absent", "/mnt"], "/absent: ENOENT");
    fails(&["web", "/etc", "mnt"], "/destination");
    fails(&["web", "/etc", "/proc/sys"], "/destination");
    fails(&["--type", "proc", "web", "proc", "/mnt"], "only a bind or a tmpfs");
    fails(&["--type", "tmpfs", "--options", "size=x", "web", "x", "/mnt"], "EINVAL");
    fails(&["web", "/etc/passwd", "/bin"], "/bin");
    assert!(added(&oci).is_empty());
    assert_eq!(oci.state("web")["status"], "created");
    oci.ok(&["kill", "web", "KILL"]);
    libcontainer_tests::operator::until("it has ended", || oci.state("web")["status"] == "stopped");
    fails(&["web", "/etc", "/mnt"], "it is stopped");
    assert!(oci.fails(&["mounts", "list", "web"]).contains("it is stopped"));
    oci.ok(&["delete", "web"]);
}

#[test]
fn a_container_with_a_user_namespace_has_them_too() {
    let Some(mut oci) = Oci::new("a_container_with_a_user_namespace_has_them_too", &["sleep", "300"]) else {
        return;
    };
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    oci.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    oci.spec["linux"]["uidMappings"] = map.clone();
    oci.spec["linux"]["gidMappings"] = map;
    oci.write();
    let rootfs = oci.operator.config.rootfs.clone();
    for name in ["mnt", "mnt/bound", "mnt/own"] {
        let _ = fs::create_dir(rootfs.join(name));
    }
    oci.ok(&["run", "--detach", "web"]);
    let given = source(&oci);
    oci.ok(&["mounts", "add", "web", &given, "/mnt/bound"]);
    oci.ok(&["mounts", "add", "--type", "tmpfs", "web", "x", "/mnt/own"]);
    assert_eq!(oci.ok(&["exec", "web", "cat", "/mnt/bound/file"]), "of the host\n");
    // Of its own root, which the host's is not.
    assert_eq!(oci.ok(&["exec", "web", "stat", "-c", "%u", "/mnt/own"]), "0\n");
    oci.ok(&["mounts", "remove", "web", "/mnt/own"]);
    oci.ok(&["mounts", "remove", "web", "/mnt/bound"]);
    assert!(added(&oci).is_empty());
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn a_remount_changes_what_is_there() {
    let script =
        "touch /x/y/f || echo kept; touch /x/f && echo made; grep -o ' /x[^ ]* r[^ ]*' /proc/self/mountinfo";
    let Some(mut oci) = Oci::new("a_remount_changes_what_is_there", &["sh", "-c", script]) else { return };
    let all = oci.spec["mounts"].as_array_mut().unwrap();
    for (to, options) in [
        ("/x", json!(["nosuid"])),
        ("/x/y", json!([])),
        ("/x/y", json!(["remount", "ro", "noexec"])),
        ("/x", json!(["remount", "suid", "nodev"])),
    ] {
        all.push(json!({"destination": to, "type": "tmpfs", "source": "x", "options": options}));
    }
    oci.write();
    assert_eq!(oci.ok(&["run", "web"]), "kept\nmade\n /x rw,nodev,relatime\n /x/y ro,noexec,relatime\n");
    let all = oci.spec["mounts"].as_array_mut().unwrap();
    all.push(json!({"destination": "/bin", "type": "none", "options": ["remount", "ro"]}));
    oci.write();
    let told = oci.fails(&["run", "web"]);
    assert!(told.contains("change the mount on /bin") && told.contains("EINVAL"), "{told}");
}
