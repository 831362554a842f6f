//! Into the control group.

use libcontainer_plan::{Builder, File, Slot, Sock};

use crate::setup::CgroupSetup;

/// Enters the hierarchies of version 1, and returns the slot of the queue of their `tasks` files. The init has one thread, so `tasks` will do,
/// which waits for nobody.
///
/// ORDER: first of all, so that whatever the init does is on the container's account.
pub(super) fn enter(plan: &mut Builder, cgroup: Option<&CgroupSetup>) -> Option<Slot<Sock>> {
    let hierarchies = cgroup.map(|cgroup| cgroup.tasks.as_slice()).filter(|all| !all.is_empty())?;
    plan.purpose("enter the control group");
    let queue = plan.preset("tasks files");
    for hierarchy in hierarchies {
        let tasks: Slot<File> = plan.take_fd(queue, &format!("tasks in {}", hierarchy.display()));
        plan.write(tasks, b"0").close(tasks);
    }
    plan.close(queue);
    Some(queue)
}
