//! Plans of two parts: the second goes on from the first, in the same memory or by a message.

use super::{Table, exec, run};
use crate::interpret::{self, errno, nr};
use crate::wire::{self, Header, board};
use crate::{At, Base, Builder, Dir, File, HostStep, How, Lane, Plan, SealError, Slot};

/// A base that opens a directory, and the directory's slot.
fn base() -> (Base, Slot<Dir>) {
    let mut plan = Builder::new();
    plan.place("before");
    plan.start_init();
    plan.umask(0);
    let dir = plan.openat2(At::Cwd, "/", How::TRUSTED);
    plan.notify_host("built");
    (plan.base().unwrap(), dir)
}

fn rest(build: impl FnOnce(&mut Builder, Slot<Dir>)) -> Result<Plan, SealError> {
    let (base, dir) = base();
    let mut plan = base.builder();
    build(&mut plan, dir);
    exec(&mut plan);
    plan.seal()
}

#[test]
fn the_rest_runs_behind_the_base_with_its_slots() {
    let plan = rest(|plan, dir| {
        plan.fchdir(dir).umask(7);
    })
    .unwrap();
    let mut table = Table::answering(&[0, 55, 1, 0, 0]);
    assert_eq!(run(&plan, &mut table), (6, 0));
    let umasks: Vec<_> = table.calls.iter().filter(|call| call.0 == super::number(libc::SYS_umask)).collect();
    assert_eq!(umasks.iter().map(|call| call.1[0]).collect::<Vec<_>>(), [0, 7]);
    let entered = table.calls.iter().find(|call| call.0 == super::number(libc::SYS_fchdir)).unwrap();
    assert_eq!(entered.1[0], 55, "the slot of the base");
    assert_eq!(table.board(board::STEP), 6, "the board counts through both parts");
}

#[test]
fn steps_are_numbered_and_shown_through_both_parts() {
    let plan = rest(|plan, dir| {
        plan.purpose("enter").fchdir(dir).tolerate(libc::ENOENT);
    })
    .unwrap();
    let calls: Vec<_> = plan.steps(Lane::Child).map(|step| step.call).collect();
    assert_eq!(calls.len(), 6);
    assert_eq!(calls[3], "go on with the second part");
    assert_eq!(calls[4], "fchdir(s1)");
    let view = plan.steps(Lane::Child).nth(4).unwrap();
    assert_eq!(
        (view.index, view.purpose.as_str(), view.outcomes),
        (4, "enter", vec!["ENOENT → next".into()])
    );
    assert_eq!(plan.counts().child_steps, 6);
}

#[test]
fn an_error_in_the_rest_has_its_number() {
    let plan = rest(|plan, dir| {
        plan.fchdir(dir);
    })
    .unwrap();
    let mut table = Table::answering(&[0, 55, 1, -2]);
    assert_eq!(run(&plan, &mut table), (4, libc::ENOENT));
    assert_eq!(
        super::run_with_fault(&plan, &mut Table::answering(&[0, 55, 1]), 4, libc::EIO),
        (4, libc::EIO)
    );
    // The joint itself can fail, and one that is left out leads nowhere.
    assert_eq!(
        super::run_with_fault(&plan, &mut Table::answering(&[0, 55, 1]), 3, libc::EIO),
        (3, libc::EIO)
    );
    assert_eq!(super::run_with_fault(&plan, &mut Table::answering(&[0, 55, 1]), 3, 0), (4, errno::EINVAL));
}

#[test]
fn the_verifier_knows_what_the_base_has_done() {
    let closed = |plan: &mut Builder, dir: Slot<Dir>| {
        plan.close(dir).fchdir(dir);
    };
    assert!(matches!(rest(closed), Err(SealError::SlotNotSet { step: 5, .. })));
    let mut plan = Builder::new();
    plan.start_init();
    let dir: Slot<Dir> = plan.openat2(At::Cwd, "/", How::TRUSTED);
    plan.close(dir);
    plan.setresuid(7);
    let base = plan.base().unwrap();
    let mut plan = base.builder();
    plan.unshare(0x2000_0000);
    exec(&mut plan);
    assert!(matches!(plan.seal(), Err(SealError::Unprivileged { step: 4, dropped: 2, .. })));
    let mut plan = base.builder();
    plan.fchdir(dir);
    exec(&mut plan);
    assert!(matches!(plan.seal(), Err(SealError::SlotNotSet { step: 4, .. })));
}

#[test]
fn a_base_is_for_many_launches() {
    let mut plan = Builder::new();
    plan.host(HostStep::new("once", "", |_| Ok(None)));
    plan.start_init();
    assert_eq!(plan.base().unwrap_err(), SealError::ForOneLaunch { text: "once".into() });
    let (base, _) = base();
    for name in ["one", "two"] {
        let mut plan = base.builder();
        plan.put("before", vec![HostStep::new(name, "", |_| Ok(None))]);
        exec(&mut plan);
        let plan = plan.seal().unwrap();
        let host: Vec<_> = plan.steps(Lane::Host).map(|step| step.call).collect();
        assert_eq!(host[0], name);
        assert_eq!(host.len(), 3);
    }
}

/// A message with these descriptors, as the kernel writes it behind the `msghdr`: payload, then control data.
fn message(len: u64, fds: &[i32]) -> Vec<u8> {
    let mut bytes = len.to_le_bytes().to_vec();
    bytes.extend((16 + 4 * fds.len() as u64).to_le_bytes());
    bytes.extend([1, 0, 0, 0, 1, 0, 0, 0]);
    bytes.extend(fds.iter().flat_map(|fd| fd.to_le_bytes()));
    bytes
}

/// Offset of the payload from the `msghdr`.
const PAYLOAD: usize = 88;

fn stand_by(build: impl FnOnce(&mut Builder, Slot<Dir>), fds: &[i32]) -> ((usize, i32), Table) {
    let plan = rest(build).unwrap();
    let part = plan.encode_rest(None, false);
    let mut table =
        Table::answering(&[0, 55, 1, 1, 8]).writing(4, 1, PAYLOAD, &message(part.len() as u64, fds));
    table.part = part;
    let result = interpret::run(&mut table, &mut plan.encode_base(&super::numbered(&plan), None, false));
    (result, table)
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn an_init_that_stands_by_takes_the_rest_by_a_message() {
    let (result, table) = stand_by(
        |plan, dir| {
            let file: Slot<File> = plan.preset("file");
            plan.fchdir(dir).dup_to(file, 2);
        },
        &[60, 61],
    );
    assert_eq!(result, (6, 0));
    let numbers = table.numbers();
    assert_eq!(numbers[3..6], [nr::WRITE, nr::RECVMSG, nr::CLOSE], "tells, waits, closes the memory file");
    let dup = table.calls.iter().find(|call| call.0 == nr::DUP3).unwrap();
    assert_eq!(dup.1[..2], [61, 2]);
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_descriptor_in_the_programs_way_is_moved() {
    let (_, table) = stand_by(
        |plan, _| {
            let file: Slot<File> = plan.preset("file");
            plan.dup_to(file, 2);
        },
        &[60, 1],
    );
    let moved = table.calls.iter().position(|call| call.0 == nr::FCNTL).unwrap();
    assert_eq!(table.calls[moved].1[..3], [1, 1030, 3]);
    assert_eq!((table.calls[moved + 1].0, table.calls[moved + 1].1[0]), (nr::CLOSE, 1));
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_rest_that_is_not_what_it_should_be_ends_the_init() {
    let (result, _) = stand_by(
        |plan, _| {
            plan.preset::<File>("file");
        },
        &[60],
    );
    assert_eq!(result, (3, errno::EINVAL), "a descriptor is missing");
    let (result, _) = stand_by(|_, _| {}, &[]);
    assert_eq!(result, (3, errno::EPROTO), "no memory file");
    // The host is gone.
    let plan = rest(|_, _| {}).unwrap();
    let mut table = Table::answering(&[0, 55, 1, 1, 0]);
    let bytes = &mut plan.encode_base(&super::numbered(&plan), None, false);
    assert_eq!(interpret::run(&mut table, bytes), (3, errno::ECONNRESET));
}

/// Without a file: the part is in the message itself, of which `got` bytes are said to have come beyond it.
fn stand_by_inline(fds: &[i32], beyond: isize) -> ((usize, i32), Table) {
    let build = |plan: &mut Builder, dir| {
        let file: Slot<File> = plan.preset("file");
        plan.fchdir(dir).dup_to(file, 2);
    };
    let plan = rest(build).unwrap();
    let part = plan.encode_rest(None, false);
    let got = 8 + isize::try_from(part.len()).unwrap() + beyond;
    let mut table =
        Table::answering(&[0, 55, 1, 1, got]).writing(4, 1, PAYLOAD, &message(part.len() as u64, fds));
    (table.part, table.inline) = (part, true);
    let result = interpret::run(&mut table, &mut plan.encode_base(&super::numbered(&plan), None, false));
    (result, table)
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_rest_may_come_in_the_message_itself() {
    let (result, table) = stand_by_inline(&[61], 0);
    assert_eq!(result, (6, 0));
    let numbers = table.numbers();
    assert_eq!(numbers[3..5], [nr::WRITE, nr::RECVMSG]);
    assert!(!numbers.contains(&nr::CLOSE), "there is no file: {numbers:?}");
    let dup = table.calls.iter().find(|call| call.0 == nr::DUP3).unwrap();
    assert_eq!(dup.1[..2], [61, 2]);
    // Less came than was said, or more.
    for beyond in [-1, 1] {
        assert_eq!(stand_by_inline(&[61], beyond).0, (3, errno::EPROTO));
    }
    assert_eq!(stand_by_inline(&[], 0).0, (3, errno::EPROTO), "no descriptor for the preset");
}

/// The init does not take the host's word for it: a rest in the wrong order is not entered.
#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn the_init_checks_the_order_of_what_it_is_given() {
    let mut plan = Builder::new();
    plan.start_init();
    plan.setresuid(7);
    let base = plan.base().unwrap();
    let mut plan = base.builder();
    plan.umask(0);
    exec(&mut plan);
    let plan = plan.seal().unwrap();
    let mut part = plan.encode_rest(None, false);
    let at = Header::decode(&part).unwrap().steps_at();
    assert!(wire::class(&part, at).is_some());
    // Privileged, behind what gave that up.
    part[at] |= 1 << 4;
    let mut table = Table::answering(&[0, 1, 8]).writing(2, 1, PAYLOAD, &message(part.len() as u64, &[60]));
    table.part = part;
    let result = interpret::run(&mut table, &mut plan.encode_base(&super::numbered(&plan), None, false));
    assert_eq!(result, (1, errno::EINVAL));
    assert!(!table.numbers().contains(&super::number(libc::SYS_umask)));
}
