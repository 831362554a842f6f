//! Version 2 by itself, also where it is mounted beside version 1.

use std::collections::BTreeSet;

use libcontainer_cgroups::stats::Version;
use libcontainer_cgroups::{Existing, FreezerState, Group, GroupPath, Layout, Plan, Select};

use super::ground::{LONG, enter, name, skip, until};

fn make(layout: &Layout, path: &str, name: &str) -> libcontainer_cgroups::Result<Group> {
    let select = Select::Only(BTreeSet::from([name.to_owned()]));
    Plan::new(layout, &GroupPath::new(path).unwrap(), &select)?.make(Existing::Refuse)
}

fn sleeper(group: &Group) -> std::process::Child {
    let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    enter(group, libcontainer_cgroups::Pid::new(i32::try_from(child.id()).unwrap()).unwrap());
    child
}

#[test]
fn frozen_killed_while_frozen_and_removed() {
    let test = "frozen_killed_while_frozen_and_removed";
    let layout = Layout::of_this_process().unwrap();
    if layout.v2.is_none() {
        return skip(test, "version 2 is not mounted");
    }
    let group = make(&layout, &name(), "unified").unwrap();
    assert_eq!(group.places().len(), 1);
    let join = group.join_files().unwrap();
    assert!(join.tasks.is_empty() && join.unified.is_some());
    let mut child = sleeper(&group);
    group.freeze(LONG).unwrap();
    assert_eq!(group.frozen_state().unwrap(), FreezerState::Frozen);
    group.thaw(LONG).unwrap();
    assert_eq!(group.frozen_state().unwrap(), FreezerState::Thawed);
    group.freeze(LONG).unwrap();
    group.kill(LONG).unwrap();
    assert!(!child.wait().unwrap().success());
    until(|| group.processes().unwrap().is_empty());
    group.remove(LONG).unwrap();
    assert!(group.unified().unwrap().read("cgroup.events").unwrap_err().is_gone());
}

#[test]
fn no_controllers_below_a_group_with_processes() {
    let test = "no_controllers_below_a_group_with_processes";
    let layout = Layout::of_this_process().unwrap();
    let mut own = layout.v2.iter().flat_map(|v2| &v2.controllers);
    // The others may be given below a group with processes, which makes that a threaded one.
    let domain = |name: &&String| !["cpu", "cpuset", "pids", "perf_event"].contains(&name.as_str());
    let found = |name: &&String| domain(name) && layout.hierarchy(name).unwrap().version == Version::V2;
    let Some(controller) = own.find(found) else {
        return skip(test, "version 2 has no controllers");
    };
    let path = name();
    let group = match make(&layout, &path, controller) {
        Ok(group) => group,
        Err(error) => {
            assert!(error.to_string().contains("processes of its own"), "{error}");
            return skip(test, "the group of this process gives no controllers");
        }
    };
    assert!(group.controller(controller).is_some());
    let mut child = sleeper(&group);
    let error = make(&layout, &format!("{path}/below"), controller).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EBUSY));
    assert!(error.to_string().contains("processes of its own"), "{error}");
    // With whatever can be used, the group is made, and limits say why they can't be.
    let plan =
        Plan::new(&layout, &GroupPath::new(format!("{path}/below")).unwrap(), &Select::Usable).unwrap();
    let below = plan.make(Existing::Refuse).unwrap();
    assert!(below.missing()[controller].contains("processes of its own"), "{:?}", below.missing());
    assert!(below.controller(controller).is_none());
    below.destroy(LONG).unwrap();
    group.destroy(LONG).unwrap();
    assert!(!child.wait().unwrap().success());
}
