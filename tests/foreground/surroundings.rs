//! What a command finds around it, and has not made: limits, signals, another's `/proc`.

use std::fs;
use std::process::{Command, Output, Stdio};

use libcontainer_tests::operator::Operator;
use libcontainer_tests::skip;

/// Runs a script of the shell in whose words `nsinit` is a command of the operator's.
fn shell(operator: &Operator, before: &[&str], script: &str) -> Output {
    let script = script.replace("nsinit", &format!("{} --root state", operator.program.display()));
    let mut words = [before, &["sh", "-c", &script]].concat().into_iter();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).current_dir(operator.place.path()).stdin(Stdio::null());
    command.output().unwrap()
}

fn nothing_is_left(operator: &Operator) {
    operator.check(&["delete", "--force", "web"], 0, "");
    let left = fs::read_dir(operator.place.join("state")).map_or(0, Iterator::count);
    assert_eq!((left, operator.inside().len()), (0, 0));
}

/// Then the kernel reaps children by itself: those that help with a mount are waited for like all others.
#[test]
fn a_caller_that_ignores_sigchld() {
    let Some(mut operator) = Operator::new("ignores-sigchld") else { return };
    fs::create_dir(operator.place.join("source")).unwrap();
    fs::create_dir_all(operator.config.rootfs.join("mapped")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&operator.config.to_json().unwrap()).unwrap();
    config["mount_config"]["mounts"] = serde_json::json!([{
        "type": "bind", "source": operator.place.join("source"), "destination": "/mapped",
        "uid_mappings": [{"container_id": 0, "host_id": 1000, "size": 10}],
        "gid_mappings": [{"container_id": 0, "host_id": 1000, "size": 10}],
    }]);
    operator.config = serde_json::from_value(config).unwrap();
    operator.write();
    // Not by trap: a shell gives it back to what it executes.
    let found = shell(&operator, &[], "exec env --ignore-signal=CHLD nsinit run web sh -c 'exit 3'");
    assert_eq!(found.status.code(), Some(3), "{}", String::from_utf8_lossy(&found.stderr));
    nothing_is_left(&operator);
}

/// There the number of a child is another process's, or nobody's.
#[test]
fn proc_is_that_of_another_pid_namespace() {
    let Some(operator) = Operator::new("foreign-proc") else { return };
    operator.check(&["run", "--detach", "web"], 0, "");
    for command in ["run other true", "create other", "exec web true", "kill web KILL", "delete --force web"]
    {
        let found = shell(&operator, &["unshare", "--pid", "--fork"], &format!("nsinit {command}"));
        let text = String::from_utf8_lossy(&found.stderr);
        let wanted = "/proc is that of another pid namespace";
        assert!(!found.status.success() && text.contains(wanted), "{command}: {text}");
    }
    operator.check(&["state", "web"], 0, "\"running\"");
    nothing_is_left(&operator);
}

/// A flag that nobody can take off, as of a service that is to gain no rights by exec: its containers have it too.
#[test]
fn a_caller_that_may_gain_no_rights() {
    let Some(mut operator) = Operator::new("no-new-privs") else { return };
    for seccomp in ["unconfined", "default"] {
        let mut config: serde_json::Value =
            serde_json::from_str(&operator.config.to_json().unwrap()).unwrap();
        (config["no_new_privileges"], config["seccomp"]) = (false.into(), seccomp.into());
        operator.config = serde_json::from_value(config).unwrap();
        operator.write();
        operator.check(&["run", "--detach", "web"], 0, "");
        for command in ["run other", "exec web"] {
            let script = format!("nsinit {command} grep NoNewPrivs /proc/self/status");
            let found = shell(&operator, &["setpriv", "--no-new-privs"], &script);
            let text = String::from_utf8_lossy(&found.stdout) + String::from_utf8_lossy(&found.stderr);
            assert_eq!(text, "NoNewPrivs:\t1\n", "{seccomp}: {command}");
        }
        nothing_is_left(&operator);
    }
}

/// Of a service with such bits. With these root has no rights by being root; others let rights outlive a change of the user.
#[test]
fn a_caller_with_securebits_of_its_own() {
    let Some(mut operator) = Operator::new("own-securebits") else { return };
    operator.config.capabilities = vec!["KILL".to_owned()];
    operator.write();
    operator.check(&["run", "--detach", "web"], 0, "");
    let kept = "+chown,+dac_override,+dac_read_search,+fowner,+kill,+setgid,+setuid,+setpcap,+net_admin,+sys_chroot,+sys_ptrace,+sys_admin,+mknod,+sys_nice";
    let before =
        ["setpriv", "--inh-caps", kept, "--ambient-caps", kept, "--securebits", "+noroot,+no_setuid_fixup"];
    for command in ["run other", "exec web"] {
        let found = shell(&operator, &before, &format!("nsinit {command} grep CapEff /proc/self/status"));
        let text = String::from_utf8_lossy(&found.stdout) + String::from_utf8_lossy(&found.stderr);
        assert_eq!(text, "CapEff:\t0000000000000020\n", "{command}");
    }
    nothing_is_left(&operator);
}

/// A group of version 1 has no time for such processes, where the kernel divides theirs.
#[test]
fn a_caller_with_a_real_time_policy() {
    let Some(mut operator) = Operator::new("real-time") else { return };
    operator.config.cgroups = Some(operator.place.cgroup());
    operator.write();
    let found = shell(&operator, &["chrt", "--fifo", "5"], "nsinit run web true");
    let text = String::from_utf8_lossy(&found.stderr);
    if found.status.success() {
        skip("a_caller_with_a_real_time_policy", "this kernel lets them into any group");
    } else {
        assert!(text.contains("EINVAL") && text.contains("a real-time policy, as chrt(1) sets it"), "{text}");
    }
    nothing_is_left(&operator);
}

/// The init and its plan are files too, though in memory.
#[test]
fn the_limit_of_the_size_of_files_is_named() {
    let Some(operator) = Operator::new("small-files") else { return };
    let found = shell(&operator, &[], "ulimit -f 32; nsinit run web true");
    let text = String::from_utf8_lossy(&found.stderr);
    assert_eq!(found.status.code(), Some(1), "{text}");
    assert!(text.contains("EFBIG") && text.contains("RLIMIT_FSIZE, ulimit -f"), "{text}");
    nothing_is_left(&operator);
}

/// Whatever the call for which no descriptor was left, the error says what it was for.
#[test]
fn each_error_of_too_few_descriptors_names_its_call() {
    let Some(operator) = Operator::new("few-descriptors") else { return };
    for limit in 3..40 {
        let found = shell(&operator, &[], &format!("ulimit -n {limit}; exec nsinit run web true"));
        let text = String::from_utf8_lossy(&found.stderr);
        assert!(found.status.success() || text.contains("EMFILE"), "{limit}: {text}");
        assert!(!text.contains("\"web\": EMFILE"), "{limit}: {text}");
    }
    nothing_is_left(&operator);
}
