//! Random rules over few numbers, so that they meet often.

use libcontainer_cgroups::devices::{Access, Kind, Rule};
use proptest::prelude::*;

pub(crate) const NUMBERS: [u32; 4] = [0, 1, 3, 4];
pub(crate) const LARGE: [u32; 2] = [(1 << 12) - 1, (1 << 20) - 1];

pub(crate) fn number(largest: u32) -> impl Strategy<Value = Option<u32>> {
    prop_oneof![
        3 => Just(None),
        6 => prop::sample::select(&NUMBERS[..]).prop_map(Some),
        1 => Just(Some(largest)),
    ]
}

pub(crate) fn access() -> impl Strategy<Value = Access> {
    (1_u32..8).prop_map(Access::from_bits_truncate)
}

pub(crate) fn rule() -> impl Strategy<Value = Rule> {
    let kind = prop::sample::select(vec![Kind::All, Kind::Char, Kind::Block]);
    let some = (any::<bool>(), kind, number(LARGE[0]), number(LARGE[1]), access())
        .prop_map(|(allow, kind, major, minor, access)| Rule { allow, kind, major, minor, access });
    prop_oneof![8 => some, 1 => any::<bool>().prop_map(Rule::everything)]
}

/// Each device that the rules can tell apart, with each request, the empty one included.
pub(crate) fn requests() -> impl Iterator<Item = (Kind, u32, u32, Access)> {
    let kinds = [Kind::Char, Kind::Block].into_iter();
    let majors = move |kind| NUMBERS.into_iter().chain([2, LARGE[0]]).map(move |major| (kind, major));
    let minors =
        |(kind, major)| NUMBERS.into_iter().chain([2, LARGE[1]]).map(move |minor| (kind, major, minor));
    kinds.flat_map(majors).flat_map(minors).flat_map(|(kind, major, minor)| {
        (0..8).map(move |bits| (kind, major, minor, Access::from_bits_truncate(bits)))
    })
}

/// What Docker and podman give when nothing else is asked for.
pub(crate) const DOCKER: &str = r#"[
    {"allow": false, "access": "rwm"},
    {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
    {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
    {"allow": true, "type": "c", "major": 1, "minor": 9, "access": "rwm"},
    {"allow": true, "type": "c", "major": 1, "minor": 8, "access": "rwm"},
    {"allow": true, "type": "c", "major": 5, "minor": 0, "access": "rwm"},
    {"allow": true, "type": "c", "major": 5, "minor": 1, "access": "rwm"},
    {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
]"#;

pub(crate) fn docker() -> Vec<Rule> {
    serde_json::from_str(DOCKER).unwrap()
}
