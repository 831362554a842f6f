//! Terminals and keys (class 7).

use libcontainer::{Factory, ProcessConfig};
use libcontainer_tests::text;

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

/// The session keyring that the program possesses is new, for the first process and for one that joins.
#[test]
fn the_session_keyring_is_empty() {
    let Some(mut attack) = Attack::new("session-keys") else { return };
    attack.arm();
    // No bytes: no keys. Without keyrings there is no such call.
    let empty = |found: &str| ["ok 0\n", "error 38\n"].contains(&found);
    let found = attack.run("inside keys").unwrap();
    assert!(empty(&found), "{found}");
    let container = attack.create();
    let found = joined(&container, ProcessConfig::new(["inside", "keys"]));
    container.destroy().unwrap();
    assert!(empty(&found), "{found}");
}

/// The session keyring is a new one: all that a user without keys of its own can see is what it possesses.
#[test]
fn keys_of_the_host_stay_outside() {
    let Some(mut attack) = Attack::new("keys") else { return };
    attack.config.user = "4242:4242".into();
    let seen = attack.run("cat /proc/keys").unwrap();
    let sessions: Vec<_> = seen.lines().filter(|line| line.contains("_ses")).collect();
    assert!(sessions.len() <= 1 && sessions.iter().all(|line| line.contains("_ses.c: empty")), "{seen}");
    let container = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap();
    let process = container.start(ProcessConfig::new(["cat", "/proc/keys"]).piped()).unwrap();
    let seen = text(&process.output(1 << 20).unwrap());
    container.destroy().unwrap();
    let sessions: Vec<_> = seen.lines().filter(|line| line.contains("_ses")).collect();
    assert!(sessions.len() <= 1 && sessions.iter().all(|line| line.contains("_ses.join: empty")), "{seen}");
}
