//! A plan that was changed after it was sealed ends; it never crashes the interpreter and never runs on.

use proptest::prelude::*;

use super::{Table, exec, numbered, sealed};
use crate::interpret;
use crate::wire::{self, Header, Kind, Step};
use crate::{At, CapMasks, Dir, FdSource, File, Hook, How, Plan, Slot, Sock};

/// Every kind of step at least once.
fn everything() -> Plan {
    sealed(|plan| {
        let (input, output): (Slot<File>, Slot<File>) = (plan.preset("in"), plan.preset("out"));
        let pipe: Slot<Sock> = plan.preset("pipe");
        plan.respawn();
        let dir: Slot<Dir> = plan.openat2(At::Cwd, "/", How::TRUSTED);
        let made: Slot<File> = plan.openat2_or_make(dir, "a/../b/c", How::IN_ROOT, libc::S_IFREG | 0o644);
        plan.close(made);
        plan.send_fd(dir, "dir");
        let given: Slot<Dir> =
            plan.receive_fd("given", FdSource::new("none", |_| Err(std::io::Error::other("none"))));
        let context = plan.fsopen("tmpfs");
        plan.fsconfig_create(context);
        plan.fsmount(context, 0);
        plan.fchdir(given).tolerate(libc::ENOENT).await_byte(pipe);
        plan.hook(&Hook { path: "/hook".into(), args: vec![b"hook".to_vec()], env: vec![] }, input, output);
        let rules = plan.landlock_ruleset([1, 0, 0]);
        plan.landlock_add_path(rules, 1, given).landlock_restrict_self(rules);
        plan.reset_signals().expect_capabilities(CapMasks::default()).expect_groups(&[1, 2]);
        plan.notify_host("ready");
        plan.await_host("go");
        plan.listen(&[0; 8], 0, [1, 2]);
        exec(plan);
    })
    .unwrap()
}

fn ends(bytes: &mut [u8], answers: Vec<isize>) -> Result<(), TestCaseError> {
    let steps = Header::decode(bytes).map_or(0, |header| (header.first + header.steps) as usize);
    let mut table = Table { answers, ..Table::default() };
    let (step, errno) = interpret::run(&mut table, bytes);
    prop_assert!(step <= steps, "{step} of {steps}");
    // Unless it became a program or left, the board says that and where it failed.
    let told =
        (table.board(wire::board::STATE), table.board(wire::board::STEP), table.board(wire::board::ERRNO));
    let failed = (wire::board::STATE_FAILED, step as u64, u64::from(errno.unsigned_abs()));
    prop_assert!(table.gone || told == failed, "{told:?}");
    // The reaper ends only when told to; all else is at most a few calls for each step.
    prop_assert!(table.calls.len() <= 10_100, "{} calls", table.calls.len());
    Ok(())
}

fn answers() -> impl Strategy<Value = Vec<isize>> {
    prop::collection::vec(
        prop_oneof![-40_isize..40, Just(0), Just(1), Just(isize::MIN), Just(isize::MAX)],
        0..60,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 400 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12), answers in answers()) {
        let plan = everything();
        let mut bytes = plan.encode(&numbered(&plan), None, false);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        ends(&mut bytes, answers)?;
    }

    #[test]
    fn changed_words(changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u32>(), 0..300_u32, Just(u32::MAX)]), 1..12), answers in answers()) {
        let plan = everything();
        let mut bytes = plan.encode(&numbered(&plan), None, false);
        for (at, word) in changes {
            let at = at.index(bytes.len() / 4) * 4;
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        ends(&mut bytes, answers)?;
    }

    #[test]
    fn cut_and_random_bytes(cut in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..300), answers in answers()) {
        let plan = everything();
        let mut bytes = plan.encode(&numbered(&plan), None, false);
        bytes.truncate(cut.index(bytes.len()));
        let mut table = Table::answering(&answers);
        // Nothing runs of a plan that is not whole.
        prop_assert_eq!(interpret::run(&mut table, &mut bytes), (0, libc::EINVAL));
        prop_assert!(table.calls.is_empty());
        ends(&mut noise.clone(), answers)?;
    }

    #[test]
    fn steps_in_another_order(swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..8), answers in answers()) {
        let plan = everything();
        let mut bytes = plan.encode(&numbered(&plan), None, false);
        let header = Header::decode(&bytes).unwrap();
        let at = |index: prop::sample::Index| header.steps_at() + index.index(header.steps as usize) * wire::STEP;
        for (one, other) in swaps {
            let (one, other) = (at(one), at(other));
            for byte in 0..wire::STEP {
                bytes.swap(one + byte, other + byte);
            }
        }
        ends(&mut bytes, answers)?;
    }
}

#[test]
fn the_plan_that_is_damaged_holds_every_kind() {
    let kinds: Vec<Kind> = everything().parts[0].steps.iter().map(|step| step.kind).collect();
    for kind in (0..32)
        .filter_map(Kind::from_u8)
        .filter(|kind| !matches!(kind, Kind::Reap | Kind::Next | Kind::Continue))
    {
        assert!(kinds.contains(&kind), "{kind:?}");
    }
}

#[test]
fn an_encoded_step_is_decoded_and_nonsense_is_none() {
    let plan = everything();
    let bytes = plan.encode(&numbered(&plan), None, false);
    let header = Header::decode(&bytes).unwrap();
    for index in 0..plan.parts[0].steps.len() {
        let at = header.steps_at() + index * wire::STEP;
        let step = Step::decode(&bytes, at).unwrap();
        assert_eq!(step.encode(), bytes[at..at + wire::STEP], "step {index}");
        let mut odd = bytes[at..at + wire::STEP].to_vec();
        // All kinds are taken; a class of 15 is none.
        odd[0] = 0xf0;
        assert_eq!(Step::decode(&odd, 0), None);
        odd[0] = 0;
        odd[4] = 0x04;
        assert_eq!(Step::decode(&odd, 0), None);
        assert_eq!(Step::decode(&bytes[..at + wire::STEP - 1], at), None);
    }
    assert_eq!(Step::decode(&bytes, usize::MAX - 64), None);
}

/// Backward jumps can't be written by a builder; those of damaged bytes are not taken.
#[test]
fn a_jump_back_is_not_taken() {
    let plan = super::plan(|plan| {
        plan.umask(1).setsid().tolerate(libc::EPERM).umask(2);
    });
    for to in [0_u16, 1, 200, u16::MAX] {
        let mut bytes = plan.encode(&numbered(&plan), None, false);
        let at = Header::decode(&bytes).unwrap().steps_at() + wire::STEP + 16;
        bytes[at..at + 2].copy_from_slice(&to.to_le_bytes());
        let mut table = Table::answering(&[0, -1]);
        assert_eq!(interpret::run(&mut table, &mut bytes), (1, libc::EPERM), "{to}");
    }
}
