//! What a container is made for, which decides how far its start goes.

use crate::config::Hooks;
use crate::record::Status;
use crate::setup::StartSetup;

/// What a container is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// Its first process runs at the end.
    Run,
    /// Its first process waits for the start.
    Wait,
    /// Its first process is told later.
    StandBy,
}

impl Aim {
    pub(super) fn of(start: StartSetup) -> Self {
        if start == StartSetup::Wait { Self::Wait } else { Self::Run }
    }

    /// Whether `startContainer` hooks run while it is made.
    pub(super) fn runs_hooks_at_start(self, hooks: &Hooks) -> bool {
        self == Self::Run && !hooks.start_container.is_empty()
    }

    /// Whether hooks run while it is made.
    pub(super) fn waits_for_hooks(self, hooks: &Hooks) -> bool {
        self.runs_hooks_at_start(hooks) || hooks.before_root().next().is_some()
    }

    /// Whether the record says to the last that it is being made: who finds an init that has stayed for its devices is to know what became of its maker.
    pub(super) fn holds(self, devices: bool) -> bool {
        devices && self != Self::StandBy
    }

    /// What the record says at the end.
    pub(super) fn status(self) -> Status {
        match self {
            Self::Run => Status::Running,
            Self::Wait => Status::Created,
            Self::StandBy => Status::Warm,
        }
    }
}
