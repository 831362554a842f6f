//! Random programs of the builder: what the verifier lets through never uses a descriptor that is not open, never needs a right
//! that is gone, and ends. Programs that break a rule are refused before that.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{exec, numbered};
use crate::interpret::{self, Sys, nr};
use crate::{At, Builder, CapMasks, Dir, How, Label, Plan, SealError, Slot};

/// One thing that a program does, with numbers that pick a slot or a label among those that there are.
#[derive(Clone, Debug)]
enum Op {
    Open,
    OpenIn(usize),
    Use(usize),
    Close(usize),
    Tolerate(u8),
    Jump(u8),
    Bind(usize),
    Privileged,
    Drop,
    Keep(usize, u32),
    CloseAll(u32),
    Notify,
    Await,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let index = 0_usize..6;
    let errno = prop_oneof![Just(0_u8), Just(2), Just(17)];
    let op = prop_oneof![
        4 => Just(Op::Open),
        3 => index.clone().prop_map(Op::OpenIn),
        6 => index.clone().prop_map(Op::Use),
        3 => index.clone().prop_map(Op::Close),
        2 => prop_oneof![Just(2_u8), Just(17)].prop_map(Op::Tolerate),
        2 => errno.prop_map(Op::Jump),
        3 => index.clone().prop_map(Op::Bind),
        1 => Just(Op::Privileged),
        1 => Just(Op::Drop),
        1 => (index, 3_u32..8).prop_map(|(slot, number)| Op::Keep(slot, number)),
        1 => (3_u32..8).prop_map(Op::CloseAll),
        1 => Just(Op::Notify),
        1 => Just(Op::Await),
    ];
    prop::collection::vec(op, 0..24)
}

fn build(ops: &[Op]) -> Result<Plan, SealError> {
    let mut plan = Builder::new();
    plan.start_init();
    let (mut slots, mut labels): (Vec<Slot<Dir>>, Vec<Label>) = (Vec::new(), Vec::new());
    let pick = |slots: &[Slot<Dir>], index: usize| slots.get(index % slots.len().max(1)).copied();
    for op in ops {
        match *op {
            Op::Open => slots.push(plan.openat2(At::Cwd, "/", How::TRUSTED)),
            Op::Privileged => drop(plan.sethostname("x")),
            Op::Drop => drop(plan.capset(CapMasks::default())),
            Op::Tolerate(errno) => drop(plan.tolerate(errno.into())),
            Op::CloseAll(first) => drop(plan.close_range(first, u32::MAX)),
            Op::Notify => drop(plan.notify_host("here")),
            Op::Await => drop(plan.await_host("there")),
            Op::Jump(errno) => {
                let label = plan.label();
                plan.on(errno.into(), label);
                labels.push(label);
            }
            Op::Bind(index) if !labels.is_empty() => plan.bind(labels.remove(index % labels.len())),
            Op::Bind(_) => {}
            Op::OpenIn(index) | Op::Use(index) | Op::Close(index) | Op::Keep(index, _) => {
                let Some(slot) = pick(&slots, index) else { continue };
                match *op {
                    Op::OpenIn(_) => slots.push(plan.openat2(slot, "x", How::TRUSTED)),
                    Op::Use(_) => drop(plan.fchdir(slot)),
                    Op::Keep(_, number) => slots.push(plan.dup_cloexec(slot, number)),
                    _ => drop(plan.close(slot)),
                }
            }
        }
    }
    labels.into_iter().for_each(|label| plan.bind(label));
    exec(&mut plan);
    plan.await_exec();
    plan.seal()
}

/// A kernel that knows which descriptors are open and which rights are left, and fails calls as `answers` say.
struct Kernel<'a> {
    answers: &'a [i32],
    calls: usize,
    open: BTreeSet<usize>,
    dropped: bool,
    wrong: Vec<String>,
    ended: bool,
}

impl Kernel<'_> {
    fn on(&mut self, call: libc::c_long, args: [usize; 6]) -> isize {
        let uses_first = [libc::SYS_fchdir, libc::SYS_close, libc::SYS_dup3, libc::SYS_write, libc::SYS_read];
        let at_cwd = isize::from_ne_bytes(args[0].to_ne_bytes()) == libc::AT_FDCWD as isize;
        let in_slot = call == libc::SYS_openat2 && !at_cwd;
        if (uses_first.contains(&call) || in_slot) && !self.open.contains(&args[0]) {
            self.wrong.push(format!("call {call} on the closed descriptor {}", args[0]));
        }
        if call == libc::SYS_sethostname && self.dropped {
            self.wrong.push("a privileged call after the rights were dropped".into());
        }
        let failed = self.answers.get(self.calls % self.answers.len()).copied().unwrap_or(0);
        self.calls += 1;
        // These can't fail for a reason of their own.
        let certain =
            [libc::SYS_close, libc::SYS_close_range, libc::SYS_read, libc::SYS_write, libc::SYS_dup3];
        if failed != 0 && !certain.contains(&call) {
            return -(failed as isize);
        }
        self.done(call, args)
    }

    fn done(&mut self, call: libc::c_long, args: [usize; 6]) -> isize {
        match call {
            libc::SYS_openat2 => {
                // The lowest that is free, behind the streams.
                let free = (3..).find(|fd| !self.open.contains(fd)).unwrap();
                self.open.insert(free);
                isize::try_from(free).unwrap()
            }
            libc::SYS_dup3 => {
                self.open.insert(args[1]);
                isize::try_from(args[1]).unwrap()
            }
            libc::SYS_close => {
                self.open.remove(&args[0]);
                0
            }
            libc::SYS_close_range => {
                self.open.retain(|fd| *fd < args[0]);
                0
            }
            libc::SYS_read | libc::SYS_write => 1,
            libc::SYS_capset => {
                self.dropped = true;
                0
            }
            libc::SYS_execve => {
                self.ended = true;
                0
            }
            _ => 0,
        }
    }
}

impl Sys for Kernel<'_> {
    fn call(&mut self, nr: usize, args: [usize; 6]) -> isize {
        self.ended |= nr == nr::EXIT_GROUP || self.calls > 1000;
        self.on(libc::c_long::try_from(nr).unwrap(), args)
    }

    fn store(&mut self, _: usize, _: u64) {}

    fn load_aux(&mut self) -> u64 {
        0
    }

    fn board_address(&mut self, word: usize) -> usize {
        word
    }

    fn stamp(&mut self) -> u64 {
        0
    }

    fn alive(&self) -> bool {
        !self.ended
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 4000 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_let_through_is_sound(ops in ops(), answers in prop::collection::vec(
        prop_oneof![6 => Just(0_i32), 2 => Just(2), 2 => Just(17), 1 => Just(5)], 1..12)) {
        let Ok(plan) = build(&ops) else { return Ok(()) };
        let presets = numbered(&plan);
        let open = presets.iter().map(|(_, fd)| usize::try_from(*fd).unwrap()).collect();
        let mut kernel =
            Kernel { answers: &answers, calls: 0, open, dropped: false, wrong: Vec::new(), ended: false };
        let (step, _) = interpret::run(&mut kernel, &mut plan.encode(&presets, None, false));
        prop_assert!(kernel.wrong.is_empty(), "{:?}\n{}", kernel.wrong, plan.explain());
        prop_assert!(step < plan.len(crate::Lane::Child) && kernel.calls <= plan.counts().child_syscalls);
    }
}

/// The property would be empty if nothing were let through, or everything.
#[test]
fn random_programs_are_of_both_kinds() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let all = if cfg!(miri) { 20 } else { 400 };
    let sealed = (0..all).filter(|_| build(&ops().new_tree(&mut runner).unwrap().current()).is_ok()).count();
    assert!((all / 10..all * 9 / 10).contains(&sealed), "{sealed} of {all}");
}
