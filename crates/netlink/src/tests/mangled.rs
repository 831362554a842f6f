//! Captured messages with bytes changed, cut off or doubled must never panic, whatever they decode to.
use std::sync::LazyLock;

use proptest::prelude::*;

use crate::attribute::{Attribute, Attributes, keep};
use crate::frame::Frames;
use crate::reading::all as read_all;
use crate::{Address, LinkView, Neighbour, Route, Rule};

static CAPTURES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let names = include_str!("captures.txt").lines().filter(|line| !line.starts_with('#'));
    names.filter_map(|line| line.split(' ').next()).map(super::capture).collect()
});

/// Miri takes a second for what takes microseconds: one of so many.
const FEWER: usize = if cfg!(miri) { 64 } else { 1 };

fn captures() -> &'static [Vec<u8>] {
    &CAPTURES
}

#[test]
fn the_captures_as_they_are_can_be_read() {
    for capture in captures() {
        assert!(read_all(capture) > 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 4096 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mangled_captures_never_panic(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
        keep_length in any::<bool>(),
    ) {
        let captures = captures();
        let mut bytes = pick.get(captures).clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if keep_length {
            // A header that fits, so that the attributes behind it are reached.
            bytes.truncate(16 + cut.index(bytes.len() - 15));
            let length = u32::try_from(bytes.len()).unwrap();
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
        }
        read_all(&bytes);
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(Frames::new(&bytes).count() <= bytes.len() / 16 + 1);
        read_all(&bytes);
    }
}

/// xorshift64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

/// One way to damage a message: bits flipped, a tail cut off, a length or a type replaced, a piece doubled or put
/// elsewhere. The netlink header's length fits afterwards three times of four, so that what is behind it is reached.
fn damage(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        match numbers.below(5) {
            0 => bytes[at] ^= 1 << numbers.below(8),
            1 => bytes.truncate(at.max(16)),
            2 => {
                // Attributes stand at multiples of four: a length, then a type.
                let at = at & !1;
                let odd = [0, 1, 3, 4, 5, 8, 0x7fff, 0x8004, 0xffff][numbers.below(9)];
                bytes.splice(at..(at + 2).min(bytes.len()), u16::to_ne_bytes(odd));
            }
            3 => {
                let end = (at + 4 * numbers.below(16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.extend(piece);
            }
            _ => {
                let end = (at + numbers.below(24)).min(bytes.len());
                let piece: Vec<u8> = bytes.drain(at..end).collect();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
                bytes.resize(bytes.len().max(16), 0);
            }
        }
    }
    if numbers.below(4) != 0 {
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
    }
}

#[test]
fn damaged_captures_never_panic() {
    for (place, capture) in captures().iter().enumerate().step_by(FEWER) {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ (u64::try_from(place).unwrap() + 1));
        for _ in 0..1000 / FEWER {
            let mut bytes = capture.clone();
            damage(&mut bytes, &mut numbers);
            read_all(&bytes);
        }
    }
}

#[test]
fn captures_cut_off_at_every_byte_never_panic() {
    for capture in captures().iter().step_by(FEWER) {
        for end in (0..capture.len()).step_by(FEWER) {
            let mut bytes = capture[..end].to_vec();
            read_all(&bytes);
            if end >= 16 {
                bytes[..4].copy_from_slice(&u32::try_from(end).unwrap().to_ne_bytes());
                read_all(&bytes);
            }
        }
    }
}

#[test]
fn every_length_field_may_lie() {
    for capture in captures().iter().filter(|capture| capture.len() < 512).step_by(FEWER) {
        for at in (0..capture.len() - 1).step_by(2 * FEWER) {
            for length in [0_u16, 1, 3, 4, 5, 12, 0x4000, 0x7fff, 0x8000, 0xffff] {
                let mut bytes = capture.clone();
                bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
                read_all(&bytes);
            }
        }
    }
}

/// Reads a payload by its message type, and returns the attributes that were kept.
fn kept(kind: u16, payload: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let own = |attributes: Attributes<'_>| attributes.map(|it| (it.kind, it.value.to_vec())).collect();
    match kind {
        libc::RTM_NEWLINK => Some(own(LinkView::parse(payload).unwrap().to_link().unknown())),
        libc::RTM_NEWADDR => Some(own(Address::decode(payload).unwrap()?.unknown())),
        libc::RTM_NEWROUTE => Some(own(Route::decode(payload).unwrap()?.unknown())),
        libc::RTM_NEWNEIGH => Some(own(Neighbour::decode(payload).unwrap().unknown())),
        libc::RTM_NEWRULE => Some(own(Rule::decode(payload).unwrap()?.unknown())),
        _ => None,
    }
}

#[test]
fn attributes_of_the_future_are_kept_as_they_came() {
    let mut seen = std::collections::BTreeSet::new();
    for capture in captures() {
        let frame = Frames::new(capture).next().unwrap().unwrap();
        let Some(before) = kept(frame.kind, frame.payload) else { continue };
        for (number, length) in [(300, 0), (0x3ffe, 1), (777, 4), (301, 33), (0x2000, 4000 / FEWER)] {
            let value: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut payload = frame.payload.to_vec();
            keep(&mut payload, Attribute { kind: number, value: &value });
            let after = kept(frame.kind, &payload).unwrap();
            assert_eq!(after[..before.len()], before[..]);
            assert_eq!(after[before.len()..], [(number, value)], "{}", frame.kind);
        }
        seen.insert(frame.kind);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [16, 20, 24, 28, 32]);
}
