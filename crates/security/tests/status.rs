//! `/proc/PID/status` as the kernel writes it, as it never does, and as any bytes.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic outside of its own function"
)]

use libcontainer_security::{CapSet, Ids, SeccompMode, Status, StatusError};
use proptest::prelude::*;

const SAMPLE: &str = "Name:\tsleep\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nNgid:\t0\nPid:\t7\nPPid:\t1\n\
    TracerPid:\t0\nUid:\t1000\t1001\t1002\t1003\nGid:\t100\t101\t102\t103\nFDSize:\t64\nGroups:\t5 10 4294967294 \n\
    NStgid:\t7\nVmPeak:\t    8 kB\nSigQ:\t0/9\nCapInh:\t0000000000000001\nCapPrm:\t0000000000000003\n\
    CapEff:\t0000000000000002\nCapBnd:\t000001ffffffffff\nCapAmb:\t8000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n\
    Seccomp_filters:\t3\nSpeculation_Store_Bypass:\tvulnerable\n";

fn sample_with(from: &str, to: &str) -> Vec<u8> {
    assert!(SAMPLE.contains(from), "{from}");
    SAMPLE.replacen(from, to, 1).into_bytes()
}

#[test]
fn every_field_is_read_from_its_own_line() {
    let status = Status::parse(SAMPLE.as_bytes()).unwrap();
    assert_eq!(status.uids, Ids { real: 1000, effective: 1001, saved: 1002, filesystem: 1003 });
    assert_eq!(status.gids, Ids { real: 100, effective: 101, saved: 102, filesystem: 103 });
    assert_eq!(status.groups, [5, 10, 4_294_967_294]);
    let sets = status.capabilities;
    assert_eq!((sets.inheritable.bits(), sets.permitted.bits(), sets.effective.bits()), (1, 3, 2));
    assert_eq!((sets.bounding, sets.ambient.bits()), (CapSet::all(40), 1 << 63));
    assert!(status.no_new_privs);
    assert_eq!((status.seccomp, status.seccomp_filters), (Some(SeccompMode::Filter), Some(3)));
}

#[test]
fn what_a_kernel_may_leave_out_is_no_error() {
    type Holds = fn(&Status) -> bool;
    let cases: [(&str, &str, Holds); 5] = [
        ("Groups:\t5 10 4294967294 \n", "Groups:\t \n", |status| status.groups.is_empty()),
        ("Seccomp:\t2\nSeccomp_filters:\t3\n", "", |status| status.seccomp.is_none()),
        ("Seccomp_filters:\t3\n", "", |status| status.seccomp_filters.is_none() && status.seccomp.is_some()),
        ("Seccomp:\t2", "Seccomp:\t1", |status| status.seccomp == Some(SeccompMode::Strict)),
        ("NoNewPrivs:\t1", "NoNewPrivs:\t0", |status| !status.no_new_privs),
    ];
    for (from, to, holds) in cases {
        assert!(holds(&Status::parse(&sample_with(from, to)).unwrap()), "{to:?}");
    }
    // A program may call itself anything; the kernel escapes the newline.
    let named = sample_with("Name:\tsleep", "Name:\t\u{fffd}\\nUid:\\t0 NoNewPrivs:");
    assert_eq!(Status::parse(&named).unwrap().uids.real, 1000);
    let mut bytes = SAMPLE.as_bytes().to_vec();
    bytes.splice(6..11, [0xff, 0xfe]);
    assert!(Status::parse(&bytes).unwrap().no_new_privs);
}

#[test]
fn what_is_missing_twice_or_odd_is_named() {
    let malformed = |field, value: &str| StatusError::Malformed { field, value: value.to_owned() };
    let cases = [
        ("Uid:\t1000\t1001\t1002\t1003\n", "", StatusError::Missing { field: "Uid" }),
        ("Groups:", "groups:", StatusError::Missing { field: "Groups" }),
        ("NoNewPrivs:\t1\n", "", StatusError::Missing { field: "NoNewPrivs" }),
        ("CapBnd:", "CapBnd2:", StatusError::Missing { field: "CapBnd" }),
        ("Pid:\t7\n", "Pid:\t7\nUid:\t0\t0\t0\t0\n", StatusError::Twice { field: "Uid" }),
        ("Seccomp:\t2\n", "Seccomp:\t2\nSeccomp:\t2\n", StatusError::Twice { field: "Seccomp" }),
        ("1002\t1003", "1002", malformed("Uid", "1000\t1001\t1002")),
        ("1002\t1003", "1002\t1003\t5", malformed("Uid", "1000\t1001\t1002\t1003\t5")),
        ("\t100\t101", "\t+100\t101", malformed("Gid", "+100\t101\t102\t103")),
        ("5 10 4294967294", "5 x", malformed("Groups", "5 x")),
        ("5 10 4294967294", "4294967296", malformed("Groups", "4294967296")),
        ("CapEff:\t0000000000000002", "CapEff:\t2", malformed("CapEff", "2")),
        ("CapEff:\t0000000000000002", "CapEff:\t+000000000000002", malformed("CapEff", "+000000000000002")),
        ("NoNewPrivs:\t1", "NoNewPrivs:\t", malformed("NoNewPrivs", "")),
        ("NoNewPrivs:\t1", "NoNewPrivs:\t2", malformed("NoNewPrivs", "2")),
        ("Seccomp:\t2", "Seccomp:\t3", malformed("Seccomp", "3")),
        ("Seccomp_filters:\t3", "Seccomp_filters:\t-1", malformed("Seccomp_filters", "-1")),
    ];
    for (from, to, wanted) in cases {
        assert_eq!(Status::parse(&sample_with(from, to)), Err(wanted), "{from:?} -> {to:?}");
    }
    let long = sample_with("5 10 4294967294", &"x".repeat(1000));
    assert_eq!(Status::parse(&long), Err(malformed("Groups", &"x".repeat(63))));
}

#[test]
fn the_largest_list_of_groups_is_read() {
    let groups: Vec<u32> = (0..65536).map(|index| u32::MAX - 1 - index).collect();
    let text: String = groups.iter().map(|group| format!("{group} ")).collect();
    let status = Status::parse(&sample_with("5 10 4294967294 ", &text)).unwrap();
    assert_eq!(status.groups, groups);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_an_error_or_a_status(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        // Random bytes hold no line "Uid".
        prop_assert!(Status::parse(&bytes).is_err());
    }

    #[test]
    fn a_changed_byte_or_a_cut_never_panics(at in 0..SAMPLE.len(), byte in any::<u8>(), cut in 0..SAMPLE.len()) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = Status::parse(&bytes);
        bytes.truncate(cut);
        // Without its last needed line the text is never taken for whole.
        if cut <= SAMPLE.find("NoNewPrivs").unwrap() {
            prop_assert!(Status::parse(&bytes).is_err());
        }
    }

    #[test]
    fn what_is_written_is_read(ids in any::<[u32; 8]>(), masks in any::<[u64; 5]>(), groups in prop::collection::vec(any::<u32>(), 0..40), flag in any::<bool>()) {
        let line = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join("\t");
        let mut text = format!("Uid:\t{}\nGid:\t{}\nGroups:\t{} \n", line(&ids[..4]), line(&ids[4..]), line(&groups));
        for (name, mask) in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].iter().zip(masks) {
            text += &format!("{name}:\t{mask:016x}\n");
        }
        text += &format!("NoNewPrivs:\t{}\n", u8::from(flag));
        let status = Status::parse(text.as_bytes()).unwrap();
        prop_assert_eq!((status.uids.filesystem, status.gids.real), (ids[3], ids[4]));
        prop_assert_eq!(status.groups, groups);
        prop_assert_eq!(status.capabilities.inheritable.bits(), masks[0]);
        prop_assert_eq!(status.capabilities.ambient.bits(), masks[4]);
        prop_assert_eq!((status.no_new_privs, status.seccomp), (flag, None));
    }
}
