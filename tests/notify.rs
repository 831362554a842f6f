//! The listener of a filter that notifies: given to the profile's agent before the program runs, or there is no program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use libcontainer::security::seccomp::notify::{
    Answer, Event, Listener, Memory, ProcessState, receive_listener,
};
use libcontainer::security::seccomp::{Action, Profile, Rule};
use libcontainer::{Config, Factory, ProcessConfig, RunState, Seccomp};
use libcontainer_tests::{Place, able, config, text};

const PATIENCE: Duration = Duration::from_secs(20);
const SCRIPT: &str = "mkdir /tmp/made && echo made; grep ^Seccomp: /proc/self/status";

/// A config whose programs leave mkdir(2) to the agent at `path`.
fn notifying(place: &Place, path: &Path) -> Config {
    let mut profile = Profile::new(Action::Allow);
    profile.syscalls = vec![Rule::new(&["mkdir", "mkdirat"], Action::Notify)];
    profile.listener_path = Some(path.to_owned());
    profile.listener_metadata = Some("who".to_owned());
    let root = place.join("rootfs");
    let root = if root.exists() { root } else { place.rootfs().unwrap() };
    let mut config = config(&root);
    config.seccomp = Seccomp::Profile(Box::new(profile));
    config
}

/// What an agent was told, and the paths that it was asked for.
type Told = (ProcessState, Vec<String>);

/// Answers one program's calls with success, and makes nothing.
fn serve(connection: &UnixStream) -> Told {
    let (listener, text) = receive_listener(connection).unwrap();
    let state = serde_json::from_slice(&text).unwrap();
    (state, answered(&listener))
}

fn answered(listener: &Listener) -> Vec<String> {
    let mut paths = Vec::new();
    loop {
        match listener.receive(Some(PATIENCE)).unwrap() {
            Event::Call(call) => {
                let memory = Memory::open(listener, &call).unwrap().unwrap();
                let args = call.data.args.iter().take(2);
                let path = args.filter_map(|at| memory.text(*at, 4096)).find(|text| text.starts_with(b"/"));
                paths.push(String::from_utf8(path.unwrap_or_default()).unwrap());
                listener.respond(call.id, Answer::Value(0)).unwrap();
            }
            Event::Ended => return paths,
            Event::TimedOut => panic!("nothing came"),
        }
    }
}

/// An agent for that many programs.
fn agent(path: &Path, programs: usize) -> JoinHandle<Vec<Told>> {
    let socket = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || (0..programs).map(|_| serve(&socket.accept().unwrap().0)).collect())
}

fn shell() -> ProcessConfig {
    ProcessConfig::new(["sh", "-c", SCRIPT]).piped()
}

/// Each way to a program: run, create and start, join, and one handed to a container that stands by.
#[test]
fn an_agent_answers_for_the_kernel() {
    if !able("an_agent_answers_for_the_kernel") {
        return;
    }
    let place = Place::new("notify");
    let path = place.join("agent");
    let agent = agent(&path, 4);
    let config = notifying(&place, &path);
    let factory = Factory::new().unwrap();
    let wanted = "made\nSeccomp:\t2\n";
    let mut pids = Vec::new();

    let (container, process) = factory.run(place.join("run"), &config, shell()).unwrap();
    pids.push(process.pid().as_raw());
    assert_eq!(text(&process.output(1 << 20).unwrap()), wanted);
    container.destroy().unwrap();

    let (container, process) = factory.create_with(place.join("waits"), &config, shell()).unwrap();
    pids.push(process.pid().as_raw());
    container.run().unwrap();
    assert_eq!(text(&process.output(1 << 20).unwrap()), wanted);
    container.destroy().unwrap();

    let container = factory.create(place.join("joined"), &config).unwrap();
    let process = container.start(shell()).unwrap();
    pids.push(process.pid().as_raw());
    assert_eq!(text(&process.output(1 << 20).unwrap()), wanted);
    container.destroy().unwrap();

    std::fs::create_dir(place.join("t")).unwrap();
    let template = factory.template(place.join("t"), &config).unwrap();
    template.keep_ready(1).unwrap();
    assert!(template.settle(PATIENCE), "{:?}", template.stats());
    let (container, process) = template.start(shell()).unwrap();
    pids.push(process.pid().as_raw());
    assert_eq!(text(&process.output(1 << 20).unwrap()), wanted);
    assert_eq!(template.stats().handed_over, 1);
    container.destroy().unwrap();

    let told = agent.join().unwrap();
    let states = ["creating", "created", "running", "creating"];
    for (((state, paths), pid), status) in told.iter().zip(&pids).zip(states) {
        assert_eq!((state.pid, state.state.status.as_str()), (*pid, status));
        assert_eq!(
            (state.metadata.as_deref(), state.fds.as_slice()),
            (Some("who"), &["seccompFd".to_owned()][..])
        );
        assert!(state.state.bundle.starts_with(place.path()) && state.state.pid > 0, "{state:?}");
        assert_eq!(paths.as_slice(), ["/tmp/made"]);
    }
    assert_eq!(told.len(), pids.len());
}

/// What is seen of descriptors when there are others, one of them a listener itself.
#[test]
fn another_listener_among_the_descriptors_is_not_mistaken() {
    if !able("another_listener_among_the_descriptors_is_not_mistaken") {
        return;
    }
    let place = Place::new("notify-two");
    let path = place.join("agent");
    let agent = agent(&path, 2);
    let config = notifying(&place, &path);
    let factory = Factory::new().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    // A listener of this test's own, of a thread that lives on.
    let thread = std::thread::spawn(move || {
        use libcontainer::security::seccomp::{Arch, Options, compile, notify};
        let mut profile = Profile::new(Action::Allow);
        profile.syscalls = vec![Rule::new(&["rmdir"], Action::Notify)];
        let options = Options { listener: true, ..Options::new(Arch::native().unwrap()) };
        libcontainer::security::thread::set_no_new_privs().unwrap();
        sender.send(notify::load(&compile(&profile, &options).unwrap()).unwrap().unwrap()).unwrap();
        let _ = ended.recv();
    });
    let other = receiver.recv().unwrap();
    let given = || std::os::fd::AsFd::as_fd(&other).try_clone_to_owned().unwrap();
    let process = ProcessConfig { preserved: vec![given(), given()], ..shell() };
    let (container, process) = factory.run(place.join("run"), &config, process).unwrap();
    assert!(text(&process.output(1 << 20).unwrap()).starts_with("made\n"));
    container.destroy().unwrap();
    let process = ProcessConfig { preserved: vec![given()], ..shell() };
    let (container, process) = factory.create_with(place.join("waits"), &config, process).unwrap();
    container.run().unwrap();
    assert!(text(&process.output(1 << 20).unwrap()).starts_with("made\n"));
    container.destroy().unwrap();
    drop(end);
    thread.join().unwrap();
    assert_eq!(agent.join().unwrap().len(), 2);
}

/// How an agent can be of no use, and the word for it in the error.
fn useless(place: &Place) -> Vec<(PathBuf, &'static str)> {
    let (gone, deaf, file, rude) =
        (place.join("gone"), place.join("deaf"), place.join("file"), place.join("rude"));
    drop(UnixListener::bind(&gone).unwrap());
    std::fs::write(&file, "").unwrap();
    // Bound and never accepted from: the kernel queues the connection.
    std::mem::forget(UnixListener::bind(&deaf).unwrap());
    let socket = UnixListener::bind(&rude).unwrap();
    std::thread::spawn(move || {
        while let Ok((connection, _)) = socket.accept() {
            drop(connection);
        }
    });
    let missing = place.join("missing");
    vec![
        (missing, "ENOENT"),
        (file, "is no socket"),
        (gone, "ECONNREFUSED"),
        (rude, "seccomp listener"),
        (deaf, "ETIMEDOUT"),
    ]
}

/// Without somebody who answers there is no program, and nothing stays.
#[test]
fn no_agent_no_program() {
    if !able("no_agent_no_program") {
        return;
    }
    let place = Place::new("notify-none");
    let factory = Factory::new().unwrap();
    let mark = place.join("rootfs/mark");
    for (agent, wanted) in useless(&place) {
        let config = notifying(&place, &agent);
        let process = || ProcessConfig::new(["touch", "/mark"]);
        let path = place.join("c");
        let error = factory.run(&path, &config, process()).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains(agent.to_str().unwrap()), "{error}");
        assert!(!path.exists());
        if wanted == "is no socket" || wanted == "ENOENT" {
            assert!(error.contains("/seccomp/listenerPath"), "{error}");
            continue;
        }
        if wanted == "ETIMEDOUT" {
            // Once is long enough.
            continue;
        }
        let (container, _process) = factory.create_with(&path, &config, process()).unwrap();
        let error = container.run().unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert_eq!(container.run_state().unwrap(), RunState::Stopped);
        container.destroy().unwrap();
        let container = factory.create(&path, &config).unwrap();
        let error = container.start(process()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert_eq!(container.run_state().unwrap(), RunState::Running);
        container.destroy().unwrap();
    }
    assert!(!mark.exists(), "the program ran");
}

/// An agent that goes while the container waits for its start.
#[test]
fn an_agent_that_is_gone_by_the_start_stops_it() {
    if !able("an_agent_that_is_gone_by_the_start_stops_it") {
        return;
    }
    let place = Place::new("notify-late");
    let path = place.join("agent");
    let socket = UnixListener::bind(&path).unwrap();
    let config = notifying(&place, &path);
    let (container, _process) =
        Factory::new().unwrap().create_with(place.join("c"), &config, shell()).unwrap();
    drop(socket);
    std::fs::remove_file(&path).unwrap();
    let error = container.run().unwrap_err().to_string();
    assert!(error.contains("give the seccomp listener to") && error.contains("ENOENT"), "{error}");
    assert_eq!(container.run_state().unwrap(), RunState::Stopped);
    container.destroy().unwrap();
}

/// Both calls of the init, failing and left out, and the host's: none ends with a program that runs without an agent.
#[test]
fn each_fault_fails_closed() {
    use libcontainer::plan::{Fault, Lane};
    if !able("each_fault_fails_closed") {
        return;
    }
    let place = Place::new("notify-faults");
    let path = place.join("agent");
    let socket = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        while let Ok((connection, _)) = socket.accept() {
            if let Ok((listener, _)) = receive_listener(&connection) {
                std::thread::spawn(move || answered(&listener));
            }
        }
    });
    let config = notifying(&place, &path);
    let factory = Factory::new().unwrap();
    let process = || ProcessConfig::new(["sleep", "1000"]);
    let plan = factory.template(place.path(), &config).unwrap().explain("c", Some(&process())).unwrap();
    let step = |lane: Lane, text: &str| {
        let index = plan.steps(lane).position(|step| step.call.contains(text)).expect(text);
        (lane, index)
    };
    let steps = [
        step(Lane::Child, "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER"),
        step(Lane::Child, "prctl(KNOCK, <secret>"),
        step(Lane::Host, "give the seccomp listener to"),
    ];
    assert_eq!(steps[0].1 + 1, steps[1].1);
    for (lane, index) in steps {
        for errno in [libc::EINVAL, libc::EPERM, 0] {
            let fault = Fault { lane, step: index, errno };
            let container = place.join("c");
            let result = factory.clone().inject(fault).run(&container, &config, process());
            let error = match result {
                Err(error) => error.to_string(),
                // The host forgets to take the listener: the init waits for it.
                Ok(_) => panic!("{lane:?} {index} {errno}: it runs"),
            };
            assert!(!container.exists(), "{error}");
        }
    }
}
