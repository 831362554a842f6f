//! Clients of runtimes by their scripts in `tests/clients`, in machines that are made for tests: with systemd's driver where systemd runs, as that makes the
//! control groups and the scripts' processes are the machine's; else on what the machine has of control groups, where version 2 is found.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};

use libcontainer_tests::skip;

// What has to do with control groups, and the way of a client from image to exit code: emulated, a call of a client takes seconds.
const PODMAN: &str = "exit_codes arguments logs missing_program exec_codes exec_output create_start pauses paused_is_killed stops kills \
                      removes statistics list_shows memory_limit cpu_limit pids_limit pids_limit_holds memory_limit_holds no_groups \
                      parent_group groups_private cpu_set weights pod_shares nothing_is_left";
const DOCKER: &str = "runs codes output runtime_is_ours missing_program execs exec_codes stops kills pauses statistics update_limits memory_limit \
                      cpu_limit pids_limit cpu_set out_of_memory parent_group group_namespace nothing_is_left";
const CONTAINERD: &str = "runs codes output read_only namespaces missing_program memory_limit cpu_limits group_by_path detached kills tasks_delete_force \
                          execs exec_killed pauses lists_processes measures metrics_of_ended";
const CRI: &str = "ready runs_a_pod has_an_address runs_containers shares_namespaces execs exec_codes exec_missing forwards_a_port measures \
                   groups_by_pod updates_a_limit limits_cpu ends_with_its_code stops_by_term stops_by_kill missing_program \
                   privileged shared_pids host_network one_shim_for_a_pod survives_containerd survives_its_shim stops_the_pod nothing_is_left";

/// Whether this is a machine with clients, and with systemd or without.
fn able(name: &str, systemd: bool) -> bool {
    let told = std::fs::read_to_string("/proc/cmdline").unwrap();
    let layout = told.split_whitespace().find_map(|word| word.strip_prefix("vm.cg="));
    let fits = layout.is_some_and(|layout| layout.starts_with("systemd") == systemd);
    if fits && Path::new("/usr/bin/podman").exists() {
        return true;
    }
    let layout = if systemd { "systemd" } else { "v2" };
    skip(
        name,
        &format!(
            "no test machine with clients (cargo xtask test --vm --cg {layout} libcontainer-tests/clients)"
        ),
    );
    false
}

/// Has a script run `cases` with a program of ours.
fn script(client: &str, program: &str, driver: &str, cases: &str) {
    let programs = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(client);
    let mut command = Command::new("/bin/bash");
    command.arg(script).arg(programs.join(program)).stdin(Stdio::null());
    // It has the client of the CRI too.
    command.env("CRI", programs.join("cri"));
    command.env("CLIENTS_DRIVER", driver).env("WORLD_LIMIT", "1500").env("CALL_LIMIT", "300");
    let output = command.env("CLIENTS_ONLY", cases).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    let last = text.lines().last().unwrap_or_default();
    let ended = format!(": {} ok, 0 failed, 0 skipped", cases.split_whitespace().count());
    assert!(last.ends_with(&ended), "{text}");
}

#[test]
fn podman_with_systemds_driver() {
    if able("podman_with_systemds_driver", true) {
        script("podman.sh", "nsinit", "systemd", PODMAN);
    }
}

#[test]
fn docker_with_systemds_driver() {
    if able("docker_with_systemds_driver", true) {
        script("docker.sh", "nsinit", "systemd", DOCKER);
    }
}

/// ctr tells it to the shim for runc alone.
#[test]
fn containerd_with_systemds_driver() {
    if able("containerd_with_systemds_driver", true) {
        script("containerd.sh", "nsinit", "systemd", CONTAINERD);
    }
}

/// By the shim for runc.
#[test]
fn cri_with_systemds_driver() {
    if able("cri_with_systemds_driver", true) {
        script("cri.sh", "nsinit", "systemd", CRI);
    }
}

#[test]
fn cri_with_systemds_driver_and_our_shim() {
    if able("cri_with_systemds_driver_and_our_shim", true) {
        // The shim for runc waits for what an exec has left.
        let cases = format!("{CRI} exec_leaves_a_child");
        script("cri.sh", "containerd-shim-nsinit-v2", "systemd", &cases);
    }
}

#[test]
fn containerd_with_nsinit() {
    if able("containerd_with_nsinit", false) {
        script("containerd.sh", "nsinit", "cgroupfs", CONTAINERD);
    }
}

#[test]
fn containerd_with_our_shim() {
    if able("containerd_with_our_shim", false) {
        // runc's shim leaves a group behind when it is killed.
        let cases = format!("{CONTAINERD} killed_at_any_time");
        script("containerd.sh", "containerd-shim-nsinit-v2", "cgroupfs", &cases);
    }
}
