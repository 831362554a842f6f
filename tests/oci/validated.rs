//! `validate`: everything that is wrong, at once.

use std::fs;
use std::os::unix::process::CommandExt;

use serde_json::json;

use super::Oci;

#[test]
fn all_that_is_wrong_is_told_with_its_pointer() {
    let Some(mut oci) = Oci::new("all_that_is_wrong_is_told_with_its_pointer", &["true"]) else { return };
    oci.check(&["validate"], 0, "");
    oci.spec["hostname"] = json!("a b");
    oci.spec["process"]["cwd"] = json!("home");
    oci.spec["process"]["oomScoreAdj"] = json!("much");
    oci.spec["process"]["env"][0] = json!(7);
    oci.spec["linux"]["sysctl"] = json!({"vm.swappiness": "1"});
    oci.spec["future"] = json!(1);
    oci.write();
    let output = oci.run(&["validate"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for pointer in
        ["/hostname", "/process/cwd", "/process/oomScoreAdj", "/process/env/0", "/linux/sysctl/vm.swappiness"]
    {
        assert!(
            told.lines().any(|line| line.contains(&format!("config.json: error: {pointer}: "))),
            "{pointer}: {told}"
        );
    }
    let output = oci.run(&["validate", "--format", "json", "."]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), list.as_array().unwrap().len()), (Some(1), told.lines().count()));
    // What is no JSON is one problem; what is not there is none of the config's.
    fs::write(oci.place.join("config.json"), "{").unwrap();
    oci.check(&["validate"], 1, "config.json: error: EOF");
    oci.check(&["validate", "/absent"], 1, "ENOENT");
}

/// As somebody else than root, and with something that can't be converted.
#[test]
fn what_can_not_be_converted_hides_no_other_problem() {
    let Some(mut oci) = Oci::new("what_can_not_be_converted_hides_no_other_problem", &["true"]) else {
        return;
    };
    oci.spec["linux"]["devices"] = json!([{"path": "/dev/x", "type": "x"}]);
    oci.spec["hostname"] = json!("a b");
    oci.spec["future"] = json!(1);
    oci.write();
    // Outside of directories that are root's alone.
    let program = oci.place.join("nsinit");
    libcontainer_tests::copy_program(&oci.program, &program).unwrap();
    let mut command = std::process::Command::new(program);
    command.arg("--root").arg(oci.place.join("state")).arg("validate").arg(oci.place.path());
    command.uid(4321).gid(4321);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for line in [
        "error: /linux/devices/0/type: ",
        "error: /hostname: ",
        "error: /linux/namespaces: user 4321 needs a user namespace",
        "warning: /future: ",
    ] {
        assert!(told.contains(&format!("config.json: {line}")), "{line}: {told}");
    }
}

#[test]
fn a_warning_is_a_problem_only_if_asked() {
    let Some(mut oci) = Oci::new("a_warning_is_a_problem_only_if_asked", &["true"]) else { return };
    oci.spec["future"] = json!(1);
    oci.write();
    oci.check(&["validate"], 0, "config.json: warning: /future: unknown key");
    oci.check(&["validate", "--strict"], 1, "config.json: error: /future");
    oci.spec["root"] = json!({"Path": oci.spec["root"]["path"], "readOnly": true});
    oci.write();
    oci.check(&["validate"], 0, "config.json: warning: /root/readOnly: taken for readonly");
    fs::remove_file(oci.place.join("config.json")).unwrap();
    fs::write(
        oci.place.join("container.json"),
        r#"{"rootfs": "/x", "hostname": "a b", "odd": 1, "umask": ""}"#,
    )
    .unwrap();
    let output = oci.run(&["validate"]);
    let told = String::from_utf8(output.stdout).unwrap();
    for line in ["error: /umask", "error: /hostname", "warning: /odd"] {
        assert!(told.contains(&format!("container.json: {line}")), "{line}: {told}");
    }
}
