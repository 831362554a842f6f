//! What the interpreter calls for each kind of step, in which order, and where it goes on.

use std::path::PathBuf;

use super::{Table, number, plan, run, run_with_fault, sealed};
use crate::interpret::{errno, nr};
use crate::wire::board;
use crate::{At, Builder, CapMasks, Dir, FsContext, How, Plan, Seen, Slot};

fn fs_plan() -> Plan {
    plan(|plan| {
        let dir: Slot<Dir> = plan.openat2(At::Cwd, "/d", How::TRUSTED);
        plan.fchdir(dir).close(dir);
    })
}

#[test]
fn calls_come_in_order_and_slots_carry_descriptors() {
    let mut table = Table::answering(&[42]);
    assert_eq!(run(&fs_plan(), &mut table), (3, 0));
    let open = number(libc::SYS_openat2);
    let wanted = [open, number(libc::SYS_fchdir), number(libc::SYS_close), number(libc::SYS_execve)];
    assert_eq!(table.numbers(), wanted);
    let (at_cwd, size) = (usize::MAX - 99, 24);
    assert_eq!((table.calls[0].1[0], table.calls[0].1[3]), (at_cwd, size));
    assert_eq!((table.calls[1].1, table.calls[2].1), ([42, 0, 0, 0, 0, 0], [42, 0, 0, 0, 0, 0]));
}

#[test]
fn numbers_keep_their_sign() {
    let plan = plan(|plan| {
        plan.fchownat(At::Cwd, "x", u32::MAX, 5).setrlimit(7, 1, 2).mark_all_cloexec(3);
    });
    let mut table = Table::default();
    assert_eq!(run(&plan, &mut table).1, 0);
    let (chown, range) = (table.calls[0].1, table.calls[2].1);
    assert_eq!((chown[0], chown[2], chown[3]), (usize::MAX - 99, u32::MAX as usize, 5));
    assert_eq!(range[..3], [3, u32::MAX as usize, 4]);
}

#[test]
fn a_failure_ends_the_plan_and_stands_on_the_board() {
    let mut table = Table::answering(&[3, -13]);
    assert_eq!(run(&fs_plan(), &mut table), (1, libc::EACCES));
    assert_eq!(table.calls.len(), 2);
    let seen = [board::STATE, board::STEP, board::ERRNO].map(|word| table.board(word));
    assert_eq!(seen, [board::STATE_FAILED, 1, 13]);
}

#[test]
fn a_descriptor_that_is_none_is_a_difference() {
    let mut table = Table::answering(&[1 << 40]);
    assert_eq!(run(&fs_plan(), &mut table), (0, errno::EBADE));
}

#[test]
fn what_is_tolerated_goes_on_and_nothing_else() {
    let plan = plan(|plan| {
        plan.setsid().tolerate(libc::EPERM).tolerate(libc::ENOSYS).tolerate(libc::EACCES);
    });
    // Only a program can be refused.
    let mut refused = Table::answering(&[-13]);
    run(&plan, &mut refused);
    assert_eq!(refused.board(board::REFUSED), 0);
    for (answer, wanted) in
        [(0, (1, 0)), (7, (1, 0)), (-1, (1, 0)), (-38, (1, 0)), (-2, (0, 2)), (-4095, (0, 4095))]
    {
        assert_eq!(run(&plan, &mut Table::answering(&[answer])), wanted, "{answer}");
    }
}

#[test]
fn jumps_lead_forward_past_what_lies_between() {
    let plan = plan(|plan| {
        let (missing, done) = (plan.label(), plan.label());
        plan.setsid().on(libc::ENOENT, missing).on_success(done);
        plan.umask(1);
        plan.bind(missing);
        plan.umask(2);
        plan.bind(done);
        plan.umask(3);
    });
    let masks = |answer| {
        let mut table = Table::answering(&[answer]);
        let end = run(&plan, &mut table);
        let umask = number(libc::SYS_umask);
        let masks: Vec<_> = table.calls.iter().filter(|call| call.0 == umask).map(|call| call.1[0]).collect();
        (end, masks)
    };
    assert_eq!(masks(0), ((4, 0), vec![3]));
    assert_eq!(masks(-2), ((4, 0), vec![2, 3]));
    assert_eq!(masks(-1), ((0, 1), vec![]));
}

#[test]
fn candidates_of_exec_are_tried_and_a_refusal_is_remembered() {
    let plan = sealed(|plan| {
        let paths: [PathBuf; 3] = ["/a/x".into(), "/b/x".into(), "/c/x".into()];
        plan.exec(&paths, &[b"x".to_vec()], &[]);
    })
    .unwrap();
    for (answers, wanted, calls, refused) in [
        (vec![0], (0, 0), 1, 0),
        (vec![-2, -20, 0], (2, 0), 3, 0),
        (vec![-13, -2, -2], (2, 2), 3, 1),
        (vec![-2, -13, -2], (2, 2), 3, 2),
        (vec![-2, -2, -2], (2, 2), 3, 0),
        (vec![-8], (0, 8), 1, 0),
    ] {
        let mut table = Table::answering(&answers);
        assert_eq!(run(&plan, &mut table), wanted, "{answers:?}");
        assert_eq!((table.calls.len(), table.board(board::REFUSED)), (calls, refused), "{answers:?}");
    }
}

#[test]
fn an_expected_result_is_compared() {
    let plan = plan(|plan| {
        plan.expect_no_new_privs(true);
    });
    let cases = [(1, (1, 0), 0), (0, (0, errno::EBADE), 0), (7, (0, errno::EBADE), 7), (-22, (0, 22), 0)];
    for (answer, wanted, left) in cases {
        let mut table = Table::answering(&[answer]);
        assert_eq!(run(&plan, &mut table), wanted, "{answer}");
        assert_eq!(table.board(board::AUX), left, "{answer}");
        assert_eq!(table.calls[0].1[..2], [39, 0]);
    }
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_read_back_is_compared_without_a_call() {
    let masks = CapMasks { effective: 1 << 40 | 5, permitted: 5, inheritable: 0 };
    let plan = plan(|plan| {
        plan.expect_capabilities(masks);
    });
    let words = |words: [u32; 6]| words.map(u32::to_le_bytes).concat();
    for (kernel, wanted) in [
        (words([5, 5, 0, 1 << 8, 0, 0]), (2, 0)),
        (words([5, 5, 0, 0, 0, 0]), (1, errno::EBADE)),
        (words([5, 7, 0, 1 << 8, 0, 0]), (1, errno::EBADE)),
        (words([0; 6]), (1, errno::EBADE)),
    ] {
        let mut table = Table::default().writing(0, 1, 0, &kernel);
        assert_eq!(run(&plan, &mut table), wanted, "{kernel:?}");
        assert_eq!(table.numbers()[0], number(libc::SYS_capget));
        assert_eq!(table.calls.len(), 1 + usize::from(wanted.1 == 0));
    }
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn what_was_seen_is_known_by_device_inode_and_type_alone() {
    let seen = Seen { device: 7, inode: 1 << 40, kind: libc::S_IFDIR };
    let plan = plan(|plan| {
        let dir: Slot<Dir> = plan.openat2(At::Cwd, "/d", How::TRUSTED);
        plan.expect_seen(dir, seen);
    });
    let stat = |device: u64, inode: u64, mode: u32| {
        let mut bytes = [0; size_of::<libc::stat>()];
        bytes[..16].copy_from_slice(&[device, inode].map(u64::to_le_bytes).concat());
        let at = std::mem::offset_of!(libc::stat, st_mode);
        bytes[at..at + 4].copy_from_slice(&mode.to_le_bytes());
        bytes
    };
    for (kernel, wanted) in [
        (stat(7, 1 << 40, libc::S_IFDIR), (4, 0)),
        (stat(7, 1 << 40, libc::S_IFDIR | 0o7755), (4, 0)),
        (stat(8, 1 << 40, libc::S_IFDIR), (2, errno::EBADE)),
        (stat(7, 1 << 40 | 1, libc::S_IFDIR), (2, errno::EBADE)),
        (stat(7, 1 << 40, libc::S_IFREG | 0o755), (3, errno::EBADE)),
        (stat(7, 1 << 40, libc::S_IFLNK | 0o777), (3, errno::EBADE)),
        (stat(7, 1 << 40, libc::S_IFBLK), (3, errno::EBADE)),
    ] {
        let mut table = Table::answering(&[42]).writing(1, 1, 0, &kernel);
        assert_eq!(run(&plan, &mut table), wanted, "{kernel:?}");
        assert_eq!((table.calls[1].0, table.calls[1].1[0]), (number(libc::SYS_fstat), 42));
    }
}

#[test]
fn every_signal_is_reset_but_two() {
    let plan = plan(|plan| {
        plan.reset_signals();
    });
    let mut table = Table::default();
    assert_eq!(run(&plan, &mut table), (1, 0));
    let signals: Vec<_> =
        table.calls.iter().filter(|call| call.0 == nr::RT_SIGACTION).map(|call| call.1[0]).collect();
    assert_eq!(signals, (1..=64).filter(|signal| ![9, 19].contains(signal)).collect::<Vec<_>>());
    assert!(table.calls[..62].iter().all(|call| call.1[2..4] == [0, 8]));
    assert_eq!(run(&plan, &mut Table::answering(&[0, 0, -22])), (0, libc::EINVAL));
}

#[test]
fn four_signals_end_an_init_that_waits() {
    let plan = plan(|plan| {
        plan.end_on_signals().unblock_ending();
    });
    let mut table = Table::default();
    assert_eq!(run(&plan, &mut table), (2, 0));
    let handled = table.calls[..4].iter().map(|call| (call.0, call.1[0]));
    assert_eq!(handled.collect::<Vec<_>>(), [1, 2, 3, 15].map(|signal| (nr::RT_SIGACTION, signal)));
    assert_eq!(table.calls[4].0, nr::RT_SIGPROCMASK);
}

#[test]
fn the_reaper_takes_orphans_until_it_is_told_to_end() {
    let plan = sealed(|plan| {
        plan.reap();
    })
    .unwrap();
    // SIGCHLD with two orphans, an interruption with none, SIGTERM.
    let mut table = Table::answering(&[17, 5, 6, -10, -4, 0, 15]);
    assert_eq!(run(&plan, &mut table), (0, 0));
    let (wait, take) = (nr::RT_SIGTIMEDWAIT, nr::WAIT4);
    assert_eq!(table.numbers(), [wait, take, take, take, wait, take, wait, nr::EXIT_GROUP]);
    assert_eq!(table.calls[1].1, [usize::MAX, 0, 0x4000_0001, 0, 0, 0]);
    assert_eq!(table.calls[7].1[0], 0);
    assert_eq!(table.board(board::STATE), board::STATE_REAPER);
}

#[test]
fn the_log_of_a_mount_context_is_kept_when_its_step_fails() {
    let build = |plan: &mut Builder| {
        let context: Slot<FsContext> = plan.fsopen("tmpfs");
        plan.fsconfig_string(context, "size", "x").fsconfig_create(context);
    };
    // fsopen, fsconfig fails, two reads of the log, no more.
    let mut table = Table::answering(&[9, -22, 20, 30, -61]);
    assert_eq!(run(&plan(build), &mut table), (1, libc::EINVAL));
    let read = nr::READ;
    assert_eq!(table.numbers()[2..], [read, read, read]);
    let log = 0x1_0000 + board::LOG * 8;
    assert_eq!(table.calls[3].1[..3], [9, log + 20, board::LOG_BYTES - 20]);
    assert_eq!(table.board(board::LOG_LEN), 50);
    // A log without end fills its room and no more.
    let mut table = Table { answers: [9, -22].into_iter().chain([5000; 20]).collect(), ..Table::default() };
    assert_eq!(run(&plan(build), &mut table), (1, libc::EINVAL));
    assert_eq!((table.calls.len(), table.board(board::LOG_LEN)), (3, board::LOG_BYTES as u64));
}

#[test]
fn an_injected_fault_replaces_the_call() {
    let plan = fs_plan();
    for step in 0..4 {
        let mut table = Table::answering(&[3]);
        assert_eq!(run_with_fault(&plan, &mut table, step, libc::EIO), (step, libc::EIO));
        assert_eq!(table.calls.len(), step);
    }
}

#[test]
fn a_step_that_is_left_out_counts_as_done() {
    let plan = plan(|plan| {
        plan.umask(0).setsid().umask(0o22);
    });
    let mut table = Table::default();
    run_with_fault(&plan, &mut table, 1, 0);
    let wanted = [libc::SYS_umask, libc::SYS_umask, libc::SYS_execve].map(number);
    assert_eq!(table.numbers(), wanted);
}

#[test]
fn time_stamps_are_stored_only_when_asked_for() {
    let plan = fs_plan();
    for (trace, wanted) in [(false, [0; 4]), (true, [1, 2, 3, 4])] {
        let mut table = Table::answering(&[3]);
        crate::interpret::run(&mut table, &mut plan.encode(&super::numbered(&plan), None, trace));
        let stamps: Vec<_> = (0..4).map(|index| table.board(board::STAMPS + index)).collect();
        assert_eq!(stamps, wanted);
    }
}

#[test]
fn a_knock_passes_whole_words_and_takes_no_answer_but_0() {
    let words = [u64::MAX - 1, 0x0102_0304_0506_0708];
    let plan = plan(|plan| {
        plan.no_new_privs().listen(&[0; 8], 1 << 4, words);
    });
    let mut table = Table::default();
    assert_eq!(run(&plan, &mut table), (3, 0));
    assert_eq!(table.calls[1].1[..2], [1, 1 << 4 | 1 << 3]);
    let wanted = [crate::KNOCK as usize, usize::MAX - 1, 0x0102_0304_0506_0708, 0, 0, 0];
    assert_eq!(table.calls[2], (number(libc::SYS_prctl), wanted));
    for (answer, errno) in [(1, errno::EBADE), (-38, libc::ENOSYS), (-22, libc::EINVAL)] {
        assert_eq!(run(&plan, &mut Table::answering(&[0, 3, answer])), (2, errno), "{answer}");
    }
}

#[test]
fn a_descriptor_is_stored_in_what_the_call_reads() {
    let plan = plan(|plan| {
        let rules = plan.landlock_ruleset([1, 2, 3]);
        let dir: Slot<Dir> = plan.openat2(At::Cwd, "/d", How::TRUSTED);
        plan.landlock_add_path(rules, 4, dir).landlock_restrict_self(rules);
    });
    let mut table = Table::answering(&[7, 0x0102]);
    let mut bytes = plan.encode(&super::numbered(&plan), None, false);
    assert_eq!(crate::interpret::run(&mut table, &mut bytes).1, 0);
    let add = table.calls[2].1;
    // No fifth argument: that one is in the structure behind the third.
    assert_eq!((add[0], add[1], add[3], add[4]), (7, 1, 0, 0));
    let rule = [&4_u64.to_le_bytes()[..], &[2, 1, 0, 0, 0, 0, 0, 0]].concat();
    assert!(bytes.windows(16).any(|part| part == rule));
    assert_eq!(table.calls[3].1[..2], [7, 0]);
}
