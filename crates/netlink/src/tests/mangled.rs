//! Captured messages with bytes changed, cut off or doubled must never panic, whatever they decode to.
use proptest::prelude::*;

use crate::events::event;
use crate::frame::{Frames, acknowledgement};

fn captures() -> Vec<Vec<u8>> {
    let names = include_str!("captures.txt").lines().filter(|line| !line.starts_with('#'));
    names.filter_map(|line| line.split(' ').next()).map(super::capture).collect()
}

/// Sends bytes through everything that reads what comes from the kernel.
fn read_all(bytes: &[u8]) -> usize {
    let mut seen = 0;
    for frame in Frames::new(bytes).flatten() {
        seen += usize::from(event(&frame).is_ok());
        let refusal = acknowledgement(&frame, bytes);
        seen += refusal
            .ok()
            .flatten()
            .map_or(0, |refusal| refusal.into_error(String::new(), None).to_string().len());
        seen += usize::from(crate::nsid::decode(frame.payload).is_some());
        seen += crate::names::at(bytes, frame.sequence % 256).len();
    }
    seen
}

#[test]
fn the_captures_as_they_are_can_be_read() {
    for capture in captures() {
        assert!(read_all(&capture) > 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mangled_captures_never_panic(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
        keep_length in any::<bool>(),
    ) {
        let captures = captures();
        let mut bytes = pick.get(&captures).clone();
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
