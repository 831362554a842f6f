//! Tests that look behind the public interface: the verifier, and the interpreter on a table instead of a kernel.

mod bounds;
mod damage;
mod messages;
mod numbers;
mod open;
mod parts;
mod random;
mod seal;
mod steps;
mod tree;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use crate::interpret::{self, Sys, nr};
use crate::wire::board;
use crate::{Builder, Fault, Lane, Plan, SlotId};

/// One system call that the interpreter made.
type Call = (usize, [usize; 6]);

/// A kernel made of a list: what each call answers, in order, then 0; and what it writes to its memory.
#[derive(Debug, Default)]
struct Table {
    answers: Vec<isize>,
    /// By index of the call: index of the argument with the address, bytes to store there.
    writes: BTreeMap<usize, (usize, usize, Vec<u8>)>,
    calls: Vec<Call>,
    board: BTreeMap<usize, u64>,
    /// Status that `wait4` leaves.
    status: u64,
    memory: Option<File>,
    /// The second part of the plan, as it comes: in a file, or in the message.
    part: Vec<u8>,
    inline: bool,
    gone: bool,
}

impl Table {
    fn answering(answers: &[isize]) -> Self {
        Self { answers: answers.to_vec(), ..Self::default() }
    }

    /// Call number `call` stores `bytes` at its argument number `argument`, `offset` bytes further.
    fn writing(mut self, call: usize, argument: usize, offset: usize, bytes: &[u8]) -> Self {
        self.writes.insert(call, (argument, offset, bytes.to_vec()));
        self.memory = Some(OpenOptions::new().write(true).open("/proc/self/mem").unwrap());
        self
    }

    fn numbers(&self) -> Vec<usize> {
        self.calls.iter().map(|(number, _)| *number).collect()
    }

    fn board(&self, word: usize) -> u64 {
        self.board.get(&word).copied().unwrap_or(0)
    }
}

impl Sys for Table {
    fn call(&mut self, nr: usize, args: [usize; 6]) -> isize {
        let index = self.calls.len();
        self.calls.push((nr, args));
        if let Some((argument, offset, bytes)) = self.writes.get(&index) {
            // The interpreter runs on memory of this process; this is what the kernel would do with its pointer.
            let memory = self.memory.as_ref().unwrap();
            memory.write_all_at(bytes, args[*argument].wrapping_add(*offset) as u64).unwrap();
        }
        let answer = self.answers.get(index).copied().unwrap_or(0);
        if nr == nr::WAIT4 && args[1] != 0 {
            self.board.insert(board::AUX, self.status);
        }
        let ends = nr == nr::EXIT_GROUP || (nr == nr::EXECVE && answer == 0);
        self.gone |= ends || self.calls.len() > 10_000;
        answer
    }

    fn store(&mut self, word: usize, value: u64) {
        // A process that is gone stores nothing.
        if !self.gone {
            self.board.insert(word, value);
        }
    }

    fn load_aux(&mut self) -> u64 {
        self.board(board::AUX)
    }

    fn board_address(&mut self, word: usize) -> usize {
        0x1_0000 + word * 8
    }

    fn stamp(&mut self) -> u64 {
        self.calls.len() as u64 + 1
    }

    fn map(&mut self, _: usize, len: usize) -> Option<&'static mut [u8]> {
        let bytes = words(&std::mem::take(&mut self.part));
        (len == bytes.len() && len != 0).then_some(bytes)
    }

    fn room(&mut self, len: usize) -> Option<&'static mut [u8]> {
        let room = words(&vec![0; len]);
        if self.inline {
            // What the kernel does when the message is taken.
            room.iter_mut().zip(&self.part).for_each(|(place, byte)| *place = *byte);
        }
        Some(room)
    }

    fn alive(&self) -> bool {
        !self.gone
    }
}

/// As the kernel does, whole words: a part is looked up at multiples of 8.
fn words(bytes: &[u8]) -> &'static mut [u8] {
    let words: Vec<u64> = bytes
        .chunks(8)
        .map(|chunk| u64::from_ne_bytes(std::array::from_fn(|at| chunk.get(at).copied().unwrap_or(0))))
        .collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    Box::leak(bytes.into_boxed_slice())
}

/// Each preset slot of `plan` with a number of its own, from 100.
fn numbered(plan: &Plan) -> Vec<(SlotId, i32)> {
    (100..).zip(plan.presets()).map(|(number, (slot, _))| (slot, number)).collect()
}

/// Runs `plan` on `table`; returns the step at which it ended, and the error number.
fn run(plan: &Plan, table: &mut Table) -> (usize, i32) {
    run_on(plan, table)
}

fn run_on(plan: &Plan, sys: &mut impl Sys) -> (usize, i32) {
    interpret::run(sys, &mut plan.encode(&numbered(plan), None, false))
}

/// As [`run`], with a fault at that step.
fn run_with_fault(plan: &Plan, table: &mut Table, step: usize, errno: i32) -> (usize, i32) {
    let fault = Fault { lane: Lane::Child, step, errno };
    interpret::run(table, &mut plan.encode(&numbered(plan), Some(fault), false))
}

/// A sealed plan of what `build` adds, and `/bin/true` at its end.
fn plan(build: impl FnOnce(&mut Builder)) -> Plan {
    sealed(|plan| {
        build(plan);
        exec(plan);
    })
    .unwrap()
}

fn sealed(build: impl FnOnce(&mut Builder)) -> Result<Plan, crate::SealError> {
    let mut plan = Builder::new();
    plan.start_init();
    build(&mut plan);
    plan.await_exec();
    plan.seal()
}

fn exec(plan: &mut Builder) {
    plan.exec(&["/bin/true".into()], &[b"true".to_vec()], &[]);
}

fn number(call: libc::c_long) -> usize {
    usize::try_from(call).unwrap()
}
