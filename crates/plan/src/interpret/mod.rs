//! The interpreter: runs the steps of a plan, one after the other.
//!
//! Compiled twice, like [`crate::wire`]: into the freestanding init, where [`Sys`] issues raw system calls, and into this
//! crate's tests, where it is a table. It allocates nothing, has no loop over steps but the forward walk, and
//! indexes nothing unchecked, so a plan that is not what `seal` let through ends with an error number and nothing else.

use crate::order::Order;
use crate::wire::signed;
use crate::wire::{ArgKind, Header, Kind, NO_SLOT, SLOTS, Step, board, word};

mod numbers;
mod open;
mod part;
mod process;
mod walk;

use numbers::bits;
pub use numbers::{errno, nr};

/// What the interpreter runs on.
pub trait Sys {
    /// Issues a system call and returns what the kernel returns: a negative error number on failure.
    fn call(&mut self, nr: usize, args: [usize; 6]) -> isize;
    /// Stores a word of the board.
    fn store(&mut self, word: usize, value: u64);
    /// Reads the board's `AUX` word, where `wait4` left a status.
    fn load_aux(&mut self) -> u64;
    /// Address of a word of the board, for the kernel to write to.
    fn board_address(&mut self, word: usize) -> usize;
    /// The processor's time stamp counter.
    fn stamp(&mut self) -> u64;
    /// `openat2(dir, path, how)`. `path` ends with a NUL, here and below.
    fn open(&mut self, dir: usize, path: &[u8], how: &[u64; 3]) -> isize {
        let [path, how] = [path.as_ptr().expose_provenance(), how.as_ptr().expose_provenance()];
        self.call(nr::OPENAT2, [dir, path, how, 24, 0, 0])
    }
    /// `readlinkat(dir, name)` into a buffer.
    fn read_link(&mut self, dir: usize, name: &[u8], into: &mut [u8]) -> isize {
        let [name, length] = [name.as_ptr().expose_provenance(), into.len()];
        self.call(nr::READLINKAT, [dir, name, into.as_mut_ptr().expose_provenance(), length, 0, 0])
    }
    /// `mkdirat` or `mknodat`, whichever `nr` is.
    fn make(&mut self, nr: usize, dir: usize, name: &[u8], mode: u32) -> isize {
        self.call(nr, [dir, name.as_ptr().expose_provenance(), mode as usize, 0, 0, 0])
    }
    /// `statx(fd, "", AT_EMPTY_PATH, STATX_TYPE)` into a buffer.
    fn status(&mut self, fd: usize, into: &mut [u8; bits::STATUS]) -> isize {
        let [empty, into] = [c"".as_ptr().expose_provenance(), into.as_mut_ptr().expose_provenance()];
        self.call(nr::STATX, [fd, empty, 0x1000, 1, into, 0])
    }
    /// The first `len` bytes of a file, as private memory that stays for as long as the process; `None` if that fails, or there are no
    /// files here.
    fn map(&mut self, _fd: usize, _len: usize) -> Option<&'static mut [u8]> {
        None
    }
    /// `len` zeroed bytes of private memory that stays for as long as the process, at a multiple of 8; `None` if there is none.
    fn room(&mut self, _len: usize) -> Option<&'static mut [u8]> {
        None
    }
    /// Gives back the memory of a part of which nothing but its steps is needed any more: it comes back as it was before its pointers were relocated.
    fn give_back(&mut self, _part: &mut [u8]) {}
    /// Address of a handler that leaves with 128 and the number of the signal, as a shell tells of who ends by one.
    fn ending(&mut self) -> usize {
        0
    }
    /// Whether the process should go on: false once a call has replaced or ended it (only a test's table says so).
    fn alive(&self) -> bool {
        true
    }
}

/// A plan being run.
#[derive(Debug)]
pub struct Machine<'a, S> {
    sys: &'a mut S,
    /// The part that is being run.
    plan: &'a mut [u8],
    /// The first that was run.
    first: &'a mut [u8],
    /// What follows in the same memory.
    rest: &'a mut [u8],
    header: Header,
    base: usize,
    slots: [i32; SLOTS],
    order: Order,
    /// The step that has just run has entered another part.
    entered: bool,
}

/// Runs `plan` on `sys`. Returns only when a step failed: with its index and error number, which are on the board too.
pub fn run<S: Sys>(sys: &mut S, plan: &mut [u8]) -> (usize, i32) {
    let (header, order) = (Header::default(), Order::default());
    let slots = [-1; SLOTS];
    let mut machine = Machine {
        sys,
        plan: &mut [],
        first: &mut [],
        rest: plan,
        header,
        base: 0,
        slots,
        order,
        entered: false,
    };
    let failure = match machine.enter_next() {
        Ok(()) => machine.steps(),
        Err(errno) => (0, errno),
    };
    sys.store(board::STEP, failure.0 as u64);
    sys.store(board::ERRNO, u64::from(failure.1.unsigned_abs()));
    sys.store(board::STATE, board::STATE_FAILED);
    failure
}

impl<S: Sys> Machine<'_, S> {
    fn steps(&mut self) -> (usize, i32) {
        self.sys.store(board::STATE, board::STATE_STEPS);
        let mut index = 0;
        self.entered = false;
        while index < self.header.steps as usize {
            let number = self.header.first as usize + index;
            let at = self.header.steps_at() + index * crate::wire::STEP;
            let Some(step) = Step::decode(self.plan, at) else { return (number, errno::EINVAL) };
            self.sys.store(board::STEP, number as u64);
            if self.header.trace != 0 {
                let stamp = self.sys.stamp();
                self.sys.store(board::STAMPS + number, stamp);
            }
            let result = self.outcome(number, &step);
            if !self.sys.alive() {
                return (number, 0);
            }
            match self.next(index, &step, result) {
                Ok(next) => index = next,
                Err(errno) => return (number, errno),
            }
        }
        (self.header.first as usize + index, errno::EINVAL)
    }

    fn outcome(&mut self, number: usize, step: &Step) -> Result<usize, i32> {
        if self.header.inject_step as usize == number + 1 {
            return match self.header.inject_errno {
                0 => Ok(0),
                errno => Err(signed(errno)),
            };
        }
        self.execute(step)
    }

    /// The index of the step to go on with.
    fn next(&mut self, index: usize, step: &Step, result: Result<usize, i32>) -> Result<usize, i32> {
        let errno = match result {
            Ok(value) => {
                if let Some(slot) = self.slots.get_mut(step.out as usize) {
                    *slot = i32::try_from(value).map_err(|_| errno::EBADE)?;
                }
                0
            }
            Err(errno) => errno,
        };
        for outcome in step.outcomes {
            // Forward only: whatever the bytes say, the walk ends.
            let forward = usize::from(outcome.to) > index && u32::from(outcome.to) < self.header.steps;
            if forward && i32::from(outcome.errno) == errno {
                if errno == errno::EACCES && usize::from(step.nr) == nr::EXECVE {
                    self.sys.store(board::REFUSED, u64::from(self.header.first) + index as u64 + 1);
                }
                return Ok(outcome.to as usize);
            }
        }
        let number = self.header.first as usize + index + 1;
        let stays = self.header.stays != 0 && number >= self.header.stays as usize;
        let errno = if stays { self.alone(step, errno) } else { errno };
        if errno == 0 {
            return Ok(if core::mem::take(&mut self.entered) { 0 } else { index + 1 });
        }
        self.keep_log(step.log);
        Err(errno)
    }

    /// What a step means whose host is gone, for an init that stays: what it says needs no listener, and what it would wait for does not come.
    fn alone(&mut self, step: &Step, errno: i32) -> i32 {
        match (step.kind, errno) {
            (Kind::Call, errno::EPIPE) if usize::from(step.nr) == nr::WRITE => 0,
            (Kind::SendFd, errno::EPIPE) => 0,
            (Kind::Await | Kind::RecvFd, errno::ECONNRESET) => self.stay(),
            _ => errno,
        }
    }

    /// Waits for the end, with nothing of anybody's open. Returns in a test only.
    fn stay(&mut self) -> i32 {
        self.sys.call(nr::CLOSE_RANGE, [0, u32::MAX as usize, 0, 0, 0, 0]);
        while self.sys.alive() {
            self.sys.call(nr::PPOLL, [0; 6]);
        }
        errno::ECONNRESET
    }

    fn execute(&mut self, step: &Step) -> Result<usize, i32> {
        let mut args = [0; 6];
        for (place, (kind, value)) in args.iter_mut().zip(step.args) {
            *place = self.argument(kind, value)?;
        }
        let nr = usize::from(step.nr);
        match step.kind {
            Kind::Call => self.call(nr, args),
            Kind::Expect => self.expect(nr, args, step.aux),
            Kind::Await | Kind::AwaitAny => self.wait_for(step, args),
            Kind::SendFd if nr == nr::SENDMSG => self.send_fd(step.aux as usize, args),
            Kind::SendFd => self.send_listener(nr, step.aux as usize, args),
            Kind::RecvFd => self.receive_fd(step.aux as usize, args),
            Kind::Respawn => self.respawn(step.aux as usize, args),
            Kind::Compare => self.compare(step).map(|()| 0),
            Kind::ResetSignals => self.reset_signals(args, step.aux).map(|()| 0),
            Kind::Hook => self.hook(args),
            Kind::Reap => self.reap(args),
            Kind::Open => self.open(step, args[0]),
            Kind::Knock => self.knock(nr, args),
            Kind::Next => self.enter_next().map(|()| 0),
            Kind::CallWithFd => self.call_with_fd(nr, step.aux as usize, args),
            Kind::Continue => self.enter_received(args).map(|()| 0),
        }
    }

    fn argument(&self, kind: ArgKind, value: u32) -> Result<usize, i32> {
        match kind {
            ArgKind::Signed => Ok(usize::from_ne_bytes((signed(value) as isize).to_ne_bytes())),
            ArgKind::Unsigned => Ok(value as usize),
            ArgKind::Slot => match self.slots.get(value as usize) {
                Some(&fd) if fd >= 0 => Ok(fd.unsigned_abs() as usize),
                _ => Err(errno::EBADF),
            },
            ArgKind::Arena if value <= self.header.arena => Ok(self.base + value as usize),
            ArgKind::Arena => Err(errno::EINVAL),
        }
    }

    fn call(&mut self, nr: usize, args: [usize; 6]) -> Result<usize, i32> {
        check(self.sys.call(nr, args))
    }

    fn retry(&mut self, nr: usize, args: [usize; 6]) -> Result<usize, i32> {
        loop {
            match self.call(nr, args) {
                Err(errno::EINTR) if self.sys.alive() => {}
                result => return result,
            }
        }
    }

    fn expect(&mut self, nr: usize, args: [usize; 6], wanted: u32) -> Result<usize, i32> {
        let result = self.call(nr, args)?;
        if result == wanted as usize {
            return Ok(result);
        }
        self.sys.store(board::AUX, result as u64);
        Err(errno::EBADE)
    }

    fn wait_for(&mut self, step: &Step, args: [usize; 6]) -> Result<usize, i32> {
        let (_, buffer) = step.args[1];
        if self.retry(usize::from(step.nr), args)? == 0 {
            return Err(errno::ECONNRESET);
        }
        let at = self.header.arena_at() + buffer as usize;
        let byte = self.plan.get(at).copied().ok_or(errno::EINVAL)?;
        if step.kind == Kind::Await && u32::from(byte) != step.aux {
            return Err(errno::EPROTO);
        }
        Ok(0)
    }

    fn poke(&mut self, offset: usize, value: i32) -> Result<(), i32> {
        let at = self.header.arena_at() + offset;
        let place = self.plan.get_mut(at..at + 4).ok_or(errno::EINVAL)?;
        place.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// `args`: those of the call, four at most, and the descriptor to be stored.
    fn call_with_fd(&mut self, nr: usize, place: usize, args: [usize; 6]) -> Result<usize, i32> {
        let [one, two, three, four, fd, _] = args;
        self.poke(place, i32::try_from(fd).map_err(|_| errno::EINVAL)?)?;
        self.call(nr, [one, two, three, four, 0, 0])
    }

    /// `args`: socket, message header, flags, descriptor to send.
    fn send_fd(&mut self, place: usize, args: [usize; 6]) -> Result<usize, i32> {
        self.poke(place, i32::try_from(args[3]).map_err(|_| errno::EINVAL)?)?;
        self.retry(nr::SENDMSG, [args[0], args[1], args[2], 0, 0, 0])
    }

    fn receive_fd(&mut self, place: usize, args: [usize; 6]) -> Result<usize, i32> {
        self.poke(place, -1)?;
        if self.retry(nr::RECVMSG, args)? == 0 {
            return Err(errno::ECONNRESET);
        }
        let fd = word(self.plan, self.header.arena_at() + place).ok_or(errno::EINVAL)?;
        usize::try_from(signed(fd)).map_err(|_| errno::EPROTO)
    }

    fn compare(&mut self, step: &Step) -> Result<(), i32> {
        let [(_, left), (_, right), (_, len), ..] = step.args;
        let range = |start: u32| {
            let from = self.header.arena_at() + start as usize;
            self.plan.get(from..from + len as usize)
        };
        match (range(left), range(right)) {
            (Some(left), Some(right)) if left == right => Ok(()),
            (Some(left), Some(right)) if step.aux != 0 => {
                let bits = |bytes| word(bytes, 0).map(|word| word & step.aux).ok_or(errno::EINVAL);
                if bits(left)? == bits(right)? { Ok(()) } else { Err(errno::EBADE) }
            }
            (Some(_), Some(_)) => Err(errno::EBADE),
            _ => Err(errno::EINVAL),
        }
    }

    /// Copies the messages of the mount context in `slot` to the board: `read` until it has no more.
    fn keep_log(&mut self, slot: u8) {
        let Some(&fd) = self.slots.get(slot as usize) else { return };
        if slot == NO_SLOT || fd < 0 {
            return;
        }
        let start = self.sys.board_address(board::LOG);
        let mut used = 0;
        while used + 1 < board::LOG_BYTES {
            let room = board::LOG_BYTES - used;
            let got = self.sys.call(nr::READ, [fd.unsigned_abs() as usize, start + used, room, 0, 0, 0]);
            let Ok(len @ 1..) = usize::try_from(got) else { break };
            used += len.min(room);
        }
        self.sys.store(board::LOG_LEN, used as u64);
    }
}

fn check(result: isize) -> Result<usize, i32> {
    match result {
        -4095..=-1 => Err(i32::try_from(-result).unwrap_or(errno::EINVAL)),
        value => Ok(usize::from_ne_bytes(value.to_ne_bytes())),
    }
}
