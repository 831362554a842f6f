//! Programs of a user whose calls are left to an agent: the first process, who joins it, and hooks that do; none runs without.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::Duration;

use libcontainer::plan::{Fault, Lane};
use libcontainer::security::seccomp::notify::{Answer, Event, Listener, ProcessState, receive_listener};
use libcontainer::security::seccomp::{Action, Profile, Rule};
use libcontainer::{Config, Factory, Hook, Hooks, ProcessConfig, Seccomp};
use libcontainer_tests::copy_program;

use super::{Ordinary, told};

const PATIENCE: Duration = Duration::from_secs(20);
/// Makes a directory that the agent does not make. It has the standard descriptors alone, and what `ls` lists.
const SCRIPT: &str = "mkdir /tmp/made && test ! -e /tmp/made && test $(ls /proc/self/fd | wc -l) = 4 && \
                      grep ^Seccomp: /proc/self/status >>/tmp/mark";

/// A user's container whose programs leave mkdir(2) to the agent at that path, and end by what the init does under their filter.
fn notifying(ordinary: &mut Ordinary, agent: &Path) -> UnixListener {
    let mut profile = Profile::new(Action::Allow);
    profile.syscalls =
        vec![Rule::new(&["mkdir", "mkdirat"], Action::Notify), Rule::new(&["sendmsg"], Action::KillProcess)];
    profile.listener_path = Some(agent.to_owned());
    ordinary.config.seccomp = Seccomp::Profile(Box::new(profile));
    ordinary.user_namespace(&[(0, i64::from(super::USER), 1)]);
    let socket = UnixListener::bind(agent).unwrap();
    fs::set_permissions(agent, fs::Permissions::from_mode(0o777)).unwrap();
    socket
}

/// Takes one listener after the other; says success to each call of theirs.
fn serve(socket: UnixListener, programs: usize) -> JoinHandle<Vec<(ProcessState, usize)>> {
    let answer = |listener: Listener| -> usize {
        let mut calls = 0;
        while let Event::Call(call) = listener.receive(Some(PATIENCE)).unwrap() {
            listener.respond(call.id, Answer::Value(0)).unwrap();
            calls += 1;
        }
        calls
    };
    std::thread::spawn(move || {
        let served = (0..programs).map(|_| {
            let (listener, text) = receive_listener(&socket.accept().unwrap().0).unwrap();
            let state = serde_json::from_slice(&text).unwrap();
            (state, std::thread::spawn(move || answer(listener)))
        });
        let served: Vec<_> = served.collect();
        served.into_iter().map(|(state, calls)| (state, calls.join().unwrap())).collect()
    })
}

/// The container's program has the streams too.
fn run(ordinary: &Ordinary, args: &[&str]) -> bool {
    let mut run = ordinary.command(ordinary.place.join("nsinit").to_str().unwrap(), &["--root", "state"]);
    run.args(["run", "--detach", "web"]).args(args).stdout(Stdio::null()).stderr(Stdio::null());
    run.status().unwrap().success()
}

/// What the programs have written that were to run.
fn marked(ordinary: &Ordinary) -> String {
    fs::read_to_string(ordinary.config.rootfs.join("tmp/mark")).unwrap()
}

#[test]
fn an_agent_answers_for_who_joins() {
    let Some(mut ordinary) = Ordinary::new("notify-join") else { return };
    let agent = ordinary.place.join("agent");
    let socket = notifying(&mut ordinary, &agent);
    let served = serve(socket, 4);
    let state = ordinary.state();
    assert!(run(&ordinary, &["sleep", "1000"]));
    for _ in 0..3 {
        assert_eq!(ordinary.nsinit(&state, &["exec", "web", "sh", "-c", SCRIPT]), (Some(0), String::new()));
    }
    assert_eq!(ordinary.nsinit(&state, &["delete", "--force", "web"]), (Some(0), String::new()));
    let served = served.join().unwrap();
    let first = served[0].0.pid;
    let told: Vec<_> = served.iter().map(|(told, calls)| (told.state.status.as_str(), *calls)).collect();
    assert_eq!(told, [("creating", 0), ("running", 1), ("running", 1), ("running", 1)]);
    assert!(served[1..].iter().all(|(told, _)| told.state.pid == first && told.pid != first));
    assert_eq!(marked(&ordinary), "Seccomp:\t2\n".repeat(3));
}

#[test]
fn an_agent_answers_for_hooks_inside() {
    let Some(mut ordinary) = Ordinary::new("notify-hook") else { return };
    let agent = ordinary.place.join("agent");
    let args = ["sh", "-c", SCRIPT].map(str::to_owned).to_vec();
    let hook = Hook { path: "/bin/sh".into(), args, timeout: Some(20), ..Hook::default() };
    ordinary.config.hooks = Hooks { start_container: vec![hook.clone(), hook], ..Hooks::default() };
    let served = serve(notifying(&mut ordinary, &agent), 3);
    assert!(run(&ordinary, &["sleep", "1000"]));
    assert_eq!(ordinary.nsinit(&ordinary.state(), &["delete", "--force", "web"]), (Some(0), String::new()));
    let calls: Vec<_> = served.join().unwrap().iter().map(|(_, calls)| *calls).collect();
    assert_eq!(calls.iter().sum::<usize>(), 2, "{calls:?}");
    assert_eq!(marked(&ordinary), "Seccomp:\t2\n".repeat(2));
}

/// The start fails instead of a program running whose calls nobody answers.
#[test]
fn nobody_joins_without_the_agent() {
    let Some(mut ordinary) = Ordinary::new("notify-none") else { return };
    let agent = ordinary.place.join("agent");
    let served = serve(notifying(&mut ordinary, &agent), 1);
    let state = ordinary.state();
    assert!(run(&ordinary, &["sleep", "1000"]));
    let mark = ordinary.config.rootfs.join("tmp/mark");
    // The socket is closed once the first has been served, which is when it ends: the backlog takes those that connect.
    fs::remove_file(&agent).unwrap();
    let gone = UnixListener::bind(&agent).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o777)).unwrap();
    drop(gone);
    for _ in 0..3 {
        let (code, text) = ordinary.nsinit(&state, &["exec", "web", "touch", "/tmp/mark"]);
        assert!(code.is_some_and(|code| code != 0), "{text}");
        assert!(text.lines().count() == 1 && text.contains("give the seccomp listener to"), "{text}");
        assert!(text.contains("ECONNREFUSED"), "{text}");
    }
    assert!(!mark.exists(), "the program ran");
    // The first process goes on, with its agent; nobody else is there.
    let (_, processes) = ordinary.nsinit(&state, &["ps", "web"]);
    assert_eq!(processes.lines().count(), 2, "{processes}");
    assert_eq!(ordinary.nsinit(&state, &["delete", "--force", "web"]), (Some(0), String::new()));
    assert_eq!(served.join().unwrap().len(), 1);
}

/// Set for the user's process in which the faults occur: where everything lies.
const INNER: &str = "LIBCONTAINER_NOTIFY_FAULTS";

/// What the init does to send its listener, failing and left out, and what the host does: none ends with a program that runs without an agent.
#[test]
fn each_fault_of_what_is_sent_fails_closed() {
    if let Some(place) = std::env::var_os(INNER) {
        return each_fault(Path::new(&place));
    }
    let Some(mut ordinary) = Ordinary::new("notify-faults") else { return };
    let agent = ordinary.place.join("agent");
    let served = serve(notifying(&mut ordinary, &agent), 2);
    let tests = ordinary.place.join("tests");
    copy_program(&std::env::current_exe().unwrap(), &tests).unwrap();
    let name = "notify::each_fault_of_what_is_sent_fails_closed";
    let mut inner = ordinary.command(tests.to_str().unwrap(), &["--exact", name, "--nocapture"]);
    let (code, text) = told(inner.env(INNER, ordinary.place.path()));
    assert!(code == Some(0) && text.contains("test result: ok. 1 passed"), "{text}");
    assert_eq!(served.join().unwrap().iter().map(|(_, calls)| calls).sum::<usize>(), 1);
    assert_eq!(marked(&ordinary), "Seccomp:\t2\n");
}

fn each_fault(place: &Path) {
    let (config, _) = Config::from_json(&fs::read(place.join("container.json")).unwrap()).unwrap();
    let dir = place.join("faulty");
    let (container, _first) =
        Factory::new().unwrap().run(&dir, &config, ProcessConfig::new(["sleep", "1000"])).unwrap();
    let process = || ProcessConfig::new(["sh", "-c", SCRIPT]);
    let start = |lane, step, errno| {
        let factory = Factory::new().unwrap().inject(Fault { lane, step, errno });
        factory.load(&dir).unwrap().start(process()).map(drop).map_err(|error| error.to_string())
    };
    let plan = container.explain(&process()).unwrap();
    let child = |text: &str| plan.steps(Lane::Child).position(|step| step.call.contains(text)).expect(text);
    // The plan that is shown has not all that the host does.
    let host = |text: &str| {
        let named = |step| start(Lane::Host, step, libc::EIO).is_err_and(|error| error.contains(text));
        (0..9).find(|step| named(*step)).expect(text)
    };
    for (lane, index) in [
        (Lane::Child, child("<filter>), send its listener")),
        (Lane::Child, child("prctl(KNOCK, <secret>")),
        (Lane::Host, host(": take from init: seccomp listener")),
        (Lane::Host, host(": give the seccomp listener to")),
    ] {
        for errno in [libc::EINVAL, libc::EPERM, 0] {
            assert!(start(lane, index, errno).is_err(), "{lane:?} {index} {errno}: it runs");
        }
    }
    let ended = container.start(process()).unwrap().wait().unwrap();
    assert!(ended.success(), "{ended}");
    container.destroy().unwrap();
}
