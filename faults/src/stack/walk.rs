//! A walk over the stack of a thread that stands still.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use nix::unistd::Pid;

use super::image::{Image, Rule};
use super::names::{self, Frame, Walked};
use crate::arch::{REGISTERS, RETURN, Registers, STACK};
use crate::memory;

/// How many functions are looked at.
const FRAMES: usize = 256;
/// How much of a stack is read: mostly enough, and all that there may be.
const BYTES: [usize; 2] = [32 << 10, 1 << 20];

/// A file in the memory of a process.
#[derive(Clone, Debug)]
struct Mapped {
    /// Its instructions.
    code: Range<u64>,
    /// Where its address 0 is.
    base: u64,
    image: Rc<Image>,
}

/// Reads each program once, and what a process has in its memory until it executes another.
#[derive(Debug, Default)]
pub(crate) struct Walker {
    images: BTreeMap<String, Option<Rc<Image>>>,
    processes: BTreeMap<Pid, Vec<Mapped>>,
}

impl Walker {
    /// What was known of processes: their numbers are given anew.
    pub(crate) fn forget(&mut self) {
        self.processes.clear();
    }

    /// The site at which a thread makes a call; nothing if no function of ours is found on a stack that is not walked to its end.
    pub(crate) fn site(&mut self, thread: Pid, process: Pid, registers: &Registers) -> Option<String> {
        names::site(&self.walked(thread, process, registers)?)
    }

    fn walked(&mut self, thread: Pid, process: Pid, registers: &Registers) -> Option<Walked> {
        let values = registers.numbered();
        let (start, at) = (*values.get(STACK)?, *values.get(RETURN)?);
        let known = self.processes.get(&process);
        if !known.into_iter().flatten().any(|mapped| mapped.code.contains(&at)) {
            let mapped = self.mapped(process);
            self.processes.insert(process, mapped);
        }
        let mapped = self.processes.get(&process)?;
        let walk =
            |length| walked(values, &Stack { start, bytes: memory::of(thread, start, length) }, mapped);
        let [most, all] = BYTES;
        Some(walk(most)).filter(|walked| walked.whole).or_else(|| Some(walk(all)))
    }

    fn mapped(&mut self, process: Pid) -> Vec<Mapped> {
        let text = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
        let (mut all, mut base) = (Vec::new(), 0);
        for line in text.lines().filter_map(Line::read) {
            if line.offset == 0 {
                base = line.range.start;
            }
            if let Some(image) = line.executable.then(|| self.image(line.path)).flatten() {
                all.push(Mapped { code: line.range, base, image });
            }
        }
        all
    }

    fn image(&mut self, path: &str) -> Option<Rc<Image>> {
        // One that can't be read has functions without names: the walk ends there.
        let read = || Image::read(Path::new(path)).ok().map(Rc::new);
        self.images.entry(path.to_owned()).or_insert_with(read).clone()
    }
}

/// A line of `/proc/PID/maps` that names a file.
struct Line<'a> {
    range: Range<u64>,
    executable: bool,
    offset: u64,
    path: &'a str,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (range, rights, offset) = (words.next()?, words.next()?, words.next()?);
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (from, to) = range.split_once('-')?;
        let path = words.nth(2).filter(|path| path.starts_with('/'))?;
        let range = number(from)?..number(to)?;
        Some(Self { range, executable: rights.contains('x'), offset: number(offset)?, path })
    }
}

/// What lies on a stack, from its end on.
struct Stack {
    start: u64,
    bytes: Vec<u8>,
}

impl Stack {
    fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        self.bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
    }
}

type Values = [u64; REGISTERS];

/// The functions on a stack, innermost first, as far as each names who called it.
fn walked(mut values: Values, stack: &Stack, mapped: &[Mapped]) -> Walked {
    let mut all = Walked::default();
    while all.frames.len() < FRAMES {
        // An address to return to is behind its call, which may be the last that a function does.
        let Some(address) = values.get(RETURN).and_then(|at| at.checked_sub(1)) else { break };
        let Some(file) = mapped.iter().find(|file| file.code.contains(&address)) else { break };
        let address = address - file.base;
        let (symbol, within) = file.image.function(address).unwrap_or((file.image.name(), address));
        all.frames.push(Frame { symbol: symbol.to_owned(), within });
        let rule = file.image.rule(address);
        // The C library's entry of clone3(2) has none: it has not put anything on its stack yet.
        let Some(rule) = rule.or_else(|| (all.frames.len() == 1).then(at_once)) else { break };
        // The first function of a thread has nobody to return to.
        all.whole = !rule.saved.contains_key(&RETURN);
        let caller = if all.whole { None } else { caller(values, &rule, stack) };
        let Some(caller) = caller else { break };
        values = caller;
    }
    all
}

/// The rule of a function's first instruction.
fn at_once() -> Rule {
    Rule { frame: Some((STACK, 8)), saved: BTreeMap::from([(RETURN, -8)]) }
}

/// The registers of who called a function with these.
fn caller(values: Values, rule: &Rule, stack: &Stack) -> Option<Values> {
    let (register, offset) = rule.frame?;
    let frame = values.get(register)?.checked_add_signed(offset)?;
    let mut callers = values;
    for (register, offset) in &rule.saved {
        *callers.get_mut(*register)? = stack.word(frame.checked_add_signed(*offset)?)?;
    }
    *callers.get_mut(STACK)? = frame;
    Some(callers)
}

#[cfg(test)]
mod tests {
    use nix::sys::ptrace;
    use nix::sys::signal::{Signal, raise};
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

    use super::*;

    /// In the environment of the child that is looked at.
    const CHILD: &str = "FAULTS_WALKED";

    fn one() {
        for _ in 0..2 {
            call();
        }
    }

    fn two() {
        call();
    }

    #[inline(never)]
    fn call() {
        // By the C library, which keeps no frame pointers.
        assert!(nix::sys::stat::stat("/").is_ok());
    }

    /// The stacks at its calls of stat(2), behind its own stop.
    fn stacks(child: Pid) -> Vec<Walked> {
        let (mut walker, mut all, mut inside) = (Walker::default(), Vec::new(), false);
        loop {
            // Its thread of tests, whose parent is this one.
            let thread = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)).unwrap() {
                WaitStatus::Exited(ended, code) if ended == child => {
                    assert_eq!(code, 0);
                    return all;
                }
                WaitStatus::Stopped(thread, Signal::SIGTRAP) => {
                    inside = !inside;
                    let registers = Registers::of(thread).unwrap();
                    if inside && registers.number() == libc::SYS_newfstatat {
                        all.push(walker.walked(thread, child, &registers).unwrap());
                    }
                    thread
                }
                WaitStatus::Stopped(thread, _) => thread,
                _ => continue,
            };
            ptrace::syscall(thread, None).unwrap();
        }
    }

    /// That of a loop is one, those of two callers are two, and each leads to the beginning.
    #[test]
    fn a_stack_tells_callers_apart() {
        if std::env::var_os(CHILD).is_some() {
            ptrace::traceme().unwrap();
            raise(Signal::SIGSTOP).unwrap();
            one();
            return two();
        }
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--test-threads=1", "stack::walk::tests::a_stack_tells_callers_apart"]);
        let mut child = command.env(CHILD, "1").stdout(std::process::Stdio::null()).spawn().unwrap();
        let all = stacks(Pid::from_raw(i32::try_from(child.id()).unwrap()));
        // Its end has been seen.
        let _ = child.wait();
        let [first, again, other] = all.as_slice() else { panic!("{all:#?}") };
        assert_eq!(first, again);
        assert_ne!(first, other);
        for (walked, caller) in [(first, "one"), (other, "two")] {
            let names: Vec<_> = walked.frames.iter().map(|frame| frame.symbol.as_str()).collect();
            let at = names.iter().position(|name| name.contains("5tests4call")).unwrap();
            assert!(names[at + 1].contains(&format!("5tests3{caller}")), "{names:#?}");
            assert!(walked.whole, "{names:#?}");
        }
    }

    #[test]
    fn a_caller_has_what_its_callee_saved() {
        let words: [u64; 4] = [11, 22, 33, 44];
        let stack =
            Stack { start: 0x1000, bytes: words.iter().flat_map(|word| word.to_le_bytes()).collect() };
        let mut values = [0; REGISTERS];
        values[STACK] = 0x1000;
        let rule = Rule { frame: Some((STACK, 24)), saved: BTreeMap::from([(RETURN, -8), (6, -16)]) };
        let callers = caller(values, &rule, &stack).unwrap();
        assert_eq!((callers[RETURN], callers[6], callers[STACK]), (33, 22, 0x1018));
        let beyond = Rule { frame: Some((STACK, 48)), saved: BTreeMap::from([(RETURN, -8)]) };
        assert_eq!(caller(values, &beyond, &stack), None);
    }

    #[test]
    fn files_in_memory_are_told_by_their_lines() {
        let line = Line::read("7f00-7fff r-xp 00001000 fd:00 12  /usr/lib/libc.so.6").unwrap();
        assert_eq!((line.range, line.executable, line.offset), (0x7f00..0x7fff, true, 0x1000));
        assert_eq!(line.path, "/usr/lib/libc.so.6");
        assert!(Line::read("7f00-7fff rw-p 00000000 00:00 0  [stack]").is_none());
        assert!(Line::read("7f00-7fff rw-p 00000000 00:00 0").is_none());
    }
}
