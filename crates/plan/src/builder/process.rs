//! Sessions, namespaces, descriptors of the program, hooks, exec.

use crate::wire::unsigned;
use std::path::PathBuf;

use super::Builder;
use crate::slot::{Dir, File, Kind, Ns, Number, Pty, Slot, Sock};
use crate::step::{Arg, Memory};
use crate::syscalls as sys;
use crate::wire;

const F_SETFD: u32 = 2;
const F_DUPFD_CLOEXEC: u32 = 1030;
const TIOCSCTTY: u32 = 0x540e;
const TIOCGPTPEER: u32 = 0x5441;
const TIOCSWINSZ: u32 = 0x5414;
const TCSETS: u32 = 0x5402;
/// A new terminal's input, output, control and local modes, but `ONLCR`: `ICRNL|IXON`, `OPOST`, `B38400|CS8|CREAD`,
/// `ISIG|ICANON|ECHO|ECHOE|ECHOK|ECHOCTL|ECHOKE|IEXTEN`.
const MODES: [u32; 4] = [0x500, 0x1, 0xbf, 0x8a3b];
/// Its line discipline, and its control characters: `INIT_C_CC` of the kernel.
const CHARACTERS: [u8; 20] =
    [0, 3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0xf, 0x17, 0x16, 0, 0, 0];
const TIOCSPTLCK: u32 = 0x4004_5431;
const SIOCSIFFLAGS: u32 = 0x8914;
const IFF_UP: u8 = 1;
const SIG_SETMASK: u32 = 2;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`
pub(super) const NEW_LISTENER: u32 = 1 << 3;
const SA_RESTORER: u64 = 0x400_0000;
/// SIGHUP, SIGINT, SIGQUIT, SIGTERM: bit 0 is signal 1.
const ENDING: u32 = 1 | 1 << 1 | 1 << 2 | 1 << 14;

/// A program that the init runs inside the container and waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// Path of the program, inside.
    pub path: PathBuf,
    /// All arguments, the name first.
    pub args: Vec<Vec<u8>>,
    /// The whole environment.
    pub env: Vec<Vec<u8>>,
}

impl Builder {
    /// `setsid()`.
    pub fn setsid(&mut self) -> &mut Self {
        self.step(&sys::SETSID, []);
        self
    }

    /// `setns(namespace, flags)`: `flags` are `CLONE_NEW…` bits, several for a pidfd.
    pub fn setns(&mut self, namespace: Slot<Ns>, flags: u32) -> &mut Self {
        self.step(&sys::SETNS, [namespace.into(), flags.into()]);
        self
    }

    /// `unshare(flags)`.
    pub fn unshare(&mut self, flags: u32) -> &mut Self {
        self.step(&sys::UNSHARE, [flags.into()]);
        self
    }

    /// `close_range(first, ~0, CLOSE_RANGE_CLOEXEC)`.
    pub fn mark_all_cloexec(&mut self, first: u32) -> &mut Self {
        self.step(&sys::CLOSE_RANGE, [first.into(), u32::MAX.into(), 4_u32.into()]);
        self
    }

    /// `close_range(first, last, 0)`.
    pub fn close_range(&mut self, first: u32, last: u32) -> &mut Self {
        self.step(&sys::CLOSE_RANGE, [first.into(), last.into(), 0_u32.into()]);
        self
    }

    /// `dup3(slot, number, 0)`: the program will have this descriptor under that number. What the init had there is gone: slots that may
    /// have that number can't be used from there on, and those are all but presets and what [`Builder::dup_cloexec`] and
    /// [`Builder::dup_above`] have put elsewhere.
    pub fn dup_to<K: Kind>(&mut self, slot: Slot<K>, number: u32) -> &mut Self {
        self.low = self.low.max(number);
        self.step(&sys::DUP3, [slot.into(), number.into(), 0_u32.into()]);
        self
    }

    /// `dup3(slot, number, O_CLOEXEC)` into a new slot. What the init had there is gone, as with [`Builder::dup_to`].
    pub fn dup_cloexec<K: Kind>(&mut self, slot: Slot<K>, number: u32) -> Slot<K> {
        self.low = self.low.max(number);
        let args = [slot.into(), number.into(), 0x8_0000_u32.into()];
        let out = self.out(&sys::DUP3, args, format!("descriptor {number}"));
        self.numbered.push((out.id(), Number::Is(number)));
        out
    }

    /// `fcntl(slot, F_DUPFD_CLOEXEC, lowest)` into a new slot: a number that is free, and no less than `lowest`.
    pub fn dup_above<K: Kind>(&mut self, slot: Slot<K>, lowest: u32) -> Slot<K> {
        let name = format!("descriptor from {lowest}");
        let out = self.out(&sys::FCNTL, [slot.into(), F_DUPFD_CLOEXEC.into(), lowest.into()], name);
        self.numbered.push((out.id(), Number::From(lowest)));
        out
    }

    /// `fcntl(slot, F_SETFD, 0)`: the descriptor survives exec.
    pub fn keep_across_exec<K: Kind>(&mut self, slot: Slot<K>) -> &mut Self {
        self.step(&sys::FCNTL, [slot.into(), F_SETFD.into(), 0_u32.into()]);
        self
    }

    /// `ioctl(terminal, TIOCSCTTY, 0)`: needs a session without a terminal.
    pub fn controlling_terminal(&mut self, terminal: Slot<Pty>) -> &mut Self {
        self.step(&sys::IOCTL, [terminal.into(), TIOCSCTTY.into(), 0_u32.into()]);
        self
    }

    /// Opens a new terminal from a devpts directory: `openat(pts, "ptmx")`, `TIOCSPTLCK`, `TIOCGPTPEER`. Returns master and
    /// slave.
    pub fn open_terminal(&mut self, pts: Slot<Dir>) -> (Slot<Pty>, Slot<Pty>) {
        let flags = unsigned(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        let name = self.text("ptmx");
        let master =
            self.out(&sys::OPENAT, [pts.into(), name, flags.into(), 0_u32.into()], "terminal master");
        let zero = Arg::Memory(self.arena.room(4), Memory::Opaque("unlocked"));
        self.step(&sys::IOCTL, [Arg::from(master), TIOCSPTLCK.into(), zero]);
        let slave = self.out(&sys::IOCTL, [master.into(), TIOCGPTPEER.into(), flags.into()], "terminal");
        (master, slave)
    }

    /// Gives a terminal to a user: `fchownat(terminal, "", uid, -1, AT_EMPTY_PATH)`.
    pub fn own_terminal(&mut self, terminal: Slot<Pty>, uid: u32) -> &mut Self {
        let text = self.text("");
        let group = Arg::Int(-1);
        self.step(&sys::FCHOWNAT, [terminal.into(), text, uid.into(), group, 0x1000_u32.into()]);
        self
    }

    /// `ioctl(terminal, TIOCSWINSZ, {rows, columns})`.
    pub fn resize_terminal(&mut self, terminal: Slot<Pty>, rows: u16, columns: u16) -> &mut Self {
        let size = [rows, columns, 0, 0].map(u16::to_ne_bytes).concat();
        let size = Arg::Memory(self.arena.bytes(&size), Memory::Opaque("rows and columns"));
        self.step(&sys::IOCTL, [terminal.into(), TIOCSWINSZ.into(), size]);
        self
    }

    /// `ioctl(terminal, TCSETS, …)`: the modes of a new terminal, but that a newline is written as it is, without a carriage return.
    pub fn plain_newlines(&mut self, terminal: Slot<Pty>) -> &mut Self {
        let modes = [MODES.map(u32::to_ne_bytes).as_flattened(), &CHARACTERS].concat();
        let modes = Arg::Memory(self.arena.bytes(&modes), Memory::Opaque("newlines as they are"));
        self.step(&sys::IOCTL, [terminal.into(), TCSETS.into(), modes]);
        self
    }

    /// Brings the loopback interface up: `socket(AF_INET, SOCK_DGRAM)`, `ioctl(SIOCSIFFLAGS, {"lo", IFF_UP})`; see netdevice(7).
    pub fn loopback_up(&mut self) -> &mut Self {
        let kind = unsigned(libc::SOCK_DGRAM | libc::SOCK_CLOEXEC);
        let args = [libc::AF_INET.into(), kind.into(), 0_u32.into()];
        let socket: Slot<Sock> = self.out(&sys::SOCKET, args, "socket");
        let mut request = [0; 40];
        for (place, byte) in request.iter_mut().zip(*b"lo") {
            *place = byte;
        }
        request[16] = IFF_UP;
        let request = Arg::Memory(self.arena.bytes(&request), Memory::Opaque("lo: up"));
        self.step(&sys::IOCTL, [socket.into(), SIOCSIFFLAGS.into(), request]);
        self.close(socket)
    }

    /// Sets every signal to its default action: the host may have had some ignored, and that survives exec. A composite of 62
    /// `rt_sigaction`.
    pub fn reset_signals(&mut self) -> &mut Self {
        self.set_signals(0)
    }

    /// Behind [`Builder::reset_signals`]: SIGHUP, SIGINT, SIGQUIT and SIGTERM end the init, once they are let through ([`Builder::unblock_ending`]), with 128 and
    /// their number as exit code. Exec resets them. A composite of 4 `rt_sigaction`.
    pub fn end_on_signals(&mut self) -> &mut Self {
        self.set_signals(ENDING)
    }

    fn set_signals(&mut self, ending: u32) -> &mut Self {
        let default = Arg::Memory(self.arena.room(32), Memory::Opaque("default"));
        // Handler, flags, restorer, mask. The kernel enters no handler without a restorer, and this one does not return.
        let handled = self.arena.words(&[Ok(0), Ok(SA_RESTORER), Ok(0), Ok(0)]);
        let handled = Arg::Memory(handled, Memory::Opaque("end"));
        self.step_of(wire::Kind::ResetSignals, &sys::RT_SIGACTION, [default, handled]).aux = ending;
        self
    }

    /// `rt_sigprocmask(SIG_SETMASK, {})`: all signals unblocked.
    pub fn unblock_signals(&mut self) -> &mut Self {
        self.block_signals(0, "{}")
    }

    /// `rt_sigprocmask(SIG_SETMASK, …)`: those of [`Builder::end_on_signals`] unblocked, and no others.
    pub fn unblock_ending(&mut self) -> &mut Self {
        self.block_signals(!u64::from(ENDING), "all but those that end it")
    }

    fn block_signals(&mut self, mask: u64, shown: &'static str) -> &mut Self {
        let set = Arg::Memory(self.arena.words(&[Ok(mask)]), Memory::Opaque(shown));
        self.step(&sys::RT_SIGPROCMASK, [SIG_SETMASK.into(), set, 0_u32.into(), 8_u32.into()]);
        self
    }

    /// Loads a system call filter: `seccomp(SECCOMP_SET_MODE_FILTER, flags, program)`. Nothing but exec may follow. `program` is an
    /// array of `struct sock_filter`, 8 bytes each.
    pub fn seccomp(&mut self, program: &[u8], flags: u32) -> &mut Self {
        let filter = self.filter(program);
        self.step(&sys::SECCOMP, [1_u32.into(), flags.into(), filter]);
        self
    }

    /// A `struct sock_fprog`.
    pub(super) fn filter(&mut self, program: &[u8]) -> Arg {
        let filter = self.arena.bytes(program);
        let len = self.arena.words(&[Ok((program.len() / 8) as u64), Err(filter)]);
        Arg::Memory(len, Memory::Opaque("filter"))
    }

    /// Loads a filter that notifies, and waits until the host has taken its listener: [`Builder::seccomp`] with `SECCOMP_FILTER_FLAG_NEW_LISTENER`,
    /// then `prctl(KNOCK, words)`, which the filter must turn into a notification, to be answered with 0. Nothing but exec may follow.
    ///
    /// The listener is a descriptor of the init that exec closes, and under a filter the init can't send it: so a step of the host's
    /// between this one and [`Builder::await_exec`] has to find it, by pidfd_getfd(2), and answer. Nothing else ends the wait but the init's death.
    /// A host to whom the init's descriptors are closed wants [`Builder::listen_and_send`].
    pub fn listen(&mut self, program: &[u8], flags: u32, words: [u64; 2]) -> &mut Self {
        self.seccomp(program, flags | NEW_LISTENER);
        self.knock(words)
    }

    pub(crate) fn knock(&mut self, words: [u64; 2]) -> &mut Self {
        let words = Arg::Memory(self.arena.words(&words.map(Ok)), Memory::Opaque("secret"));
        self.step_of(wire::Kind::Knock, &sys::PRCTL_KNOCK, [wire::KNOCK.into(), words]);
        self
    }

    /// Runs a program inside and waits for it: `clone3`, then `execve` in the child, then `wait4`. Its output goes to
    /// `output`. Any status but 0 ends the plan.
    pub fn hook(&mut self, hook: &Hook, input: Slot<File>, output: Slot<File>) -> &mut Self {
        let path = self.path(&hook.path);
        let argv = Arg::Memory(self.arena.strings(hook.args.iter().map(Vec::as_slice)), Memory::Strings);
        let envp = Arg::Memory(self.arena.strings(hook.env.iter().map(Vec::as_slice)), Memory::Environment);
        let signal = u64::from(unsigned(libc::SIGCHLD));
        let clone = self.arena.words(&[
            Ok(0),
            Ok(0),
            Ok(0),
            Ok(0),
            Ok(signal),
            Ok(0),
            Ok(0),
            Ok(0),
            Ok(0),
            Ok(0),
            Ok(0),
        ]);
        let clone = Arg::Memory(clone, Memory::Opaque("SIGCHLD"));
        self.step_of(wire::Kind::Hook, &sys::CLONE3, [path, argv, envp, clone, input.into(), output.into()]);
        self
    }

    /// Replaces the init by the program: one `execve` for each candidate path, each but the last going on to the next if it
    /// is not there or may not be run.
    pub fn exec(&mut self, candidates: &[PathBuf], args: &[Vec<u8>], env: &[Vec<u8>]) -> &mut Self {
        let argv = Arg::Memory(self.arena.strings(args.iter().map(Vec::as_slice)), Memory::Strings);
        let envp = Arg::Memory(self.arena.strings(env.iter().map(Vec::as_slice)), Memory::Environment);
        for (index, candidate) in candidates.iter().enumerate() {
            let path = self.path(candidate);
            self.step(&sys::EXECVE, [path, argv, envp]);
            if index + 1 < candidates.len() {
                self.tolerate(libc::ENOENT).tolerate(libc::ENOTDIR).tolerate(libc::EACCES);
            }
        }
        self
    }

    /// Replaces the init by a program that is open already: `execveat(program, "", argv, envp, AT_EMPTY_PATH)`. Of a slot that exec closes it can't be a
    /// script, which its interpreter opens once more.
    pub fn exec_open(&mut self, program: Slot<File>, args: &[Vec<u8>], env: &[Vec<u8>]) -> &mut Self {
        let argv = Arg::Memory(self.arena.strings(args.iter().map(Vec::as_slice)), Memory::Strings);
        let envp = Arg::Memory(self.arena.strings(env.iter().map(Vec::as_slice)), Memory::Environment);
        let path = self.text("");
        self.step(&sys::EXECVEAT, [program.into(), path, argv, envp, 0x1000_u32.into()]);
        self
    }

    /// Makes the init the reaper: it reaps every orphan and leaves on SIGTERM. Never returns.
    pub fn reap(&mut self) -> &mut Self {
        const SIGCHLD_AND_SIGTERM: u64 = 1 << 16 | 1 << 14;
        let set = Arg::Memory(self.arena.words(&[Ok(SIGCHLD_AND_SIGTERM)]), Memory::Opaque("{CHLD TERM}"));
        self.step_of(wire::Kind::Reap, &sys::RT_SIGTIMEDWAIT, [set]);
        self
    }
}
