//! Programs of a user whose calls are left to an agent: the first process is one, and nobody joins it without the agent.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use libcontainer::Seccomp;
use libcontainer::security::seccomp::notify::{Event, Listener, receive_listener};
use libcontainer::security::seccomp::{Action, Profile, Rule};

use super::Ordinary;

/// A user's container whose programs leave mkdir(2) to the agent at that path.
fn notifying(agent: &Path, ordinary: &mut Ordinary) {
    let mut profile = Profile::new(Action::Allow);
    profile.syscalls = vec![Rule::new(&["mkdir", "mkdirat"], Action::Notify)];
    profile.listener_path = Some(agent.to_owned());
    ordinary.config.seccomp = Seccomp::Profile(Box::new(profile));
    ordinary.user_namespace(&[(0, i64::from(super::USER), 1)]);
}

/// The init of a join is of the host's user namespace and not dumpable: its descriptors are closed to the user, and so the start fails instead of
/// a program running whose calls nobody answers.
#[test]
fn nobody_joins_what_an_agent_answers_for() {
    let Some(mut ordinary) = Ordinary::new("notify-join") else { return };
    let agent = ordinary.place.join("agent");
    notifying(&agent, &mut ordinary);
    let socket = UnixListener::bind(&agent).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o777)).unwrap();
    let first = std::thread::spawn(move || -> (Listener, UnixListener) {
        let (listener, _) = receive_listener(&socket.accept().unwrap().0).unwrap();
        (listener, socket)
    });
    let state = ordinary.state();
    let mut run = ordinary.command(ordinary.place.join("nsinit").to_str().unwrap(), &["--root", "state"]);
    // The container's program has them too.
    run.args(["run", "--detach", "web", "sleep", "1000"]).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(run.status().unwrap().success());
    let (listener, socket) = first.join().unwrap();
    let mark = ordinary.config.rootfs.join("tmp/mark");
    for _ in 0..3 {
        let (code, text) = ordinary.nsinit(&state, &["exec", "web", "touch", "/tmp/mark"]);
        assert!(code.is_some_and(|code| code != 0), "{text}");
        assert!(text.lines().count() == 1 && text.contains("give the seccomp listener to"), "{text}");
        assert!(text.contains("only root joins a container whose filter has an agent): EACCES"), "{text}");
    }
    assert!(!mark.exists(), "the program ran");
    socket.set_nonblocking(true).unwrap();
    assert!(socket.accept().is_err(), "the agent got something");
    // The first process goes on, with its agent; nobody else is there.
    let (_, processes) = ordinary.nsinit(&state, &["ps", "web"]);
    assert_eq!(processes.lines().count(), 2, "{processes}");
    let deleted = ordinary.nsinit(&state, &["delete", "--force", "web"]);
    assert_eq!(deleted, (Some(0), String::new()));
    assert!(matches!(listener.receive(Some(std::time::Duration::from_secs(20))), Ok(Event::Ended)));
}
