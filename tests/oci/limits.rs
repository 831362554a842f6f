//! Limits of which one leaves no room for the other.

use std::fs;
use std::path::PathBuf;

use libcontainer::cgroups::Layout;
use libcontainer_tests::skip;
use serde_json::json;

use super::Oci;

/// The container `web` runs, in the group with that file; none if this kernel has no idle groups.
fn running(name: &str) -> Option<(Oci, PathBuf)> {
    let mut oci = Oci::new(name, &["sleep", "300"])?;
    oci.spec["linux"]["resources"] = json!({"cpu": {"shares": 512}});
    oci.write();
    oci.ok(&["run", "--detach", "web"]);
    let path = oci.spec["linux"]["cgroupsPath"].as_str()?.trim_start_matches('/').to_owned();
    let layout = Layout::of_this_process().unwrap();
    let file = layout.hierarchy("cpu").map(|cpu| cpu.mountpoint.join(path).join("cpu.idle"));
    let Some(file) = file.filter(|file| file.exists()) else {
        oci.ok(&["delete", "--force", "web"]);
        skip(name, "this kernel has no idle groups");
        return None;
    };
    Some((oci, file))
}

fn read(file: &PathBuf) -> String {
    fs::read_to_string(file).unwrap().trim().to_owned()
}

#[test]
fn a_weight_ends_idleness() {
    let Some((oci, file)) = running("a_weight_ends_idleness") else { return };
    oci.ok(&["update", "--cpu-idle", "1", "web"]);
    assert_eq!(read(&file), "1");
    oci.ok(&["update", "--cpu-share", "200", "web"]);
    assert_eq!(read(&file), "0");
    oci.ok(&["delete", "--force", "web"]);
}
