//! Plan fragments for what a process has beside its rights: scheduler, input and output, CPUs, memory, execution domain.

use libcontainer_plan::{Builder, SchedAttr};

use crate::memory_policy::MemoryPolicy;
use crate::numbers::NumberList;
use crate::personality::Personality;
use crate::scheduler::{IoPriority, Policy, Scheduler};

/// Attributes of a process that it can give itself; those absent stay what the container's maker has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// CPUs.
    pub affinity: Option<NumberList>,
    /// Scheduler.
    pub scheduler: Option<Scheduler>,
    /// Input and output.
    pub io_priority: Option<IoPriority>,
    /// Memory.
    pub memory_policy: Option<MemoryPolicy>,
    /// Execution domain.
    pub personality: Option<Personality>,
}

/// Sets what is asked for, each read back at once: sched_setaffinity(2), sched_setattr(2), ioprio_set(2), set_mempolicy(2),
/// personality(2). None of them may fail; a difference ends the plan with `EBADE`.
///
/// A real-time or deadline policy, a niceness below the present one, and the real-time class of input and output need `CAP_SYS_NICE` in the
/// first user namespace: with a user namespace of its own a container can't have them.
pub fn attributes(plan: &mut Builder, attributes: &Attributes) {
    // ORDER: CPUs before the scheduler: those of a deadline process can't be changed.
    if let Some(list) = &attributes.affinity {
        affinity(plan, list);
    }
    if let Some(wanted) = &attributes.scheduler {
        let attr = kernel_form(wanted);
        plan.purpose("set the scheduler");
        if wanted.policy == Policy::Idle && wanted.nice != 0 {
            // The kernel changes no niceness together with this policy.
            plan.sched_setattr(SchedAttr { policy: Policy::Other.number(), ..attr });
        }
        plan.sched_setattr(attr).expect_scheduler(attr);
    }
    if let Some(wanted) = attributes.io_priority.map(IoPriority::value) {
        plan.purpose("set the priority of input and output").ioprio_set(wanted).expect_ioprio(wanted);
    }
    if let Some(wanted) = &attributes.memory_policy {
        let nodes = wanted.nodes.as_ref().map(NumberList::mask).unwrap_or_default();
        plan.purpose("set the memory policy").set_mempolicy(wanted.mode_bits(), nodes);
        plan.expect_mempolicy(wanted.mode_bits(), nodes);
    }
    if let Some(wanted) = attributes.personality.as_ref().map(Personality::value) {
        plan.purpose("set the execution domain").personality(wanted).expect_personality(wanted);
    }
}

/// Restricts the process to these CPUs: sched_setaffinity(2), read back. CPUs that the machine has not, or that the control group forbids, end
/// the plan with `EBADE`, as the kernel would leave them out.
pub fn affinity(plan: &mut Builder, list: &NumberList) {
    plan.purpose(format!("use CPUs {list}")).sched_setaffinity(list.mask()).expect_affinity(list.mask());
}

/// Limits of resources: for each, prlimit(2), and prlimit(2) once more to read it back. Raising a hard limit needs `CAP_SYS_RESOURCE`.
pub fn limits(plan: &mut Builder, limits: &[(u32, u64, u64)]) {
    if !limits.is_empty() {
        plan.purpose("set resource limits");
    }
    for (resource, soft, hard) in limits {
        plan.setrlimit(*resource, *soft, *hard).expect_rlimit(*resource, *soft, *hard);
    }
}

fn kernel_form(wanted: &Scheduler) -> SchedAttr {
    let Scheduler { policy, nice, priority, runtime, deadline, period, .. } = *wanted;
    // The kernel tells no period of 0.
    let period = if period == 0 { deadline } else { period };
    let (policy, flags) = (policy.number(), wanted.flag_bits());
    SchedAttr { policy, flags, nice, priority, runtime, deadline, period }
}
