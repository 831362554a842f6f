//! `NOTIFY_SOCKET`: a program that is ready says so to its service manager.

use std::fs;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libcontainer_tests::operator::until;
use rustix::net::{RecvAncillaryBuffer, RecvFlags, recvmsg};

use super::Oci;

/// A service manager that listens, and a bundle.
struct Service {
    oci: Oci,
    socket: UnixDatagram,
    path: PathBuf,
}

impl Service {
    fn new(name: &str) -> Option<Self> {
        let oci = Oci::new(name, &["sh", "-c", "echo $NOTIFY_SOCKET >/told; sleep 300"])?;
        let path = oci.place.join("manager");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Some(Self { oci, socket, path })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.oci.command(args);
        command.env("NOTIFY_SOCKET", &self.path).stdout(Stdio::null());
        command
    }

    /// Sends from inside of the container's mounts, as its program would.
    fn says(&self, id: &str, text: &str) {
        let pid = self.oci.state(id)["pid"].to_string();
        let socket = format!("/proc/{pid}/root/run/notify/notify.sock");
        let sent = UnixDatagram::unbound().unwrap().send_to(text.as_bytes(), &socket);
        assert_eq!(sent.unwrap(), text.len());
    }

    fn runs(&self, id: &str) {
        until("the program runs", || self.oci.operator.config.rootfs.join("told").exists());
        until("it runs", || self.oci.state(id)["status"] == "running");
    }

    /// A message to the manager; what comes with it is closed.
    fn heard(&self) -> String {
        let (mut text, mut space) = ([0; 256], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let message =
            recvmsg(&self.socket, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC);
        let count = message.unwrap().bytes;
        let _ = ancillary.drain().count();
        String::from_utf8_lossy(&text[..count]).into_owned()
    }

    fn left(&self) -> bool {
        fs::read_dir(self.oci.place.join("state")).unwrap().count() > 0
    }
}

fn ends(mut child: Child) -> i32 {
    until("the command ends", || child.try_wait().unwrap().is_some());
    child.wait().unwrap().code().unwrap()
}

#[test]
fn run_in_the_foreground_tells_that_the_program_is_ready() {
    let Some(service) = Service::new("run_in_the_foreground_tells_that_the_program_is_ready") else { return };
    let run = service.command(&["run", "web"]).spawn().unwrap();
    service.runs("web");
    let told = fs::read_to_string(service.oci.operator.config.rootfs.join("told")).unwrap();
    assert_eq!(told.trim(), "/run/notify/notify.sock");
    for text in ["STATUS=half", "MAINPID=1", "READY=0", "STATUS=all\nREADY=1"] {
        service.says("web", text);
    }
    // Word for word as crun tells it. The one to watch is the one that stays: it forwards signals.
    assert_eq!(service.heard(), "READY=1");
    assert_eq!(service.heard(), format!("MAINPID={}", run.id()));
    // It goes on to listen.
    service.says("web", "READY=1");
    assert_eq!(service.heard(), "READY=1");
    // Whoever joins is nobody's service.
    assert_eq!(service.oci.ok(&["exec", "web", "sh", "-c", "echo ${NOTIFY_SOCKET:-none}"]), "none\n");
    service.oci.ok(&["kill", "web", "KILL"]);
    assert_eq!(ends(run), 137);
    assert!(!service.left());
}

#[test]
fn run_that_leaves_waits_until_the_program_is_ready() {
    let Some(service) = Service::new("run_that_leaves_waits_until_the_program_is_ready") else { return };
    let mut run = service.command(&["run", "--detach", "web"]).spawn().unwrap();
    service.runs("web");
    assert!(run.try_wait().unwrap().is_none());
    service.says("web", "READY=1");
    let pid = service.oci.state("web")["pid"].clone();
    assert_eq!(service.heard(), format!("MAINPID={pid}\nREADY=1\n"));
    assert_eq!(service.heard(), "BARRIER=1");
    assert_eq!(ends(run), 0);
    assert_eq!(service.oci.ok(&["list", "--quiet"]), "web\n");
    service.oci.ok(&["delete", "--force", "web"]);
    assert!(!service.left());
}

#[test]
fn start_waits_until_the_program_is_ready() {
    let Some(service) = Service::new("start_waits_until_the_program_is_ready") else { return };
    assert_eq!(ends(service.command(&["create", "web"]).spawn().unwrap()), 0);
    let start = service.command(&["start", "web"]).spawn().unwrap();
    service.runs("web");
    service.says("web", "READY=1");
    let pid = service.oci.state("web")["pid"].clone();
    assert_eq!(service.heard(), format!("MAINPID={pid}\nREADY=1\n"));
    assert_eq!(service.heard(), "BARRIER=1");
    assert_eq!(ends(start), 0);
    service.oci.ok(&["kill", "web", "KILL"]);
    until("it has ended", || service.oci.state("web")["status"] == "stopped");
    service.oci.ok(&["delete", "web"]);
    assert!(!service.left());
}

#[test]
fn a_program_that_ends_is_waited_for_no_longer() {
    let Some(service) = Service::new("a_program_that_ends_is_waited_for_no_longer") else { return };
    let rootfs = service.oci.operator.config.rootfs.clone();
    let program = ["sh", "-c", "echo >/told; until [ -e /go ]; do sleep 0.02; done"];
    let waits = |id: &str, mut command: Child| {
        service.runs(id);
        assert!(command.try_wait().unwrap().is_none(), "it waits for one that runs");
        fs::write(rootfs.join("go"), "").unwrap();
        assert_eq!(ends(command), 0);
        ["told", "go"].iter().for_each(|name| fs::remove_file(rootfs.join(name)).unwrap());
    };
    let with = |args: &[&str]| service.command(&[args, &program].concat()).spawn().unwrap();
    waits("web", with(&["run", "--detach", "web"]));
    assert_eq!(ends(with(&["create", "other"])), 0);
    waits("other", service.command(&["start", "other"]).spawn().unwrap());
    for id in ["web", "other"] {
        until("it has ended", || service.oci.state(id)["status"] == "stopped");
        service.oci.ok(&["delete", id]);
    }
    assert!(!service.left());
}

#[test]
fn wrong_sockets_are_told_before_anything_is_made() {
    let Some(service) = Service::new("wrong_sockets_are_told_before_anything_is_made") else { return };
    let fails = |command: &[&str], socket: &str, wanted: &str| {
        let mut command = service.oci.command(command);
        let output = command.env("NOTIFY_SOCKET", socket).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(wanted), "{told}");
    };
    fails(
        &["run", "web"],
        "/nobody",
        "NOTIFY_SOCKET=/nobody (unset it if nobody is to be told): connect: ENOENT",
    );
    fails(&["create", "web"], "vsock:2:1", "NOTIFY_SOCKET=vsock:2:1: neither");
    assert!(!service.oci.place.join("state").exists());
    // One that can't be made leaves nothing either.
    fails(&["run", "web", "/absent"], service.path.to_str().unwrap(), "/absent");
    assert!(!service.left());
}

#[test]
fn what_a_killed_creation_leaves_is_deleted_or_used() {
    let Some(service) = Service::new("what_a_killed_creation_leaves_is_deleted_or_used") else { return };
    let left = service.oci.place.join("state/.notify-web");
    fs::create_dir_all(left.join("inner")).unwrap();
    assert_eq!(service.oci.ok(&["list", "--quiet"]), "");
    service.oci.ok(&["delete", "web"]);
    assert!(!left.exists());
    fs::create_dir(&left).unwrap();
    assert_eq!(ends(service.command(&["create", "web"]).spawn().unwrap()), 0);
    // That of a container that stands is left alone.
    let output = service.command(&["create", "web"]).stderr(Stdio::piped()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("already exists"));
    assert!(left.exists());
    service.oci.ok(&["delete", "--force", "web"]);
    assert!(!service.left());
}
