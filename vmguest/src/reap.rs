//! The parent of a test binary, and of all orphans that it leaves: pid 1 of its pid namespace if it has one. A test binary must not be
//! pid 1 itself, which signals don't kill by default.

use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, wait, waitpid};
use nix::unistd::Pid;

/// How long the leftovers of a test may take to die.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the program and reaps all that is left to pid 1, until the program itself ends. Its status is ours.
pub(crate) fn reap(args: &[OsString]) -> ExitCode {
    let Some((program, args)) = args.split_first() else { return ExitCode::from(2) };
    if let Err(error) = share().and_then(|()| set_child_subreaper(true)) {
        eprintln!("vmguest: make / shared, adopt orphans: {error}");
        return ExitCode::from(127);
    }
    let child = match Command::new(program).args(args).spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("vmguest: start {}: {error}", program.to_string_lossy());
            return ExitCode::from(127);
        }
    };
    let Ok(pid) = i32::try_from(child.id()).map(Pid::from_raw) else { return ExitCode::from(127) };
    let code = until_the_end_of(pid);
    // Pid 1 takes all others along by itself.
    if std::process::id() != 1 {
        end_the_rest();
    }
    code
}

fn until_the_end_of(pid: Pid) -> ExitCode {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(who, code)) if who == pid => {
                return ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(who, signal, _)) if who == pid => {
                eprintln!("vmguest: killed by {signal}");
                return ExitCode::from(u8::try_from(128 + signal as i32).unwrap_or(u8::MAX));
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => {
                eprintln!("vmguest: wait: {error}");
                return ExitCode::from(127);
            }
        }
    }
}

/// Kills what is left of the test and its orphans, for as long as [`PATIENCE`].
fn end_the_rest() {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        // Those of a thread, and this process has one.
        let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        for pid in children.split_whitespace().filter_map(|text| text.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(nix::errno::Errno::ECHILD) => return,
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(20)),
            _ => {}
        }
    }
    eprintln!("vmguest: some processes of this test could not be killed");
}

/// A host's mounts are shared; only then does a test see what leaks to it. The peer group is this namespace's own.
fn share() -> nix::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SHARED, None::<&str>)
}
