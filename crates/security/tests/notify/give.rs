use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use libcontainer_plan::{Pid, open_pidfd};
use libcontainer_security::seccomp::notify::{
    Agent, ContainerState, Handover, NotifyError, ProcessState, hand_over, receive_listener,
};
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};

#[test]
fn the_message_is_what_the_specification_says() {
    let container = ContainerState {
        id: "web".to_owned(),
        status: "creating".to_owned(),
        pid: 7,
        bundle: PathBuf::from("/srv/web"),
        ..ContainerState::default()
    };
    let state = ProcessState::new(7, Some("who".to_owned()), container);
    let json: serde_json::Value = serde_json::to_value(&state).unwrap();
    let wanted = serde_json::json!({
        "ociVersion": "1.3.0", "fds": ["seccompFd"], "pid": 7, "metadata": "who",
        "state": {"ociVersion": "1.3.0", "id": "web", "status": "creating", "pid": 7, "bundle": "/srv/web"},
    });
    assert_eq!(json, wanted);
    assert_eq!(serde_json::from_value::<ProcessState>(json).unwrap(), state);
}

#[test]
fn a_message_without_a_listener_is_told() {
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    std::io::Write::write_all(&mut &one, b"{}").unwrap();
    let error = receive_listener(&other).unwrap_err();
    assert_eq!(error.to_string(), "a message of 2 bytes without a seccomp listener");
    drop(one);
    assert!(receive_listener(&other).unwrap_err().to_string().starts_with("a message of 0 bytes"));
    // More than one: the first counts, the others are closed.
    let flags = SockFlag::SOCK_CLOEXEC;
    let (one, other) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags).unwrap();
    let (a, b) = (std::fs::File::open("/dev/null").unwrap(), std::fs::File::open("/dev/zero").unwrap());
    let fds = [&a, &b].map(std::os::fd::AsRawFd::as_raw_fd);
    let slices = [std::io::IoSlice::new(b"{}")];
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(std::os::fd::AsRawFd::as_raw_fd(&one), &slices, &rights, MsgFlags::empty(), None).unwrap();
    let (listener, text) = receive_listener(&other.into()).unwrap();
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&listener.as_fd()));
    assert_eq!((std::fs::read_link(link).unwrap(), text), (PathBuf::from("/dev/null"), b"{}".to_vec()));
}

/// Of a process that is no init: nothing is waited for, and no agent is told.
#[test]
fn who_is_no_init_or_is_gone_has_no_listener() {
    let dir = std::env::temp_dir().join(format!("notify-none-{}", std::process::id()));
    let _ = std::fs::remove_file(&dir);
    let agent = UnixListener::bind(&dir).unwrap();
    agent.set_nonblocking(true).unwrap();
    let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
    let pid = Pid::new(i32::try_from(child.id()).unwrap()).unwrap();
    let pidfd: OwnedFd = open_pidfd(pid).unwrap();
    let handover = Handover {
        agent: Agent::Socket(&dir),
        text: "{}",
        knock: None,
        least: 0,
        limit: Duration::from_secs(20),
    };
    let text = |error: NotifyError| error.to_string();
    let error = text(hand_over(pid, pidfd.as_fd(), &handover).unwrap_err());
    assert!(error.contains("has become its program before the host had its seccomp listener"), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    let error = text(hand_over(pid, pidfd.as_fd(), &handover).unwrap_err());
    assert!(error.contains(&format!("/proc/{pid}/fd")), "{error}");
    assert!(agent.accept().is_err());
    std::fs::remove_file(&dir).unwrap();
}
