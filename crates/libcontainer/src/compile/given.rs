//! What goes into a compiled plan from outside: host steps, and what fills its slots.

use libcontainer_plan::{Dir, File, HostStep, Ns, Plan, Slot, Sock};

/// Host steps that the facade brings; the compiler only places them.
#[derive(Debug, Default)]
pub(crate) struct HostSteps {
    /// Before there is a child: the directory, the record of what will be made.
    pub(crate) before: Vec<HostStep>,
    /// When the init runs but has done nothing: id maps, oom score.
    pub(crate) born: Vec<HostStep>,
    /// While the init builds the container.
    pub(crate) meanwhile: Vec<HostStep>,
    /// Likewise, once it is told to stay for devices of the host's.
    pub(crate) devices: Vec<HostStep>,
    /// While the init waits before it enters its root.
    pub(crate) hooks: Vec<HostStep>,
    /// While the init goes from the first part of the plan to the second.
    pub(crate) first: Vec<HostStep>,
    /// When the init is ready: read back, commit.
    pub(crate) ready: Vec<HostStep>,
    /// While the init knocks: the listener of its filter is taken.
    pub(crate) listen: Option<HostStep>,
    /// When the program has taken the place of the init.
    pub(crate) executed: Vec<HostStep>,
    /// The init, which stands by, does not wait for its host any more: what it sets from there on it reads back itself.
    pub(crate) unmet: bool,
}

/// Slots that the facade fills at launch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) stdio: Option<[Slot<File>; 3]>,
    pub(crate) preserved: Vec<Slot<File>>,
    pub(crate) joined: Vec<Slot<Ns>>,
    /// The queue of `tasks` files, in the order of the setup's hierarchies.
    pub(crate) tasks: Option<Slot<Sock>>,
    pub(crate) start: Option<Slot<Sock>>,
    pub(crate) target: Option<Slot<Ns>>,
    /// The root, in a mount namespace that others have too.
    pub(crate) root: Option<Slot<Dir>>,
    /// The program of a hook.
    pub(crate) program: Option<Slot<File>>,
}

/// A compiled container and what to fill in.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) plan: Plan,
    pub(crate) given: Given,
}
