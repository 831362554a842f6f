//! A number that the plan gives out takes it from whatever slot had it.

use super::{exec, sealed};
use crate::{At, Builder, Dir, How, Slot};

type Build = fn(&mut Builder);

fn dir(plan: &mut Builder) -> Slot<Dir> {
    plan.openat2(At::Cwd, "/", How::TRUSTED)
}

fn check(build: Build) -> Result<(), String> {
    let sealed = sealed(|plan| {
        build(plan);
        exec(plan);
    });
    sealed.map(drop).map_err(|error| error.to_string())
}

/// What a slot is used for after its descriptor's number may have gone to another: the step, the slot, the plan.
const GONE: [(usize, &str, Build); 5] = [
    (2, "s2 (descriptor 6)", |plan| {
        let given: Slot<Dir> = plan.preset("given");
        let first = plan.dup_cloexec(given, 6);
        plan.dup_to(given, 6).fchdir(first);
    }),
    (2, "s2 (descriptor 6)", |plan| {
        let given: Slot<Dir> = plan.preset("given");
        let first = plan.dup_cloexec(given, 6);
        plan.dup_cloexec(given, 6);
        plan.close(first);
    }),
    (2, "s1 (/)", |plan| {
        // The kernel may have opened it as 6.
        let opened = dir(plan);
        plan.dup_cloexec(opened, 6);
        plan.fchdir(opened);
    }),
    (3, "s2 (descriptor from 5)", |plan| {
        let opened = dir(plan);
        let above = plan.dup_above(opened, 5);
        plan.dup_to(above, 5).fchdir(above);
    }),
    (3, "s2 (descriptor 6)", |plan| {
        let given: Slot<Dir> = plan.preset("given");
        let first = plan.dup_cloexec(given, 6);
        let other = plan.label();
        plan.setsid().on(libc::EPERM, other);
        plan.dup_to(given, 6);
        plan.bind(other);
        plan.fchdir(first);
    }),
];

#[test]
fn a_slot_whose_number_was_given_away_is_gone() {
    for (step, slot, build) in GONE {
        let text = format!("step {step}: slot {slot} is used before it is set, or after it is gone");
        assert_eq!(check(build), Err(text));
    }
}

const KEPT: [(&str, Build); 4] = [
    ("a preset: the host sees that it lies above", |plan| {
        let given: Slot<Dir> = plan.preset("given");
        plan.dup_to(given, 6).fchdir(given);
    }),
    ("another number", |plan| {
        let given: Slot<Dir> = plan.preset("given");
        let first = plan.dup_cloexec(given, 6);
        plan.dup_to(given, 7).fchdir(first);
    }),
    ("out of the way before", |plan| {
        let opened = dir(plan);
        let above = plan.dup_above(opened, 7);
        plan.dup_to(above, 6).fchdir(above);
    }),
    ("the number was refused", |plan| {
        let given: Slot<Dir> = plan.preset("given");
        let first = plan.dup_cloexec(given, 6);
        let (refused, done) = (plan.label(), plan.label());
        plan.dup_to(given, 6).on(libc::EBUSY, refused).on_success(done);
        plan.bind(refused);
        plan.fchdir(first);
        plan.bind(done);
    }),
];

#[test]
fn all_others_are_kept() {
    for (name, build) in KEPT {
        assert_eq!(check(build), Ok(()), "{name}");
    }
}
