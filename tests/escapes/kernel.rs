//! Terminals and keys (class 7).

use libcontainer::{Factory, ProcessConfig, Seccomp};
use libcontainer_tests::skip;

use crate::{Attack, caller, joined};

/// bubblewrap CVE-2017-5226, LXC CVE-2016-10124, snap CVE-2019-7303: the caller's terminal is handed in as standard input. It is not
/// the program's own: nothing can be typed into it from inside, by the plain number of the call or by one with high bits.
#[test]
fn nothing_is_typed_into_the_callers_terminal() {
    let Some(mut attack) = Attack::new("tiocsti") else { return };
    attack.arm();
    let script = "inside push; inside push-high; (: < /dev/tty) 2>/dev/null && echo OWN; echo end";
    let found = caller(&attack, "terminal", &["sh", "-c", script]);
    let (plain, high, rest) = three(&found);
    for one in [plain, high] {
        assert!(["error 1", "error 5", "error 25"].contains(&one), "EPERM, EIO or ENOTTY: {found}");
    }
    assert_eq!(rest, "end", "{found}");
}

fn three(text: &str) -> (&str, &str, &str) {
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default().trim_end();
    (next(), next(), next())
}

/// A terminal that was asked for is the container's own, in a session of its own.
#[test]
fn a_terminal_is_of_a_session_of_its_own() {
    let Some(mut attack) = Attack::new("session") else { return };
    attack.arm();
    let script = "exec > /tmp/seen; readlink /proc/self/fd/0; cut -d ' ' -f 6 /proc/self/stat; \
        for n in 0 1 2; do stat -L -c %t /proc/self/fd/$n; done";
    attack.applets(&["cut"]);
    let process = ProcessConfig { terminal: true, ..ProcessConfig::new(["sh", "-c", script]) };
    let (container, mut process) =
        Factory::new().unwrap().run(attack.place.join("c"), &attack.config, process).unwrap();
    assert!(process.wait().unwrap().success());
    container.destroy().unwrap();
    let seen = std::fs::read_to_string(attack.rootfs("tmp/seen")).unwrap();
    assert!(seen.starts_with("/dev/pts/0\n1\n88\n"), "{seen}");
}

/// The caller has a key in its session keyring. That of the program is a new one, of the first process and of one that joins, and another
/// user than the key's finds no trace of it.
#[test]
fn keys_of_the_host_stay_outside() {
    let Some(mut attack) = Attack::new("keys") else { return };
    attack.arm();
    // No bytes: no keys. Without keyrings there is no such call, and no caller has any.
    let empty = |found: &str| ["ok 0\n", "error 38\n"].contains(&found);
    if attack.run("inside keys").unwrap() == "error 38\n" {
        return skip("keys_of_the_host_stay_outside", "no keyrings");
    }
    let found = caller(&attack, "keys", &["inside", "keys"]);
    assert!(empty(&found), "{found}");
    let container = attack.create();
    let found = joined(&container, ProcessConfig::new(["inside", "keys"]));
    container.destroy().unwrap();
    assert!(empty(&found), "{found}");
    attack.config.user = "4242:4242".into();
    let found = caller(&attack, "keys", &["cat", "/proc/keys"]);
    assert!(!found.contains("lct-"), "{found}");
    let sessions: Vec<_> = found.lines().filter(|line| line.contains("_ses")).collect();
    assert!(sessions.len() <= 1 && sessions.iter().all(|line| line.contains("_ses.c: empty")), "{found}");
}

/// CVE-2026-31431 and other obscure parts of the kernel: by default a program reaches none of them.
#[test]
fn obscure_calls_are_refused() {
    let Some(mut attack) = Attack::new("obscure") else { return };
    attack.arm();
    let families =
        [("AF_ALG", 38), ("AF_VSOCK", 40)].map(|(name, number)| (name, format!("socket {number}")));
    let calls = [
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("bpf", libc::SYS_bpf),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("keyctl", libc::SYS_keyctl),
        ("add_key", libc::SYS_add_key),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("kexec_load", libc::SYS_kexec_load),
        ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ];
    let calls = calls.map(|(name, number)| (name, format!("call {number}")));
    attack.config.seccomp = Seccomp::default();
    attack.config.capabilities.extend(["NET_ADMIN", "SYS_PTRACE"].map(str::to_owned));
    for (name, call) in families.into_iter().chain(calls) {
        let found = attack.run(&format!("inside {call}")).unwrap();
        // EPERM, ENOSYS, EAFNOSUPPORT.
        assert!(["error 1\n", "error 38\n", "error 97\n"].contains(&found.as_str()), "{name}: {found}");
    }
}
