//! Pid 1 of a test binary's pid namespace: a test binary must not be pid 1 itself, which signals don't kill by default.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use nix::mount::{MsFlags, mount};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::Pid;

/// Runs the program and reaps all that is left to pid 1, until the program itself ends. Its status is ours.
pub(crate) fn reap(args: &[OsString]) -> ExitCode {
    let Some((program, args)) = args.split_first() else { return ExitCode::from(2) };
    if let Err(error) = share() {
        eprintln!("vmguest: make / shared: {error}");
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

/// A host's mounts are shared; only then does a test see what leaks to it. The peer group is this namespace's own.
fn share() -> nix::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SHARED, None::<&str>)
}
