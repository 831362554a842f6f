//! Steps that talk to the host or make processes.

use super::{Table, plan, run};
use crate::interpret::{errno, nr};
use crate::wire::board;
use crate::{Dir, FdSource, File, Hook, Plan, Slot, Sock};

/// The first preset: the control socket.
const CONTROL: usize = 100;

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_message_of_the_host_must_be_the_point_awaited() {
    let plan = plan(|plan| {
        plan.await_host("go");
    });
    for (answers, byte, wanted, calls) in [
        (vec![1], 1, (1, 0), 2),
        (vec![-4, -4, 1], 1, (1, 0), 4),
        (vec![1], 2, (0, errno::EPROTO), 1),
        (vec![0], 1, (0, errno::ECONNRESET), 1),
        (vec![-5], 1, (0, libc::EIO), 1),
    ] {
        let mut table = Table::answering(&answers).writing(answers.len() - 1, 1, 0, &[byte]);
        assert_eq!(run(&plan, &mut table), wanted, "{answers:?} {byte}");
        assert_eq!(table.calls.len(), calls, "{answers:?}");
        assert_eq!((table.calls[0].0, table.calls[0].1[0], table.calls[0].1[2]), (nr::READ, CONTROL, 1));
    }
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn any_byte_of_a_pipe_will_do_but_its_end() {
    let plan = plan(|plan| {
        let pipe: Slot<Sock> = plan.preset("pipe");
        plan.await_byte(pipe);
    });
    for (answer, wanted) in [(1, (1, 0)), (0, (0, errno::ECONNRESET)), (-9, (0, libc::EBADF))] {
        let mut table = Table::answering(&[answer]).writing(0, 1, 0, &[0xee]);
        assert_eq!(run(&plan, &mut table), wanted, "{answer}");
        assert_eq!(table.calls[0].1[0], CONTROL + 1);
    }
}

#[test]
fn a_notice_to_the_host_is_one_byte() {
    let plan = plan(|plan| {
        plan.notify_host("one");
        plan.notify_host("two");
    });
    let mut table = Table::answering(&[1, 1]);
    assert_eq!(run(&plan, &mut table), (2, 0));
    assert!(table.calls[..2].iter().all(|call| call.1[0] == CONTROL && call.1[2] == 1));
    assert_ne!(table.calls[0].1[1], table.calls[1].1[1]);
}

fn sends() -> Plan {
    plan(|plan| {
        let dir: Slot<Dir> = plan.preset("dir");
        plan.send_fd(dir, "dir");
    })
}

/// The descriptor's number as the kernel would find it: at the end of the control message.
fn number_in(plan: &Plan, bytes: &[u8]) -> i32 {
    let header = crate::wire::Header::decode(bytes).unwrap();
    let place = plan.parts[0].steps[0].aux as usize + header.arena_at();
    i32::from_le_bytes(bytes[place..place + 4].try_into().unwrap())
}

#[test]
fn a_descriptor_is_put_into_the_message_and_sent() {
    let plan = sends();
    let mut bytes = plan.encode(&super::numbered(&plan), None, false);
    let mut table = Table::answering(&[-4, 8]);
    assert_eq!(crate::interpret::run(&mut table, &mut bytes), (1, 0));
    assert_eq!(table.numbers()[..2], [nr::SENDMSG, nr::SENDMSG]);
    let (_, args) = table.calls[1];
    assert_eq!((args[0], args[2], args[3]), (CONTROL, 0x4000, 0));
    assert_eq!(number_in(&plan, &bytes), 101);
    assert_eq!(run(&plan, &mut Table::answering(&[-32])), (0, libc::EPIPE));
}

#[test]
fn a_listener_is_sent_by_a_call_that_has_the_secret() {
    let words = [u64::MAX - 1, 0x0102_0304_0506_0708];
    let plan = plan(|plan| {
        plan.no_new_privs().listen_and_send(&[0; 8], 1 << 4, words);
    });
    assert_eq!(plan.counts().child_syscalls, 5);
    let mut bytes = plan.encode(&super::numbered(&plan), None, false);
    let mut table = Table::answering(&[0, 7, -4, 8, 0]);
    assert_eq!(crate::interpret::run(&mut table, &mut bytes), (3, 0));
    let secret = [usize::MAX - 1, 0x0102_0304_0506_0708];
    let (load, sent) = (table.calls[1], table.calls[3]);
    assert_eq!((load.1[..2].to_vec(), load.1[3..].to_vec()), (vec![1, 1 << 4 | 1 << 3], vec![0; 3]));
    assert_eq!((sent.0, sent.1[0]), (nr::SENDMSG, CONTROL));
    assert_eq!(sent.1[2..], [0x4000, crate::KNOCK as usize, secret[0], secret[1]]);
    assert_eq!(table.calls[2], sent);
    assert_eq!(table.calls[4].1[..3], [crate::KNOCK as usize, secret[0], secret[1]]);
    let header = crate::wire::Header::decode(&bytes).unwrap();
    let place = plan.parts[0].steps[1].aux as usize + header.arena_at();
    assert_eq!(bytes[place..place + 4], 7_i32.to_le_bytes());
    // Neither is tolerated to fail, and of no filter nothing is sent.
    let mut none = Table::answering(&[0, -1]);
    assert_eq!((run(&plan, &mut none), none.calls.len()), ((1, libc::EPERM), 2));
    assert_eq!(run(&plan, &mut Table::answering(&[0, 7, -32])), (1, libc::EPIPE));
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_descriptor_is_taken_from_the_message() {
    let plan = plan(|plan| {
        let dir: Slot<Dir> =
            plan.receive_fd("dir", FdSource::new("none", |_| Err(std::io::Error::other("never"))));
        plan.fchdir(dir);
    });
    // The kernel finds the control message by the header; the table is told where it lies from there.
    let place = plan.parts[0].steps[0].aux as usize;
    let header = plan.parts[0].steps[0].args[1];
    let crate::step::Arg::Memory(header, _) = header else { panic!("{header:?}") };
    assert!(place < header as usize);
    let writing = |number: i32| {
        let mut table = Table::answering(&[8]);
        table = table.writing(0, 1, 0, &[]);
        let offset = place.wrapping_sub(header as usize);
        table.writes.insert(0, (1, offset, number.to_le_bytes().to_vec()));
        table
    };
    let mut table = writing(77);
    assert_eq!(run(&plan, &mut table), (2, 0));
    assert_eq!((table.calls[0].0, table.calls[0].1[2]), (nr::RECVMSG, 0x4000_0000));
    assert_eq!(table.calls[1].1[0], 77);
    // A message without a descriptor leaves none, whatever was there; its end is the host's.
    assert_eq!(run(&plan, &mut Table::answering(&[8])), (0, errno::EPROTO));
    assert_eq!(run(&plan, &mut writing(-7)), (0, errno::EPROTO));
    assert_eq!(run(&plan, &mut Table::answering(&[0])), (0, errno::ECONNRESET));
    assert_eq!(run(&plan, &mut Table::answering(&[-4, 0])), (0, errno::ECONNRESET));
}

#[test]
fn a_descriptor_is_taken_from_a_queue_of_the_launch() {
    let plan = plan(|plan| {
        let queue: Slot<Sock> = plan.preset("queue");
        let first: Slot<File> = plan.take_fd(queue, "first");
        plan.write(first, b"0").close(first);
        let _second: Slot<File> = plan.take_fd(queue, "second");
    });
    // Without a descriptor it ends at the first; the end of the queue is the host's.
    for (answer, errno) in [(1, errno::EPROTO), (0, errno::ECONNRESET)] {
        let mut table = Table::answering(&[answer]);
        assert_eq!(run(&plan, &mut table), (0, errno));
        assert_eq!((table.calls[0].0, table.calls[0].1[0]), (nr::RECVMSG, CONTROL + 1));
    }
    // No meeting of the lanes: the host does nothing for it.
    assert_eq!(plan.len(crate::Lane::Host), 2, "start and exec");
}

fn respawns() -> Plan {
    plan(|plan| {
        plan.respawn();
    })
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_respawned_child_goes_on_when_the_host_has_adopted_it() {
    let mut table = Table::answering(&[0, 1]).writing(1, 1, 0, &[2]);
    assert_eq!(run(&respawns(), &mut table), (2, 0));
    assert_eq!(table.numbers(), [nr::CLONE3, nr::READ, nr::EXECVE]);
    assert_eq!(table.calls[0].1[1], 88);
    assert_eq!(run(&respawns(), &mut Table::answering(&[-11])), (0, libc::EAGAIN));
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn the_parent_of_a_respawn_passes_the_pidfd_on_and_leaves() {
    for (sent, errno) in [(8, 0), (-105, libc::ENOBUFS)] {
        let plan = respawns();
        let mut bytes = plan.encode(&super::numbered(&plan), None, false);
        let mut table = Table::answering(&[4321, -4, sent]);
        // clone3 stores the pidfd, to which the second word of its arguments points; it lies right before them.
        table = table.writing(0, 0, 0, &[]);
        table.writes.insert(0, (0, 8_usize.wrapping_neg(), 66_i32.to_le_bytes().to_vec()));
        // What it could not pass on it tells: the error is on the board.
        assert_eq!(crate::interpret::run(&mut table, &mut bytes), (0, errno));
        let leaves: &[usize] = if errno == 0 { &[nr::EXIT_GROUP] } else { &[] };
        assert_eq!(table.numbers(), [&[nr::CLONE3, nr::SENDMSG, nr::SENDMSG], leaves].concat());
        assert_eq!(table.calls[2].1[0], CONTROL);
        assert_eq!(number_in(&plan, &bytes), 66);
        let header = crate::wire::Header::decode(&bytes).unwrap();
        let pid = header.arena_at() + plan.parts[0].steps[0].aux as usize - crate::wire::RESPAWN_PID;
        assert_eq!(bytes[pid..pid + 4], 4321_i32.to_le_bytes());
    }
}

fn hooks() -> Plan {
    plan(|plan| {
        let (input, output): (Slot<File>, Slot<File>) = (plan.preset("in"), plan.preset("out"));
        plan.hook(&Hook { path: "/hook".into(), args: vec![b"hook".to_vec()], env: vec![] }, input, output);
    })
}

#[test]
fn a_hook_is_waited_for_and_its_status_counts() {
    for (status, wanted) in [(0, (1, 0)), (0x100, (0, errno::ECANCELED)), (9, (0, errno::ECANCELED))] {
        let mut table = Table { status, ..Table::answering(&[55, -4, 55]) };
        assert_eq!(run(&hooks(), &mut table), wanted, "{status}");
        assert_eq!(table.numbers()[..3], [nr::CLONE3, nr::WAIT4, nr::WAIT4]);
        assert_eq!(table.calls[2].1[..3], [55, 0x1_0000 + board::AUX * 8, 0]);
        assert_eq!(table.board(board::AUX), status);
    }
    assert_eq!(run(&hooks(), &mut Table::answering(&[-12])), (0, libc::ENOMEM));
    assert_eq!(run(&hooks(), &mut Table::answering(&[55, -10])), (0, libc::ECHILD));
}

#[test]
fn the_child_of_a_hook_has_its_three_descriptors_and_no_others() {
    let run_child = |exec: isize| {
        let mut table = Table::answering(&[0, 0, 1, 2, 0, 0, exec]);
        let end = run(&hooks(), &mut table);
        (end, table)
    };
    let (end, table) = run_child(0);
    assert_eq!(end, (0, 0));
    let dup = nr::DUP3;
    let wanted = [nr::CLONE3, dup, dup, dup, nr::CLOSE_RANGE, nr::RT_SIGPROCMASK, nr::EXECVE, nr::EXIT_GROUP];
    assert_eq!(table.numbers(), wanted);
    let dups: Vec<_> = table.calls[1..4].iter().map(|call| (call.1[0], call.1[1])).collect();
    let (input, output) = (CONTROL + 1, CONTROL + 2);
    assert_eq!(dups, [(input, 0), (output, 1), (output, 2)]);
    assert_eq!(table.calls[4].1[..3], [3, u32::MAX as usize, 0]);
    for (errno, code) in [(-2, 127), (-13, 126), (-8, 126)] {
        let (_, table) = run_child(errno);
        assert_eq!(table.calls.last().map(|call| (call.0, call.1[0])), Some((nr::EXIT_GROUP, code)));
    }
}
