//! Which functions a program calls, in the order of their first calls: a breakpoint on each, taken away when it is hit. Its threads and its
//! children count until they execute something else.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::failure::Failure;

/// The instruction that stops a thread; the kernel shows it behind it.
const BREAKPOINT: u8 = 0xcc;

/// Runs a program, and returns the places of the functions that it has called.
pub(crate) fn called(command: &Command, functions: &[u64]) -> Result<Vec<u64>, Failure> {
    let child = stopped(command)?;
    let root = Pid::from_raw(i32::try_from(child.id())?);
    let options = Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(root, options)?;
    kill(root, Signal::SIGCONT)?;
    let program = Path::new(command.get_program());
    let mut traced =
        Traced { root, program, functions, base: None, bytes: HashMap::new(), calls: Vec::new() };
    let code = traced.follow()?;
    if code == 0 { Ok(traced.calls) } else { Err(format!("{command:?}: code {code}").into()) }
}

/// A shell that has stopped itself and executes the program when it goes on.
fn stopped(command: &Command) -> Result<Child, Failure> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    let child = shell.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    waitpid(Pid::from_raw(i32::try_from(child.id())?), Some(WaitPidFlag::WUNTRACED))?;
    Ok(child)
}

struct Traced<'a> {
    root: Pid,
    program: &'a Path,
    functions: &'a [u64],
    /// Where the program lies in memory; none before it is executed.
    base: Option<u64>,
    /// What stood where breakpoints stand now.
    bytes: HashMap<u64, u8>,
    calls: Vec<u64>,
}

impl Traced<'_> {
    /// Until the program ends; its exit code.
    fn follow(&mut self) -> Result<i32, Failure> {
        loop {
            match waitpid(None, Some(WaitPidFlag::__WALL))? {
                WaitStatus::Exited(pid, code) if pid == self.root => return Ok(code),
                WaitStatus::Signaled(pid, signal, _) if pid == self.root => {
                    return Err(format!("{:?}: {signal}", self.program).into());
                }
                WaitStatus::PtraceEvent(pid, _, event) if event == Event::PTRACE_EVENT_EXEC as i32 => {
                    self.executed(pid)?;
                }
                WaitStatus::PtraceEvent(pid, ..) => go_on(pid, None)?,
                WaitStatus::Stopped(pid, Signal::SIGTRAP) => self.hit(pid)?,
                WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal))?,
                _ => {}
            }
        }
    }
    /// The program itself gets its breakpoints; whatever else is executed goes on alone.
    fn executed(&mut self, pid: Pid) -> Result<(), Failure> {
        if pid != self.root {
            return Ok(ptrace::detach(pid, None)?);
        }
        let base = base(pid, self.program)?;
        let memory = memory(pid)?;
        for &function in self.functions {
            let mut byte = [0];
            memory.read_exact_at(&mut byte, base + function)?;
            memory.write_all_at(&[BREAKPOINT], base + function)?;
            self.bytes.insert(function, byte[0]);
        }
        self.base = Some(base);
        go_on(pid, None)
    }

    /// RACE: a thread may be stopped where another has taken the breakpoint away meanwhile; it goes back one byte too.
    fn hit(&mut self, pid: Pid) -> Result<(), Failure> {
        let base = self.base.ok_or("a trap before the program was executed")?;
        let mut registers = ptrace::getregs(pid)?;
        let place = registers.rip - 1;
        let function = place.wrapping_sub(base);
        let Some(byte) = self.bytes.get(&function) else { return go_on(pid, None) };
        memory(pid)?.write_all_at(&[*byte], place)?;
        if !self.calls.contains(&function) {
            self.calls.push(function);
        }
        registers.rip = place;
        ptrace::setregs(pid, registers)?;
        go_on(pid, None)
    }
}

/// Where a program begins in memory.
fn base(pid: Pid, program: &Path) -> Result<u64, Failure> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let program = program.to_str().ok_or("a path of the program that is no text")?;
    let line = maps.lines().find(|line| line.ends_with(program)).ok_or("the program is not mapped")?;
    let start = line.split('-').next().unwrap_or_default();
    Ok(u64::from_str_radix(start, 16)?)
}

fn memory(pid: Pid) -> Result<File, Failure> {
    Ok(OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"))?)
}

fn go_on(pid: Pid, signal: Option<Signal>) -> Result<(), Failure> {
    match ptrace::cont(pid, signal) {
        // It was killed meanwhile.
        Err(Errno::ESRCH) => Ok(()),
        result => Ok(result?),
    }
}
