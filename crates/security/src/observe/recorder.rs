//! The agent that notes everything and lets it happen.

use std::collections::BTreeSet;
use std::time::Duration;

use super::argument::watched;
use super::capability;
use super::file::Root;
use super::path::{self, descriptor};
use super::port;
use super::seen::{Access, Observation};
use crate::seccomp::Arch;
use crate::seccomp::notify::{Answer, Event, Listener, Memory, Notification, NotifyError};

/// How often it is asked whether to stop.
const TICK: Duration = Duration::from_millis(50);
/// What does not let itself be looked at, by whom it is.
const REFUSED: i32 = libc::EACCES;

/// Receives the calls of a program under [`super::watching`], and has each of them made. Returns what was seen when the last process of it has ended, or
/// `stop` says so: then further calls fail with ENOSYS as soon as the listener is closed.
///
/// # Errors
/// Those of the listener, and of looks at the caller that show nothing, not even that it may not be looked at.
pub fn record(listener: &Listener, stop: &dyn Fn() -> bool) -> Result<Observation, NotifyError> {
    let mut seen = Observation::default();
    loop {
        let call = match listener.receive(Some(TICK))? {
            Event::Call(call) => call,
            Event::TimedOut if stop() => return Ok(seen),
            Event::TimedOut => continue,
            Event::Ended => return Ok(seen),
        };
        let answer = note(listener, &call, &mut seen)?;
        match listener.respond(call.id, answer) {
            // It was killed, or interrupted and comes again.
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
    }
}

/// Bit 30 of a number says x32 on x86_64: asm/unistd.h.
const X32: u32 = 0x4000_0000;

fn arch_of(token: u32, number: u32) -> Option<Arch> {
    if token == Arch::X86_64.token() {
        return Some(if number & X32 == 0 { Arch::X86_64 } else { Arch::X32 });
    }
    Arch::ALL.into_iter().find(|arch| arch.token() == token)
}

fn note(listener: &Listener, call: &Notification, seen: &mut Observation) -> Result<Answer, NotifyError> {
    let data = &call.data;
    seen.total += 1;
    let known = arch_of(data.arch, data.number).and_then(|arch| Some((arch, arch.syscall(data.number)?)));
    let Some((arch, name)) = known else {
        seen.unknown.insert((data.arch, data.number));
        return Ok(Answer::Errno(libc::ENOSYS));
    };
    let values = seen.calls.entry((arch, name)).or_default();
    values.extend(watched(name).map(|how| how.of(&data.args)));
    seen.capabilities.extend(capability::of(name, &data.args));
    if let Some(looked) = looked_at(listener, call, name)? {
        seen.merge(looked);
    }
    Ok(Answer::Continue)
}

/// What lies in the caller's memory, or behind its descriptors. Nothing if the caller is gone.
fn looked_at(
    listener: &Listener,
    call: &Notification,
    name: &str,
) -> Result<Option<Observation>, NotifyError> {
    let (files, addresses) = (path::names_files(name), ["bind", "connect"].contains(&name));
    if !files && !addresses && name != "ioctl" {
        return Ok(None);
    }
    let memory = match Memory::open(listener, call) {
        Ok(Some(memory)) => memory,
        Ok(None) => return Ok(None),
        Err(error) => return unread(error),
    };
    let root = match Root::of(call.pid) {
        Ok(root) => root,
        Err(_) if !listener.is_valid(call.id)? => return Ok(None),
        Err(error) => return unread(NotifyError::call(format!("open /proc/{}/root", call.pid), &error)),
    };
    let (args, mut seen) = (&call.data.args, Observation::default());
    match (files, addresses) {
        (true, _) => path::look(name, args, &memory, &root, &mut seen),
        (_, true) => port::look(name, args, &memory, &root, &mut seen),
        _ => controlled(args, &root, &mut seen),
    }
    // ORDER: behind all looks: only then they were at this process.
    if !listener.is_valid(call.id)? {
        return Ok(None);
    }
    seen.refused = root.failed();
    // An address where nothing is makes the call fail, too.
    seen.refused.extend(memory.failed().filter(|errno| *errno != libc::EIO));
    match seen.refused.iter().find(|errno| **errno != REFUSED) {
        Some(errno) => {
            let call = format!("look at what process {} names", call.pid);
            Err(NotifyError::Call { call, errno: *errno })
        }
        None => Ok(Some(seen)),
    }
}

/// What is noted of a process that may not be looked into. After another error nobody knows what would be missing.
fn unread(error: NotifyError) -> Result<Option<Observation>, NotifyError> {
    match error.errno() {
        Some(REFUSED) => {
            let refused = BTreeSet::from([REFUSED]);
            Ok(Some(Observation { unread: 1, refused, ..Observation::default() }))
        }
        _ => Err(error),
    }
}

/// A device by its descriptor.
fn controlled(args: &[u64; 6], root: &Root, seen: &mut Observation) {
    let device = args.first().and_then(|number| root.descriptor(descriptor(*number)));
    if let Some(path) = device.filter(|path| path.starts_with("/dev")) {
        seen.touch(path, Access::CONTROL);
    }
}
