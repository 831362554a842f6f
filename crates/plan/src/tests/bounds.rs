//! The largest plan that is let through, and its encoding.

use std::path::PathBuf;

use super::{Table, exec, run, sealed};
use crate::wire::{self, Header};
use crate::{At, Builder, Dir, How, Lane, SealError, Slot};

#[test]
#[cfg_attr(miri, ignore = "too long")]
fn four_thousand_and_ninety_six_steps_run() {
    let plan = sealed(|plan| {
        for _ in 1..wire::MAX_STEPS {
            plan.setsid();
        }
        exec(plan);
    })
    .unwrap();
    assert_eq!(plan.len(Lane::Child), wire::MAX_STEPS);
    let mut table = Table::default();
    assert_eq!(run(&plan, &mut table), (wire::MAX_STEPS - 1, 0));
    assert_eq!(table.calls.len(), wire::MAX_STEPS);
}

#[test]
fn a_mebibyte_of_strings_is_the_most() {
    let build = |len: usize| {
        sealed(|plan| {
            plan.chdir("x".repeat(len));
            exec(plan);
        })
    };
    // "/bin/true", "true", argv and envp take the rest.
    let rest = build(0).unwrap().parts[0].arena.len();
    let len = wire::MAX_ARENA - rest;
    let plan = build(len).unwrap();
    assert_eq!(plan.parts[0].arena.len(), wire::MAX_ARENA);
    let mut table = Table::default();
    assert_eq!(run(&plan, &mut table), (1, 0));
    assert!(matches!(build(len + 8), Err(SealError::TooManyBytes)));
}

#[test]
#[cfg_attr(miri, ignore = "too long")]
fn many_small_strings_count_too_and_equal_ones_once() {
    let arguments = |distinct: bool| -> Vec<Vec<u8>> {
        (0..20_000).map(|index| format!("{:050}", if distinct { index } else { 0 }).into_bytes()).collect()
    };
    let build = |distinct| {
        let mut plan = Builder::new();
        plan.exec(&["/bin/true".into()], &arguments(distinct), &[]);
        plan.seal()
    };
    assert!(matches!(build(true), Err(SealError::TooManyBytes)));
    let plan = build(false).unwrap();
    assert!(plan.counts().bytes < 20_001 * 12 + 1024, "{:?}", plan.counts());
}

#[test]
fn slots_are_used_again() {
    let plan = sealed(|plan| {
        for _ in 0..if cfg!(miri) { 20 } else { 1000 } {
            let dir: Slot<Dir> = plan.openat2(At::Cwd, "/", How::TRUSTED);
            plan.close(dir);
        }
        exec(plan);
    })
    .unwrap();
    assert_eq!(plan.counts().slots, 2);
}

#[test]
fn two_hundred_and_fifty_five_slots_are_the_most() {
    let build = |count: usize| {
        sealed(|plan| {
            for _ in 0..count {
                let _: Slot<Dir> = plan.openat2(At::Cwd, "/", How::TRUSTED);
            }
            exec(plan);
        })
    };
    let slots = wire::SLOTS - 1; // One is the control socket's.
    assert_eq!(build(slots).unwrap().counts().slots, wire::SLOTS);
    assert!(matches!(build(slots + 1), Err(SealError::TooManySlots)));
}

#[test]
fn a_header_that_announces_too_much_is_none() {
    let whole = Header { presets: 1, steps: 2, relocations: 3, arena: 64, ..Header::default() };
    let mut bytes = whole.encode().to_vec();
    bytes.resize(whole.arena_at() + 64, 0);
    assert_eq!(Header::decode(&bytes), Some(whole));
    assert_eq!(Header::decode(&bytes[..bytes.len() - 1]), None);
    let over = [
        Header { presets: 256, ..whole },
        Header { steps: 4097, ..whole },
        Header { relocations: 65, ..whole },
        Header { arena: (1 << 20) + 1, ..whole },
        Header { arena: u32::MAX, steps: u32::MAX, presets: u32::MAX, relocations: u32::MAX, ..whole },
    ];
    for header in over {
        let header_bytes = header.encode();
        let mut bytes = vec![0; 4 << 20];
        bytes[..header_bytes.len()].copy_from_slice(&header_bytes);
        assert_eq!(Header::decode(&bytes), None, "{header:?}");
    }
    for at in 0..8 {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        assert_eq!(Header::decode(&bytes), None, "byte {at} of magic and version");
    }
}

/// Paths are bytes: what is no text goes through unchanged.
#[test]
fn paths_that_are_no_text_are_kept() {
    use std::os::unix::ffi::OsStringExt;
    let path = PathBuf::from(std::ffi::OsString::from_vec(vec![b'/', 0xff, 0xfe]));
    let plan = sealed(|plan| {
        plan.chdir(&path);
        exec(plan);
    })
    .unwrap();
    assert!(plan.parts[0].arena.windows(4).any(|bytes| bytes == [b'/', 0xff, 0xfe, 0]));
    assert_eq!(plan.steps(Lane::Child).next().unwrap().call, r#"chdir("/\xff\xfe")"#);
}
