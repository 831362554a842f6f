//! At a system call: counting it, and the fault.

use anyhow::Result;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::state::{InCall, Seen, Tracer};
use crate::arch::Registers;
use crate::call::Call;
use crate::calls;
use crate::fault::{EACH, How, Who};
use crate::memory;
use crate::sample::{COUNTER, WAIT};
use crate::view::blank;

/// Longest text that is read of an argument.
const TEXT: usize = 256;

impl Tracer<'_> {
    pub(super) fn at_call(&mut self, thread: Pid) -> Result<()> {
        let result = match self.threads.get_mut(&thread) {
            None => Ok(()),
            Some(tracee) => match tracee.in_call.take() {
                None => self.at_entry(thread),
                Some(call) => self.at_exit(thread, call),
            },
        };
        self.go_on(thread, None);
        match result {
            // It was killed while it stood there.
            Err(Errno::ESRCH) => Ok(()),
            other => Ok(other?),
        }
    }

    fn at_entry(&mut self, thread: Pid) -> nix::Result<()> {
        let registers = Registers::of(thread)?;
        let who = self.threads.get(&thread).and_then(|tracee| tracee.who);
        let seen = who.map(|who| self.count(who, thread, &registers));
        let hit = seen.as_ref().filter(|seen| (self.hit.is_none() || self.is_each()) && self.is_wanted(seen));
        let hit = hit.filter(|seen| self.may_happen(seen, &registers)).cloned();
        let how = self.job.fault.filter(|_| hit.is_some()).map(|fault| fault.how);
        if self.job.fault.is_none() {
            self.seen.extend(seen);
        }
        let Some(tracee) = self.threads.get_mut(&thread) else { return Ok(()) };
        let ends_loader = who == Some(Who::Loader)
            && registers.number() == libc::SYS_sigaltstack
            && registers.first_argument() != 0;
        tracee.in_call = Some(InCall { how, ends_loader, first: registers.first_argument() });
        let group = tracee.group;
        self.hit = hit.or(self.hit.take());
        how.map_or(Ok(()), |how| strike(thread, group, registers, how))
    }

    fn at_exit(&mut self, thread: Pid, call: InCall) -> nix::Result<()> {
        let Some(tracee) = self.threads.get_mut(&thread) else { return Ok(()) };
        if call.ends_loader {
            tracee.who = Some(Who::Tool);
        }
        let mut registers = Registers::of(thread)?;
        match call.how {
            Some(How::Fails(_)) if registers.number() == libc::SYS_brk => {
                registers.set_first_argument(call.first);
            }
            Some(How::Fails(errno)) => registers.fail(errno),
            Some(How::Skipped) => registers.succeed(),
            Some(How::AnswerLost(errno)) if registers.answer() >= 0 => registers.fail(errno),
            Some(How::KilledAfter) => return kill(tracee.group, Signal::SIGKILL),
            _ => return Ok(()),
        }
        registers.write(thread)
    }

    fn count(&mut self, who: Who, thread: Pid, registers: &Registers) -> Seen {
        let call = registers.number();
        let number = self.counts.entry((who, call)).or_default();
        *number += 1;
        let number = *number;
        let mut seen = Seen { who, call, number, object: String::new(), makes: false, site: None };
        if self.job.fault.is_none() || self.is_wanted(&seen) {
            seen.object =
                calls::by_number(call).map(|call| object(call, thread, registers)).unwrap_or_default();
            seen.makes = makes(thread, registers);
            seen.site = self.site(&seen, thread, registers);
        }
        seen
    }

    fn site(&mut self, seen: &Seen, thread: Pid, registers: &Registers) -> Option<String> {
        let walker = self.job.walker.as_mut()?;
        let process = self.threads.get(&thread)?.group;
        match seen.who {
            // It has one place for all calls, and a plan.
            Who::Init => Some(step(seen, registers)),
            _ => walker.site(thread, process, registers),
        }
    }

    fn may_happen(&self, seen: &Seen, registers: &Registers) -> bool {
        let fails = self.job.fault.is_some_and(|fault| fault.how.errno().is_some());
        !fails || can_fail(seen, is_wait(registers))
    }

    fn is_wanted(&self, seen: &Seen) -> bool {
        self.job.fault.is_some_and(|fault| {
            let number = fault.number == EACH || fault.number == seen.number;
            fault.who == seen.who && number && fault.call_number() == seen.call
        })
    }

    /// Whether more are to come, as under a filter that answers in the kernel's place.
    fn is_each(&self) -> bool {
        self.job.fault.is_some_and(|fault| fault.number == EACH)
    }
}

/// RACE: threads come when they like: what was a wait when it was counted may be a wake now, and what was another descriptor a counter.
fn can_fail(seen: &Seen, waits: bool) -> bool {
    (seen.call != libc::SYS_futex || waits) && seen.object != COUNTER
}

fn strike(thread: Pid, group: Pid, mut registers: Registers, how: How) -> nix::Result<()> {
    match how {
        // brk(2) of the kernel has no errors: it answers where the end is, and that of zero is where it was.
        How::Fails(_) if registers.number() == libc::SYS_brk => registers.set_first_argument(0),
        How::Fails(_) | How::Skipped => registers.skip(),
        // KERNEL(5.14): a thread that is killed at the entry does not execute the call.
        How::KilledBefore => return kill(group, Signal::SIGKILL),
        How::AnswerLost(_) | How::KilledAfter => return Ok(()),
    }
    registers.write(thread)
}

/// Whether a futex(2) waits: `FUTEX_WAIT`, `FUTEX_WAIT_BITSET`.
fn is_wait(registers: &Registers) -> bool {
    const OPERATION: u64 = 0x7f;
    let [_, operation, ..] = registers.arguments();
    matches!(operation & OPERATION, 0 | 9)
}

/// What tells a step of a plan from others: what the call is about, and those of its arguments that are no addresses and no descriptors.
fn step(seen: &Seen, registers: &Registers) -> String {
    let known = calls::by_number(seen.call);
    let told = |index: &usize| known.is_none_or(|call| call.fd != Some(*index) && call.path != Some(*index));
    let arguments = registers.arguments().into_iter().enumerate().filter(|(index, _)| told(index));
    // Its own addresses are low.
    let flat =
        |(_, value): (usize, u64)| if value < 0x1_0000 { format!("{value:#x}") } else { "_".to_owned() };
    let object = seen.object.rsplit('/').next().unwrap_or_default();
    format!("{} {}", arguments.map(flat).collect::<Vec<_>>().join(" "), blank(object))
}

/// What a call is about.
fn object(call: &Call, thread: Pid, registers: &Registers) -> String {
    if call.number == libc::SYS_futex && is_wait(registers) {
        return WAIT.to_owned();
    }
    let argument = |index: Option<usize>| index.and_then(|index| registers.arguments().get(index).copied());
    let path = argument(call.path).map(|address| text(thread, address)).unwrap_or_default();
    if path.starts_with('/') {
        return path;
    }
    let fd = argument(call.fd).and_then(|fd| u32::try_from(fd & 0xffff_ffff).ok());
    let link = fd.and_then(|fd| std::fs::read_link(format!("/proc/{thread}/fd/{fd}")).ok());
    let link = link.map(|link| link.display().to_string()).unwrap_or_default();
    match (link.is_empty(), path.is_empty()) {
        (_, true) => link,
        (true, false) => path,
        (false, false) => format!("{link}/{path}"),
    }
}

fn text(thread: Pid, address: u64) -> String {
    let bytes = memory::of(thread, address, TEXT);
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// `O_CREAT`.
const CREATE: u64 = 0o100;
/// `CLONE_THREAD`.
const THREAD: u64 = 0x1_0000;

/// Whether a call makes something that stays if its answer is lost: an open that may make its file, a clone of a process. That of a thread is the C library's.
fn makes(thread: Pid, registers: &Registers) -> bool {
    let arguments = registers.arguments();
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    let word = |address: u64| memory::of(thread, address, 8).try_into().map_or(0, u64::from_ne_bytes);
    match registers.number() {
        libc::SYS_openat => argument(2) & CREATE != 0,
        libc::SYS_openat2 => word(argument(2)) & CREATE != 0,
        libc::SYS_clone => argument(0) & THREAD == 0,
        libc::SYS_clone3 => word(argument(0)) & THREAD == 0,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_kernel_refuses_is_not_refused_though_its_number_has_moved() {
        let seen = |call, object: &str| Seen {
            who: Who::Tool,
            call,
            number: 1,
            object: object.to_owned(),
            makes: false,
            site: None,
        };
        assert!(can_fail(&seen(libc::SYS_write, "/x"), false));
        assert!(!can_fail(&seen(libc::SYS_write, "anon_inode:[eventfd]"), false));
        assert!(can_fail(&seen(libc::SYS_futex, WAIT), true) && !can_fail(&seen(libc::SYS_futex, ""), false));
    }
}
