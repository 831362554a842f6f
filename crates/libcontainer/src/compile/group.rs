//! Into the control group.

use libcontainer_plan::Builder;

use super::given::Given;
use crate::setup::CgroupSetup;

/// Enters the hierarchies of version 1. The init has one thread, so `tasks` will do, which waits for nobody.
///
/// ORDER: first of all, so that whatever the init does is on the container's account.
pub(super) fn enter(plan: &mut Builder, given: &mut Given, cgroup: Option<&CgroupSetup>) {
    for path in cgroup.into_iter().flat_map(|cgroup| &cgroup.tasks) {
        given.tasks.push((plan.preset(path.display().to_string()), path.clone()));
    }
    for (slot, _) in &given.tasks {
        plan.purpose("enter the control group").write(*slot, b"0").close(*slot);
    }
}
