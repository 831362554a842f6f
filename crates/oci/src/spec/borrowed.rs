//! Types that `libcontainer` has in the specification's own JSON.

use libcontainer::Problem;
pub use libcontainer::cgroups::Resources;
use libcontainer::cgroups::devices::Rule;
pub use libcontainer::security::seccomp::Profile as Seccomp;
pub use libcontainer::security::{CpuAffinity, IoPriority, MemoryPolicy, Personality, Rlimit, Scheduler};

use super::object::Shape::{self, Access, Any, List, Map, Object};
use super::object::Shaped;
use super::read;

/// Reads `linux.resources` alone, which `update --resources` is given; with what is to be said of it, as in a [`Spec`](super::Spec).
///
/// # Errors
/// As [`Spec::from_json`](super::Spec::from_json).
pub fn resources_from_json(text: &[u8]) -> Result<(Resources, Vec<Problem>), super::Error> {
    read::read(text)
}

impl Shaped for Rlimit {
    const SHAPE: Shape = Object(&[("type", Any), ("soft", Any), ("hard", Any)]);
}

impl Shaped for Scheduler {
    const SHAPE: Shape = Object(&[
        ("policy", Any),
        ("nice", Any),
        ("priority", Any),
        ("flags", Any),
        ("runtime", Any),
        ("deadline", Any),
        ("period", Any),
    ]);
}

impl Shaped for IoPriority {
    const SHAPE: Shape = Object(&[("class", Any), ("priority", Any)]);
}

impl Shaped for CpuAffinity {
    const SHAPE: Shape = Object(&[("initial", Any), ("final", Any)]);
}

impl Shaped for MemoryPolicy {
    const SHAPE: Shape = Object(&[("mode", Any), ("nodes", Any), ("flags", Any)]);
}

impl Shaped for Personality {
    const SHAPE: Shape = Object(&[("domain", Any), ("flags", Any)]);
}

impl Shaped for Rule {
    const SHAPE: Shape =
        Object(&[("allow", Any), ("type", Any), ("major", Any), ("minor", Any), ("access", Access)]);
}

const WEIGHT: Shape = Object(&[("major", Any), ("minor", Any), ("weight", Any), ("leafWeight", Any)]);
const THROTTLE: Shape = Object(&[("major", Any), ("minor", Any), ("rate", Any)]);

impl Shaped for Resources {
    const SHAPE: Shape = Object(&[
        ("devices", <Vec<Rule> as Shaped>::SHAPE),
        (
            "memory",
            Object(&[
                ("limit", Any),
                ("reservation", Any),
                ("swap", Any),
                ("kernel", Any),
                ("kernelTCP", Any),
                ("swappiness", Any),
                ("disableOOMKiller", Any),
                ("useHierarchy", Any),
                ("checkBeforeUpdate", Any),
            ]),
        ),
        (
            "cpu",
            Object(&[
                ("shares", Any),
                ("quota", Any),
                ("burst", Any),
                ("period", Any),
                ("realtimeRuntime", Any),
                ("realtimePeriod", Any),
                ("cpus", Any),
                ("mems", Any),
                ("idle", Any),
            ]),
        ),
        ("pids", Object(&[("limit", Any)])),
        (
            "blockIO",
            Object(&[
                ("weight", Any),
                ("leafWeight", Any),
                ("weightDevice", List(&WEIGHT)),
                ("throttleReadBpsDevice", List(&THROTTLE)),
                ("throttleWriteBpsDevice", List(&THROTTLE)),
                ("throttleReadIOPSDevice", List(&THROTTLE)),
                ("throttleWriteIOPSDevice", List(&THROTTLE)),
            ]),
        ),
        ("hugepageLimits", List(&Object(&[("pageSize", Any), ("limit", Any)]))),
        (
            "network",
            Object(&[("classID", Any), ("priorities", List(&Object(&[("name", Any), ("priority", Any)])))]),
        ),
        ("rdma", Map(&Object(&[("hcaHandles", Any), ("hcaObjects", Any)]))),
        ("unified", Any),
    ]);
}

impl Shaped for Seccomp {
    const SHAPE: Shape = Object(&[
        ("defaultAction", Any),
        ("defaultErrnoRet", Any),
        ("architectures", Any),
        ("flags", Any),
        ("listenerPath", Any),
        ("listenerMetadata", Any),
        (
            "syscalls",
            List(&Object(&[
                ("names", Any),
                ("action", Any),
                ("errnoRet", Any),
                ("args", List(&Object(&[("index", Any), ("value", Any), ("valueTwo", Any), ("op", Any)]))),
            ])),
        ),
    ]);
}
