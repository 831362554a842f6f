//! Into the control group.

use libcontainer_plan::{Builder, File, Slot};

use super::given::Given;
use crate::setup::CgroupSetup;

/// Enters the hierarchies of version 1. The init has one thread, so `tasks` will do, which waits for nobody.
///
/// ORDER: first of all, so that whatever the init does is on the container's account.
pub(super) fn enter(plan: &mut Builder, given: &mut Given, cgroup: Option<&CgroupSetup>) {
    let paths = cgroup.map(|cgroup| cgroup.tasks.as_slice()).unwrap_or_default();
    if paths.is_empty() {
        return;
    }
    plan.purpose("enter the control group");
    let queue = plan.preset("tasks files");
    for path in paths {
        let tasks: Slot<File> = plan.take_fd(queue, &path.display().to_string());
        plan.write(tasks, b"0").close(tasks);
    }
    plan.close(queue);
    given.tasks = Some((queue, paths.to_vec()));
}
