//! Composites about processes: respawn, signals, hook, reaper.

use super::{Machine, Sys, errno, nr};
use crate::wire::{KNOCK, board, signed, word};

const MSG_NOSIGNAL: usize = 0x4000;

impl<S: Sys> Machine<'_, S> {
    /// `args`: clone arguments and their size, pidfd (arena), socket, message header; `place` takes the pidfd, the payload
    /// of the message (8 bytes before it) the pid. The board gets the pid from the kernel.
    pub(super) fn respawn(&mut self, place: usize, args: [usize; 6]) -> Result<usize, i32> {
        let address = self.sys.board_address(board::CHILD);
        self.poke_address(args[0], crate::wire::PARENT_TID, address)?;
        let pid = self.call(nr::CLONE3, [args[0], args[1], 0, 0, 0, 0])?;
        if pid == 0 {
            return Ok(0);
        }
        let at = args[2].checked_sub(self.base).ok_or(errno::EINVAL)?;
        let pidfd = signed(word(self.plan, self.header.arena_at() + at).ok_or(errno::EINVAL)?);
        self.poke(place, pidfd)?;
        self.poke(
            place.checked_sub(crate::wire::RESPAWN_PID).ok_or(errno::EINVAL)?,
            i32::try_from(pid).unwrap_or(-1),
        )?;
        // The child, which nobody adopts then, leaves at its first wait for the host.
        self.retry(nr::SENDMSG, [args[3], args[4], 0, 0, 0, 0])?;
        self.sys.call(nr::EXIT_GROUP, [0; 6]);
        Ok(0)
    }

    /// `args`: addresses of a zeroed `struct sigaction`, which is the default action with no flags, and of one that gets the handler; `ending`: the mask of
    /// signals whose action is to be that, of all if there are none the default one.
    pub(super) fn reset_signals(&mut self, args: [usize; 6], ending: u32) -> Result<(), i32> {
        let [default, handled, ..] = args;
        if ending != 0 {
            let handler = self.sys.ending();
            self.poke_address(handled, 0, handler)?;
        }
        let (action, last) = if ending == 0 { (default, 64) } else { (handled, 32) };
        for signal in (1..=last).filter(|signal| ![9, 19].contains(signal)) {
            if ending == 0 || ending >> (signal - 1) & 1 != 0 {
                self.call(nr::RT_SIGACTION, [signal, action, 0, 8, 0, 0])?;
            }
        }
        Ok(())
    }

    /// Stores an address behind one that an argument gave.
    fn poke_address(&mut self, place: usize, behind: usize, address: usize) -> Result<(), i32> {
        let at = place.checked_sub(self.base).ok_or(errno::EINVAL)? + behind;
        let address = address as u64;
        for (half, value) in [(0, address), (4, address >> 32)] {
            self.poke(at + half, signed((value & 0xffff_ffff) as u32))?;
        }
        Ok(())
    }

    /// `args`: path, argv, envp, clone arguments, descriptor for stdin, descriptor for stdout and stderr.
    pub(super) fn hook(&mut self, args: [usize; 6]) -> Result<usize, i32> {
        let [path, argv, envp, clone, input, output] = args;
        let pid = self.call(nr::CLONE3, [clone, 88, 0, 0, 0, 0])?;
        if pid == 0 {
            for (from, to) in [(input, 0), (output, 1), (output, 2)] {
                self.sys.call(nr::DUP3, [from, to, 0, 0, 0, 0]);
            }
            self.sys.call(nr::CLOSE_RANGE, [3, u32::MAX as usize, 0, 0, 0, 0]);
            // `clone` is zeroed past its first words: the empty signal set lies in its last 8 bytes.
            self.sys.call(nr::RT_SIGPROCMASK, [2, clone + 80, 0, 8, 0, 0]);
            let errno = self.sys.call(nr::EXECVE, [path, argv, envp, 0, 0, 0]);
            let code = if errno == -2 { 127 } else { 126 };
            self.sys.call(nr::EXIT_GROUP, [code, 0, 0, 0, 0, 0]);
            return Ok(0);
        }
        let status = self.sys.board_address(board::AUX);
        self.sys.store(board::AUX, 0);
        self.retry(nr::WAIT4, [pid, status, 0, 0, 0, 0])?;
        if self.sys.load_aux() == 0 { Ok(0) } else { Err(errno::ECANCELED) }
    }

    /// `args`: those of the call that loads the filter, then socket, message header, address of two words. The filter lets nothing out but this.
    pub(super) fn send_listener(&mut self, nr: usize, place: usize, args: [usize; 6]) -> Result<usize, i32> {
        let [operation, flags, program, socket, header, words] = args;
        let (first, second) = self.two_words(words)?;
        let listener = self.call(nr, [operation, flags, program, 0, 0, 0])?;
        self.poke(place, i32::try_from(listener).map_err(|_| errno::EBADE)?)?;
        self.retry(nr::SENDMSG, [socket, header, MSG_NOSIGNAL, KNOCK as usize, first, second])
    }

    /// `args`: the option, address of two words. What is no answer of the host's, such as one of another filter, is a difference.
    pub(super) fn knock(&mut self, nr: usize, args: [usize; 6]) -> Result<usize, i32> {
        let (first, second) = self.two_words(args[1])?;
        match self.call(nr, [args[0], first, second, 0, 0, 0])? {
            0 => Ok(0),
            _ => Err(errno::EBADE),
        }
    }

    fn two_words(&self, address: usize) -> Result<(usize, usize), i32> {
        let at = address.checked_sub(self.base).ok_or(errno::EINVAL)?;
        Ok((self.long_word(at)?, self.long_word(at + 8)?))
    }

    fn long_word(&self, offset: usize) -> Result<usize, i32> {
        let at = self.header.arena_at() + offset;
        let half = |at| word(self.plan, at).ok_or(errno::EINVAL);
        usize::try_from(u64::from(half(at + 4)?) << 32 | u64::from(half(at)?)).map_err(|_| errno::EINVAL)
    }

    /// `args`: address of the signal set {SIGCHLD, SIGTERM}. Reaps until SIGTERM comes.
    pub(super) fn reap(&mut self, args: [usize; 6]) -> Result<usize, i32> {
        self.sys.store(board::STATE, board::STATE_REAPER);
        while self.sys.alive() {
            let signal = self.sys.call(nr::RT_SIGTIMEDWAIT, [args[0], 0, 0, 8, 0, 0]);
            if signal == 15 {
                self.sys.call(nr::EXIT_GROUP, [0; 6]);
                return Ok(0);
            }
            // __WALL | WNOHANG: orphans come with any exit signal.
            let any = usize::MAX;
            while self.sys.alive() && self.sys.call(nr::WAIT4, [any, 0, 0x4000_0001, 0, 0, 0]) > 0 {}
        }
        Ok(0)
    }
}
