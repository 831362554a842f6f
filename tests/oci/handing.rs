//! What is handed between caller and program: terminals, pidfds, descriptors.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use libcontainer_tests::operator::until;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;

use super::Oci;

/// The one descriptor that comes with the first message of the first caller.
pub(super) fn received(listener: &UnixListener) -> OwnedFd {
    let stream = listener.accept().unwrap().0;
    let (mut text, mut space) = ([0; 64], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))]);
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut text)];
    let message = recvmsg(&stream, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
    assert!(message.bytes > 0);
    let mut all: Vec<OwnedFd> = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = part {
            all.extend(fds);
        }
    }
    assert_eq!(all.len(), 1);
    all.pop().unwrap()
}

#[test]
fn a_terminal_goes_to_the_console_socket() {
    let Some(mut oci) =
        Oci::new("a_terminal_goes_to_the_console_socket", &["sh", "-c", "stty size; read line; exit $line"])
    else {
        return;
    };
    oci.spec["process"]["terminal"] = json!(true);
    oci.spec["process"]["consoleSize"] = json!({"height": 12, "width": 34});
    oci.write();
    let path = oci.place.join("console");
    let listener = UnixListener::bind(&path).unwrap();
    let told = oci.fails(&["create", "web"]);
    assert!(told.contains("--console-socket"), "{told}");
    oci.ok(&["create", "--console-socket", path.to_str().unwrap(), "web"]);
    let mut terminal = File::from(received(&listener));
    oci.ok(&["start", "web"]);
    let mut shown = String::new();
    while !shown.contains("12 34") {
        let mut part = [0; 256];
        let count = terminal.read(&mut part).unwrap();
        shown.push_str(std::str::from_utf8(&part[..count]).unwrap());
    }
    terminal.write_all(b"3\n").unwrap();
    until("it has ended", || oci.state("web")["status"] == "stopped");
    oci.ok(&["delete", "web"]);
}

#[test]
fn a_terminal_of_exec_goes_there_too() {
    let Some(oci) = Oci::new("a_terminal_of_exec_goes_there_too", &["sleep", "300"]) else { return };
    oci.ok(&["run", "--detach", "web"]);
    let path = oci.place.join("console");
    let listener = UnixListener::bind(&path).unwrap();
    let socket = path.to_str().unwrap();
    oci.ok(&[
        "exec",
        "--tty",
        "--detach",
        "--console-socket",
        socket,
        "web",
        "sh",
        "-c",
        "echo typed; sleep 300",
    ]);
    let mut terminal = File::from(received(&listener));
    let mut shown = [0; 5];
    terminal.read_exact(&mut shown).unwrap();
    assert_eq!(&shown, b"typed");
    let told = oci.fails(&["exec", "--detach", "--console-socket", socket, "web", "true"]);
    assert!(told.contains("--tty"), "{told}");
    oci.ok(&["delete", "--force", "web"]);
}

#[test]
fn sockets_that_are_not_there_are_told_first() {
    let Some(oci) = Oci::new("sockets_that_are_not_there_are_told_first", &["true"]) else { return };
    let told = oci.fails(&["create", "--pidfd-socket", "/nope", "web"]);
    assert!(told.contains("--pidfd-socket /nope: connect: ENOENT"), "{told}");
    assert!(oci.fails(&["state", "web"]).contains("does not exist"));
}

#[test]
fn a_pidfd_tells_the_end() {
    let Some(oci) = Oci::new("a_pidfd_tells_the_end", &["sleep", "300"]) else { return };
    let path = oci.place.join("pidfd");
    let listener = UnixListener::bind(&path).unwrap();
    oci.ok(&["run", "--detach", "--pidfd-socket", path.to_str().unwrap(), "web"]);
    let pidfd = received(&listener);
    let ended = |limit: u16| {
        poll(
            &mut [PollFd::new(std::os::fd::AsFd::as_fd(&pidfd), PollFlags::POLLIN)],
            PollTimeout::from(limit),
        )
        .unwrap()
            == 1
    };
    assert!(!ended(0));
    oci.ok(&["kill", "web", "KILL"]);
    assert!(ended(20_000));
    oci.ok(&["delete", "web"]);
}

/// Through a shell, which opens descriptors by number.
fn by_shell(oci: &Oci, before: &str, options: &str) -> String {
    let program = oci.program.display();
    let state = oci.place.join("state");
    let script =
        format!("{before} exec {program} --root {} run {options} web 3<config.json 4<pass", state.display());
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(oci.place.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn descriptors_are_handed_on() {
    let script =
        "{ cat <&4; } 2>/dev/null; echo $LISTEN_FDS,$LISTEN_PID; ls /proc/self/fd | grep -c '^[345]'";
    let Some(oci) = Oci::new("descriptors_are_handed_on", &["sh", "-c", script]) else { return };
    std::fs::write(oci.place.join("pass"), "passed\n").unwrap();
    // ls has opened one more.
    assert_eq!(by_shell(&oci, "", "--preserve-fds 2"), "passed\n,\n3\n");
    assert_eq!(by_shell(&oci, "", ""), ",\n1\n");
    assert_eq!(by_shell(&oci, "export LISTEN_FDS=1 LISTEN_PID=$$;", "--preserve-fds 1"), "passed\n2,1\n3\n");
    assert_eq!(by_shell(&oci, "export LISTEN_FDS=1 LISTEN_PID=1;", ""), ",\n1\n");
    let told = by_shell(&oci, "", "--preserve-fds 3");
    assert!(told.contains("descriptor 5 of --preserve-fds 3") && told.contains("EBADF"), "{told}");
}
