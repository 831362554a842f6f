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

/// runc runs it too: clients set a weight whatever else is asked for.
#[test]
fn the_weight_of_an_idle_group_is_left_out() {
    let Some((mut oci, file)) = running("the_weight_of_an_idle_group_is_left_out") else { return };
    let both = "unable to apply both cpu.weight and cpu.idle";
    let limits = oci.place.join("limits.json");
    fs::write(&limits, json!({"cpu": {"shares": 200, "idle": 1}}).to_string()).unwrap();
    for args in [["--cpu-share=200", "--cpu-idle=1"], ["--resources", limits.to_str().unwrap()]] {
        let output = oci.run(&["update", args[0], args[1], "web"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && told.contains(both), "{args:?}: {told}");
        assert_eq!(read(&file), "1");
        oci.ok(&["update", "--cpu-idle", "0", "web"]);
    }
    oci.ok(&["delete", "--force", "web"]);

    oci.spec["linux"]["resources"] = json!({"cpu": {"shares": 512, "idle": 1}});
    oci.write();
    let told = String::from_utf8(oci.run(&["--debug", "run", "--detach", "web"]).stderr).unwrap();
    assert!(told.contains("/linux/resources/cpu/shares: ") && told.contains(both), "{told}");
    assert_eq!(read(&file), "1");
    oci.ok(&["delete", "--force", "web"]);
    oci.check(&["validate"], 0, "/linux/resources/cpu/shares: ");
}
