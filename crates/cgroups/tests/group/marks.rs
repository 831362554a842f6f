//! Groups that are found without a record.

use std::collections::BTreeSet;
use std::process::Command;

use libcontainer_cgroups::{
    Existing, Group, GroupPath, Layout, Place, Plan, Select, faults, find_marked, remove_empty,
};

use super::ground::{LONG, name, skip};

fn marked(path: &str, token: &str) -> (Layout, Group) {
    let layout = Layout::of_this_process().unwrap();
    let mut plan = Plan::new(&layout, &GroupPath::new(path).unwrap(), &Select::Usable).unwrap();
    plan.mark(token);
    let group = plan.make(Existing::Refuse).unwrap();
    (layout, group)
}

fn sorted(places: &[Place]) -> Vec<(std::path::PathBuf, usize, Option<u64>)> {
    let mut all: Vec<_> = places.iter().map(|place| (place.path(), place.new, place.inode)).collect();
    all.sort();
    all
}

#[test]
fn a_group_is_found_by_its_mark_and_taken_away() {
    let top = name();
    let token = format!("/run/test/{top}");
    // The directory above both belongs to the first.
    let (layout, group) = marked(&format!("{top}/one"), &token);
    let (_, other) = marked(&format!("{top}/two"), &format!("{token}2"));
    assert!(group.unmarked().is_none(), "{:?}", group.unmarked());
    // A container's own groups are nobody's mark.
    for place in group.places() {
        std::fs::create_dir(place.path().join("own")).unwrap();
    }
    let found = find_marked(&layout, token.as_bytes());
    assert!(found.unseen.is_empty(), "{:?}", found.unseen);
    assert_eq!(sorted(&found.places), sorted(group.places()));
    for wrong in ["", "/run/test", &format!("{token}3")] {
        assert!(find_marked(&layout, wrong.as_bytes()).places.is_empty(), "{wrong:?}");
    }
    // It is all that is needed to end it; what another one uses by now stays.
    Group::open(&found.places).unwrap().destroy(LONG).unwrap();
    assert!(group.places().iter().all(|place| !place.path().exists()));
    assert!(other.places().iter().all(|place| place.path().is_dir()));
    other.destroy(LONG).unwrap();
    // The last to go left the directory above to its owner, whose mark still stands there.
    let rest = find_marked(&layout, token.as_bytes());
    assert_eq!(rest.places.len(), group.places().len());
    assert!(remove_empty(&rest.places).unwrap());
    assert!(find_marked(&layout, token.as_bytes()).places.is_empty());
}

#[test]
fn what_was_there_before_is_not_marked() {
    let top = name();
    let (layout, theirs) = marked(&top, &format!("{top} theirs"));
    let (_, ours) = marked(&format!("{top}/ours"), &format!("{top} ours"));
    let found = find_marked(&layout, format!("{top} ours").as_bytes());
    assert_eq!(sorted(&found.places), sorted(ours.places()));
    assert!(found.places.iter().all(|place| place.new == 1));
    ours.destroy(LONG).unwrap();
    theirs.destroy(LONG).unwrap();
}

/// A group does without its mark, and says why; a search that can't look says so.
#[test]
fn a_mark_that_is_refused_and_a_look_that_fails() {
    let path = name();
    let layout = Layout::of_this_process().unwrap();
    let mut plan = Plan::new(&layout, &GroupPath::new(&path).unwrap(), &Select::Usable).unwrap();
    plan.mark(path.clone());
    let injected = faults::inject_calls(|call| (call.name == "fsetxattr").then_some(libc::ENOSPC));
    let group = plan.make(Existing::Refuse).unwrap();
    drop(injected);
    let why = group.unmarked().unwrap();
    assert_eq!(why.errno(), Some(libc::ENOSPC), "{why}");
    // ORDER: there is at least this group to be looked at.
    for call_name in ["openat", "fgetxattr", "getdents64", "fstat"] {
        let injected = faults::inject_calls(move |call| (call.name == call_name).then_some(libc::EIO));
        let found = find_marked(&layout, path.as_bytes());
        drop(injected);
        assert!(!found.unseen.is_empty(), "{call_name}");
        assert!(found.unseen.iter().all(|error| error.errno() == Some(libc::EIO)), "{:?}", found.unseen);
    }
    group.destroy(LONG).unwrap();
    let mut plan = Plan::new(&layout, &GroupPath::new(&path).unwrap(), &Select::Usable).unwrap();
    plan.mark(vec![b'x'; 5000]);
    let group = plan.make(Existing::Refuse).unwrap();
    assert_eq!(group.unmarked().unwrap().errno(), Some(libc::E2BIG));
    group.destroy(LONG).unwrap();
}

/// Without rights over the machine the mark is one of the user's, and root doesn't believe it.
#[test]
fn the_mark_of_an_ordinary_user() {
    const INSIDE: &str = "LIBCONTAINER_TEST_MARK";
    let test = "the_mark_of_an_ordinary_user";
    if let Some(token) = std::env::var_os(INSIDE) {
        return inside(token.to_str().unwrap());
    }
    let token = name();
    let run = Command::new("unshare")
        .args(["--user", "--map-root-user"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("marks::{test}"), "--nocapture"])
        .env(INSIDE, &token)
        .output();
    let output = match run {
        Err(error) => return skip(test, &format!("unshare: {error}")),
        Ok(output) => output,
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if text.starts_with("unshare:") {
        return skip(test, text.trim());
    }
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stdout));
}

fn inside(token: &str) {
    let (layout, group) = marked(token, token);
    if group.is_gone() {
        return skip("the_mark_of_an_ordinary_user", "no hierarchy can be written");
    }
    let found = find_marked(&layout, token.as_bytes());
    // KERNEL(5.7): version 1 and 2 have attributes of the user's.
    let marked: BTreeSet<_> = found.places.iter().map(Place::path).collect();
    let made: BTreeSet<_> = group.places().iter().map(Place::path).collect();
    assert_eq!(marked == made, group.unmarked().is_none(), "{:?}", group.unmarked());
    group.destroy(LONG).unwrap();
}
