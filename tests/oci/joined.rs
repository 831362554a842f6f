//! `config.json` without a mount namespace of its own.

use serde_json::json;

use super::Oci;

/// Nothing that would be mounted.
fn bare(oci: &mut Oci) {
    oci.spec["mounts"] = json!([]);
    let linux = oci.spec["linux"].as_object_mut().unwrap();
    linux.remove("maskedPaths");
    linux.remove("readonlyPaths");
}

fn namespace(oci: &mut Oci, path: Option<&str>) {
    let all = oci.spec["linux"]["namespaces"].as_array_mut().unwrap();
    all.retain(|one| one["type"] != "mount");
    all.extend(path.map(|path| json!({"type": "mount", "path": path})));
}

#[test]
fn a_container_joins_the_mounts_of_another() {
    let Some(mut oci) = Oci::new("a_container_joins_the_mounts_of_another", &["sleep", "300"]) else {
        return;
    };
    oci.ok(&["run", "--detach", "first"]);
    oci.ok(&["exec", "first", "sh", "-c", "echo in >/dev/mark"]);
    let mounts = oci.ok(&["exec", "first", "cat", "/proc/self/mountinfo"]);
    let path = format!("/proc/{}/ns/mnt", oci.state("first")["pid"]);
    namespace(&mut oci, Some(&path));
    oci.spec["linux"]["cgroupsPath"] =
        json!(format!("{}-b", oci.spec["linux"]["cgroupsPath"].as_str().unwrap()));
    oci.write();
    // All at once, each by its name.
    let output = oci.run(&["validate"]);
    let told = String::from_utf8(output.stdout).unwrap();
    for pointer in ["/mounts", "/linux/maskedPaths", "/linux/readonlyPaths"] {
        let wanted = format!("error: {pointer}: would change the mounts of the namespace that is joined");
        assert!(told.contains(&wanted), "{wanted}: {told}");
    }
    assert_eq!(told.lines().count(), 3, "{told}");
    bare(&mut oci);
    oci.spec["root"] = json!({"path": "/", "readonly": true});
    oci.write();
    oci.check(&["run", "second"], 1, "/root/readonly: would change the mounts");
    oci.spec["root"] = json!({"path": "/"});
    oci.write();
    assert_eq!(oci.ok(&["run", "second", "cat", "/dev/mark"]), "in\n");
    assert_eq!(oci.ok(&["exec", "first", "cat", "/proc/self/mountinfo"]), mounts);
    oci.ok(&["delete", "--force", "first"]);
}

#[test]
fn without_one_the_root_is_changed_and_nothing_mounted() {
    let Some(mut oci) = Oci::new("without_one_the_root_is_changed_and_nothing_mounted", &["ls", "/"]) else {
        return;
    };
    namespace(&mut oci, None);
    oci.write();
    oci.check(&["run", "web"], 1, "/mounts: would change the host's mounts");
    bare(&mut oci);
    oci.write();
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let before = mounts();
    let told = oci.ok(&["run", "web"]);
    assert!(told.lines().any(|line| line == "home") && !told.contains("boot"), "{told}");
    assert_eq!(mounts(), before);
    for set in ["bounding", "effective", "permitted"] {
        oci.spec["process"]["capabilities"][set] = json!(["CAP_SYS_CHROOT"]);
    }
    oci.write();
    oci.check(&["run", "web"], 1, "/process/capabilities: SYS_CHROOT");
}
