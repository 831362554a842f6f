//! Device rules of version 1 that change over a gap: the group stands still meanwhile, and afterwards is as it was.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::ground::{Ground, LONG};
use libcontainer_cgroups::limits::{OnRefusal, update};
use libcontainer_cgroups::{FreezerState, Resources, Result, faults};

const NULL_ONLY: &str = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"rw"}]}"#;
const ALL_BUT_NULL: &str = r#"{"devices":[{"allow":true,"access":"rwm"},{"allow":false,"type":"c","major":1,"minor":3,"access":"w"}]}"#;

fn resources(json: &str) -> Resources {
    serde_json::from_str(json).unwrap()
}

/// A group with a process in it that may use one device.
fn running(test: &str) -> Option<Ground> {
    let mut ground = Ground::new(test, &["devices", "freezer"])?;
    if ground.group.controller("devices").is_none() {
        super::ground::skip(test, "version 2 replaces its filter at once");
        return None;
    }
    ground.run("exec sleep 1000");
    update(&ground.group, &resources(NULL_ONLY), OnRefusal::RollBack).unwrap();
    Some(ground)
}

fn flip(ground: &Ground) -> Result<()> {
    update(&ground.group, &resources(ALL_BUT_NULL), OnRefusal::RollBack)
}

fn is(ground: &Ground, state: FreezerState) {
    assert_eq!(ground.group.frozen_state().unwrap(), state);
}

#[test]
fn a_paused_group_stays_paused() {
    let Some(ground) = running("a_paused_group_stays_paused") else { return };
    ground.group.freeze(LONG).unwrap();
    flip(&ground).unwrap();
    is(&ground, FreezerState::Frozen);
    assert_eq!(ground.read("devices", "devices.list"), "a *:* rwm");
    // Also one whose rules are refused.
    update(&ground.group, &resources(NULL_ONLY), OnRefusal::RollBack).unwrap();
    let before = ground.read("devices", "devices.list");
    let refused = faults::inject(|file, value| {
        (file.ends_with("devices.deny") && value.contains("1:3")).then_some(libc::EIO)
    });
    let error = flip(&ground).unwrap_err();
    drop(refused);
    assert_eq!(error.errno(), Some(libc::EIO), "{error}");
    is(&ground, FreezerState::Frozen);
    assert_eq!(ground.read("devices", "devices.list"), before);
    ground.group.thaw(LONG).unwrap();
    is(&ground, FreezerState::Thawed);
}

/// A group above that is frozen is no wish of this one's.
#[test]
fn a_group_below_a_paused_one_runs_again_with_it() {
    let test = "a_group_below_a_paused_one_runs_again_with_it";
    let Some(ground) = Ground::new(test, &["devices", "freezer"]) else { return };
    let Some((above, libcontainer_cgroups::stats::Version::V1)) = ground.group.controller("freezer") else {
        return super::ground::skip(test, "no freezer of version 1");
    };
    let above = std::sync::Arc::clone(above);
    let path = std::path::Path::new("/").join(&ground.group.places()[0].below).join("below");
    let mut below = Ground::at(test, path.to_str().unwrap(), &["devices", "freezer"]).unwrap();
    below.run("exec sleep 1000");
    update(&below.group, &resources(NULL_ONLY), OnRefusal::RollBack).unwrap();
    above.write("freezer.state", "FROZEN").unwrap();
    super::ground::until(|| below.group.frozen_state().unwrap() == FreezerState::Frozen);
    flip(&below).unwrap();
    is(&below, FreezerState::Frozen);
    above.write("freezer.state", "THAWED").unwrap();
    super::ground::until(|| below.group.frozen_state().unwrap() == FreezerState::Thawed);
    below.group.kill(LONG).unwrap();
}

#[test]
fn refused_rules_leave_the_old_ones_and_a_group_that_runs() {
    let Some(ground) = running("refused_rules_leave_the_old_ones_and_a_group_that_runs") else { return };
    let before = ground.read("devices", "devices.list");
    for refused in ["a", "c 1:3 w"] {
        let injected = faults::inject(move |file, value| {
            let devices = file.ends_with("devices.allow") || file.ends_with("devices.deny");
            (devices && value == refused).then_some(libc::EIO)
        });
        let error = flip(&ground).unwrap_err();
        drop(injected);
        assert!(error.to_string().contains(&format!("write {refused:?} to ")), "{error}");
        is(&ground, FreezerState::Thawed);
        assert_eq!(ground.read("devices", "devices.list"), before, "{error}");
    }
}

#[test]
fn a_refused_thaw_is_tried_again_and_then_told() {
    let Some(ground) = running("a_refused_thaw_is_tried_again_and_then_told") else { return };
    let left = Rc::new(Cell::new(3));
    let count = Rc::clone(&left);
    let injected = faults::inject(move |_, value| {
        let fails = value == "THAWED" && count.get() > 0;
        count.set(count.get() - i32::from(fails));
        fails.then_some(libc::EIO)
    });
    flip(&ground).unwrap();
    drop(injected);
    assert_eq!(left.get(), 0);
    is(&ground, FreezerState::Thawed);
    update(&ground.group, &resources(NULL_ONLY), OnRefusal::RollBack).unwrap();
    let injected = faults::inject(|_, value| (value == "THAWED").then_some(libc::EIO));
    let error = flip(&ground).unwrap_err().to_string();
    drop(injected);
    assert!(error.contains("write \"THAWED\" to ") && error.contains("stands still until it is"), "{error}");
    is(&ground, FreezerState::Frozen);
    ground.group.thaw(Duration::from_secs(10)).unwrap();
}
