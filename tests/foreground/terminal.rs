//! `exec -t` and `run` with a terminal, from a terminal of the test's own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::pty::{Winsize, openpty};
use nix::sys::socket::{Backlog, listen};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};

use libcontainer_tests::operator::{Operator, until};
use libcontainer_tests::skip;

use crate::SLEEP;

/// `nsinit` as leader of a session on a pseudoterminal, and what was printed there.
struct Session {
    child: Child,
    master: File,
    slave: File,
    before: Termios,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Session {
    fn start(operator: &Operator, args: &[&str]) -> Self {
        Self::start_below(operator, &[], args)
    }

    /// As the program that `above` starts.
    fn start_below(operator: &Operator, above: &[&str], args: &[&str]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let (master, slave) = (File::from(pty.master), File::from(pty.slave));
        let end = || Stdio::from(slave.try_clone().unwrap());
        let plain = operator.command(args);
        // A session of its own with this terminal: then the kernel sends it SIGINT and SIGWINCH.
        let mut command = Command::new("setsid");
        command
            .arg("-c")
            .args(above)
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(operator.place.path());
        let before = tcgetattr(&slave).unwrap();
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, sink) = (master.try_clone().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = reader.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..len]);
            }
        });
        Self { child, master, slave, before, seen }
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    fn wait_for(&self, text: &str) {
        until(text, || self.seen().contains(text));
    }

    fn type_in(&mut self, bytes: &[u8]) {
        self.master.write_all(bytes).unwrap();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_flags.intersects(LocalFlags::ICANON | LocalFlags::ISIG)
    }

    fn resize(&self, rows: &str, columns: &str) {
        let stdin = Stdio::from(self.slave.as_fd().try_clone_to_owned().unwrap());
        let status = Command::new("stty").args(["rows", rows, "cols", columns]).stdin(stdin).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end; the terminal must be as it was.
    fn ends_with(mut self, code: i32) {
        let mut status = None;
        until("the end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(code), "{}", self.seen());
        let after = tcgetattr(&self.slave).unwrap();
        assert_eq!(after, self.before, "the terminal is restored");
    }
}

#[test]
fn exec_types_prints_and_restores() {
    let Some(operator) = Operator::new("exec-tty") else { return };
    operator.check(&["run", "-d", "web"], 0, "");
    let script = "tty; stty size; echo ready; read line; echo got-$line; exit 7";
    let mut session = Session::start(&operator, &["exec", "-t", "web", "sh", "-c", script]);
    session.wait_for("ready");
    assert!(session.is_raw(), "the container's terminal echoes and makes signals, not ours");
    session.type_in(b"typed\r");
    session.wait_for("got-typed");
    let seen = session.seen();
    assert!(seen.starts_with("/dev/pts/0\r\n24 80\r\n"), "{seen:?}");
    session.ends_with(7);
    // Without a terminal on this side the process has one all the same.
    operator.check(&["exec", "-t", "web", "tty"], 0, "/dev/pts/");
    operator.check(&["exec", "web", "tty"], 1, "not a tty");
    // Errors leave the terminal alone too.
    Session::start(&operator, &["exec", "-t", "web", "foo"]).ends_with(127);
    operator.check(&["delete", "--force", "web"], 0, "");
}

#[test]
fn a_program_finds_the_size_at_its_first_look() {
    let Some(mut operator) = Operator::new("first-look") else { return };
    if !Path::new("/usr/bin/strace").exists() {
        return skip("a_program_finds_the_size_at_its_first_look", "strace is not installed");
    }
    // Whatever nsinit itself asks of terminals comes late; what the init does is not held up.
    let late = ["strace", "-o", "/dev/null", "-e", "trace=ioctl", "-e", "inject=ioctl:delay_enter=50ms"];
    let sees = |operator: &Operator, args: &[&str]| {
        let session = Session::start_below(operator, &late, args);
        session.wait_for("\r\n");
        let seen = session.seen();
        session.ends_with(0);
        assert_eq!(seen, "24 80\r\n", "{args:?}");
    };
    operator.check(&["run", "-d", "web"], 0, "");
    sees(&operator, &["exec", "-t", "web", "stty", "size"]);
    operator.check(&["delete", "--force", "web"], 0, "");
    operator.config.tty = true;
    operator.write();
    sees(&operator, &["run", "web", "stty", "size"]);
}

#[test]
fn run_has_a_terminal_if_the_config_says_so() {
    let Some(mut operator) = Operator::new("run-tty") else { return };
    operator.config.tty = true;
    operator.write();
    let script =
        "tty; readlink /proc/self/fd/0; echo ready; trap 'exit 130' INT; while :; do sleep 0.01; done";
    let mut session = Session::start(&operator, &["run", "web", "sh", "-c", script]);
    session.wait_for("ready");
    assert!(session.is_raw() && session.seen().starts_with("/dev/pts/0\r\n"), "{}", session.seen());
    session.type_in(b"\x03");
    session.ends_with(130);
    operator.check(&["state", "web"], 1, "does not exist");
}

#[test]
fn a_terminal_that_nobody_would_hold_is_refused() {
    let Some(mut operator) = Operator::new("lone-tty") else { return };
    operator.config.tty = true;
    operator.write();
    for args in [&["create", "web"][..], &["run", "--detach", "web"]] {
        operator.check(args, 1, "nobody would hold the terminal");
        operator.check(&["state", "web"], 1, "does not exist");
    }
    // Input that is no terminal is copied like any other, and its end is typed.
    operator.check(&["run", "web", "sh", "-c", "tty; cat; echo end"], 0, "/dev/pts/0");
}

#[test]
fn sizes_are_passed_on() {
    let Some(operator) = Operator::new("winch") else { return };
    operator.check(&["run", "-d", "web"], 0, "");
    let script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.01; done";
    let mut session = Session::start(&operator, &["exec", "-t", "web", "sh", "-c", script]);
    session.wait_for("ready");
    session.resize("33", "99");
    session.wait_for("33 99");
    session.resize("50", "100");
    session.wait_for("50 100");
    session.type_in(b"\x03");
    session.ends_with(130);
    operator.check(&["delete", "--force", "web"], 0, "");
}

#[test]
fn control_c_ends_the_program() {
    let Some(operator) = Operator::new("control-c") else { return };
    operator.check(&["run", "-d", "web"], 0, "");
    let ready = operator.config.rootfs.join("tmp/ready");
    // With a terminal inside the key goes there; without, our own terminal signals us and we forward it.
    for tty in [true, false] {
        let _ = std::fs::remove_file(&ready);
        let args = ["exec", "-t", "web", "sh", "-c", SLEEP];
        let args: Vec<_> = args.into_iter().filter(|arg| tty || *arg != "-t").collect();
        let mut session = Session::start(&operator, &args);
        until("the program runs", || ready.exists());
        until("the mode", || session.is_raw() == tty);
        session.type_in(b"\x03");
        session.ends_with(130);
    }
    operator.check(&["delete", "--force", "web"], 0, "");
}

#[test]
fn the_end_of_the_container_restores_the_terminal() {
    let Some(operator) = Operator::new("hang-up") else { return };
    operator.check(&["run", "-d", "web"], 0, "");
    let session = Session::start(&operator, &["exec", "-t", "web", "sh", "-c", SLEEP]);
    until("raw mode", || session.is_raw());
    operator.check(&["kill", "web", "KILL"], 0, "");
    session.ends_with(137);
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// Whoever listens may be stopped: the call says so instead of waiting with him.
#[test]
fn a_console_socket_at_which_nobody_takes_connections() {
    let Some(mut operator) = Operator::new("full-socket") else { return };
    operator.config.tty = true;
    operator.write();
    let path = operator.place.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let waiting = UnixStream::connect(&path).unwrap();
    let option = path.to_str().unwrap();
    operator.check(&["create", "--console-socket", option, "web"], 1, "socket: connect: ETIMEDOUT");
    drop((listener, waiting));
}
