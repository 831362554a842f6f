//! Calls in a program's stead: at its first instruction, under all that confines it, and before it can do anything itself.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::arch::{INSTRUCTION, Registers};
use crate::call::errno_name;
use crate::memory;
use crate::probe::{Argument, Probe};
use crate::watch::patience;

/// How long an agent may take.
const LIMIT: Duration = Duration::from_secs(3);
/// Bytes for texts, below the stack.
const ROOM: u64 = 256;

/// What a program is answered, which stands at the end of its exec; nothing if it goes meanwhile. It goes on as if nothing had happened.
pub(super) fn ask(thread: Pid, probes: &[Probe]) -> Vec<String> {
    let asked = all(thread, probes);
    // It was killed, or it is told as one that differs from what is normal.
    asked.unwrap_or_else(|error| vec![format!("probe {error:#}")])
}

fn all(thread: Pid, probes: &[Probe]) -> Result<Vec<String>> {
    next_stop(thread)?;
    let before = Registers::of(thread)?;
    let place = before.instruction();
    let own = memory::of(thread, place, INSTRUCTION.len());
    write(thread, place, &INSTRUCTION)?;
    let answers: Result<Vec<_>> = probes.iter().map(|probe| one(thread, &before, probe)).collect();
    write(thread, place, &own)?;
    before.write(thread)?;
    answers
}

fn one(thread: Pid, before: &Registers, probe: &Probe) -> Result<String> {
    let room = before.room(ROOM);
    let mut arguments = [0; 6];
    for (argument, register) in probe.arguments.iter().zip(&mut arguments) {
        *register = match argument {
            Argument::Number(number) => *number,
            Argument::Text(text) => {
                write(thread, room, &[text.as_bytes(), &[0]].concat())?;
                room
            }
            Argument::Word => {
                write(thread, room, &[0; 4])?;
                room
            }
        };
    }
    let answer = call(thread, before, probe.call, arguments)?;
    if probe.call == libc::SYS_openat && answer >= 0 {
        call(thread, before, libc::SYS_close, [answer.unsigned_abs(), 0, 0, 0, 0, 0])?;
    }
    let word = probe.arguments.iter().any(|argument| matches!(argument, Argument::Word));
    let told = if word { format!(" {:?}", memory::of(thread, room, 4)) } else { String::new() };
    let answer = match i32::try_from(-answer) {
        Ok(errno @ 1..=4095) => errno_name(Errno::from_raw(errno)),
        _ => answer.to_string(),
    };
    Ok(format!("probe {}: {answer}{told}", probe.name))
}

fn call(thread: Pid, before: &Registers, number: i64, arguments: [u64; 6]) -> Result<i64> {
    before.calling(number, arguments).write(thread)?;
    next_stop(thread)?;
    next_stop(thread)?;
    Ok(Registers::of(thread)?.answer())
}

/// To the next entry or exit of a call. Signals are kept from it until it has been asked.
fn next_stop(thread: Pid) -> Result<()> {
    ptrace::syscall(thread, None)?;
    let until = Instant::now() + patience(LIMIT);
    loop {
        match waitpid(thread, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG))? {
            WaitStatus::PtraceSyscall(_) => return Ok(()),
            WaitStatus::StillAlive if Instant::now() < until => std::thread::yield_now(),
            WaitStatus::StillAlive => {
                // It waits in the kernel, where it can't be let go.
                kill(thread, Signal::SIGKILL)?;
                bail!("nobody answers a call");
            }
            WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..) => ptrace::syscall(thread, None)?,
            status => bail!("it has gone: {status:?}"),
        }
    }
}

fn write(thread: Pid, address: u64, bytes: &[u8]) -> Result<()> {
    let path = format!("/proc/{thread}/mem");
    let file = OpenOptions::new().write(true).open(&path).context(path.clone())?;
    file.write_all_at(bytes, address).context(path)
}
