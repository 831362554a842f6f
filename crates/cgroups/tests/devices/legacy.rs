//! States and transitions of version 1, played on the simulated kernel.

use libcontainer_cgroups::devices::v1::{Gap, State, Transition, Write};
use libcontainer_cgroups::devices::{Access, Kind, Rule, model};
use proptest::prelude::*;

use crate::any::{docker, requests, rule};
use crate::simulation::Group;

/// The states that version 1 can hold, out of random rules.
fn state() -> impl Strategy<Value = (Vec<Rule>, State)> {
    let rules = prop::collection::vec(rule(), 0..8);
    rules.prop_filter_map("a hole that version 1 can't hold", |rules| {
        let state = State::from_rules(&rules).ok()?;
        Some((rules, state))
    })
}

fn reach(group: &mut Group, state: &State) -> Transition {
    let seen = State::from_list(&group.list()).unwrap();
    let transition = Transition::plan(&seen, state);
    transition.writes().iter().for_each(|write| group.write(write));
    transition
}

fn asked() -> impl Iterator<Item = (Kind, u32, u32, Access)> {
    requests().filter(|(_, _, _, access)| !access.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::cases(192), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_state_means_what_its_rules_mean((rules, state) in state()) {
        for (kind, major, minor, access) in asked() {
            prop_assert_eq!(
                state.allows(kind, major, minor, access),
                model::allows(&rules, kind, major, minor, access),
                "{:?} {}:{} {:?}: {:?}", kind, major, minor, access, rules
            );
        }
    }

    #[test]
    fn the_writes_end_in_the_new_state((_, old) in state(), (_, new) in state()) {
        let mut group = Group::new();
        reach(&mut group, &old);
        reach(&mut group, &new);
        for (kind, major, minor, access) in asked() {
            prop_assert_eq!(
                group.allows(kind, major, minor, access),
                new.allows(kind, major, minor, access),
                "{:?} {}:{} {:?}: {:?} to {:?}", kind, major, minor, access, old, new
            );
        }
        let seen = State::from_list(&group.list()).unwrap();
        let rest = Transition::plan(&seen, &new);
        // A list that allows by default hides its exceptions: they are written again.
        prop_assert!(new.allows_by_default() || rest.writes().is_empty(), "{:?}", rest);
    }

    #[test]
    fn without_a_gap_nothing_wavers((_, old) in state(), (_, new) in state()) {
        let mut group = Group::new();
        reach(&mut group, &old);
        let plan = Transition::plan(&State::from_list(&group.list()).unwrap(), &new);
        prop_assume!(plan.gap().is_none());
        let single = || asked().filter(|(_, _, _, access)| access.bits().is_power_of_two());
        for write in plan.writes() {
            group.write(write);
            for (kind, major, minor, access) in single() {
                let ends = (old.allows(kind, major, minor, access), new.allows(kind, major, minor, access));
                if ends.0 == ends.1 {
                    prop_assert_eq!(group.allows(kind, major, minor, access), ends.0);
                }
            }
        }
    }
}

#[test]
fn an_update_writes_only_what_differs() {
    let mut wider = docker();
    wider.push(Rule { kind: Kind::Char, major: Some(10), minor: Some(200), ..Rule::everything(true) });
    let (old, new) = (State::from_rules(&docker()).unwrap(), State::from_rules(&wider).unwrap());
    let tun = |allow| Write { allow, text: "c 10:200 rwm".to_owned() };
    assert_eq!(Transition::plan(&old, &new).writes(), [tun(true)]);
    assert_eq!(Transition::plan(&new, &old).writes(), [tun(false)]);
    assert!(Transition::plan(&old, &old).writes().is_empty());
}

#[test]
fn the_way_from_everything_to_a_list() {
    let all = State::from_list("a *:* rwm\n").unwrap();
    let docker = State::from_rules(&docker()).unwrap();
    let plan = Transition::plan(&all, &docker);
    let writes: Vec<(bool, &str)> =
        plan.writes().iter().map(|write| (write.allow, write.text.as_str())).collect();
    assert_eq!(
        writes,
        [
            (false, "a"),
            (true, "c 1:3 rwm"),
            (true, "c 1:5 rwm"),
            (true, "c 1:8 rwm"),
            (true, "c 1:9 rwm"),
            (true, "c 5:0 rwm"),
            (true, "c 5:1 rwm"),
        ]
    );
    assert_eq!(plan.gap(), Some(Gap::Denies));
    let back = Transition::plan(&docker, &State::from_rules(&[Rule::everything(true)]).unwrap());
    assert_eq!((back.writes().len(), back.gap()), (1, None));
}

#[test]
fn what_version_1_can_not_hold() {
    let wide = Rule { kind: Kind::Char, major: Some(1), ..Rule::everything(true) };
    let hole = Rule { allow: false, minor: Some(3), ..wide };
    let error = State::from_rules(&[Rule::everything(false), wide, hole]).unwrap_err().to_string();
    assert!(error.contains("would cut a hole into \"c 1:* rwm\""), "{error}");
    for line in ["c 1:3", "c 1 rwm", "x 1:3 rwm", "c 1:3 rwm more", "c 9999:3 rwm", "c a:b r"] {
        let error = State::from_list(line).unwrap_err().to_string();
        assert!(error.contains(line), "{error}");
    }
}
