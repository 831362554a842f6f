//! The rest of a plan, made while its container stands by, for the program that was started last: the next is often the same again.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use libcontainer_plan::{HostStep, OpenStdio};

use super::create::expected;
use super::draft::Draft;
use super::listen::{self, Of};
use super::prepared::{Own, Part, Prepared};
use super::readback::Expected;
use super::under;
use crate::compile::{self, Compiled, Foundation, HostSteps};
use crate::config::NamespaceKind;
use crate::error::{Error, Result};
use crate::group;
use crate::process::ProcessConfig;
use crate::resolve::Inherited;
use crate::setup::{Instance, ProcessSetup, StartSetup};

/// What a container that stands by still lacks of a program.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(super) expected: Expected,
    pub(super) compiled: Compiled,
    /// Whose the program is, inside.
    pub(super) uid: u32,
    /// For its standard descriptors, if one is likely to lead there.
    pub(super) null: Option<OwnedFd>,
}

/// The rest for a program of which it is not known whether it is going to come.
#[derive(Debug)]
pub(super) struct Foreseen {
    process: ProcessConfig,
    rest: Rest,
}

/// A container that is complete but for its program.
#[derive(Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) own: &'a Own,
    pub(super) part: &'a Part,
    pub(super) foundation: &'a Foundation,
    pub(super) draft: &'a Arc<Draft>,
    /// The namespaces that it has joined.
    pub(super) joined: &'a [OwnedFd],
    pub(super) inherited: Inherited,
}

impl Foreseen {
    /// The rest for one like this, if it is the same whenever it is made.
    pub(super) fn of(standing: Standing<'_>, process: ProcessConfig) -> Option<Self> {
        // What was joined is read anew for each start, as is what its init may do in a user namespace that is another's.
        if !standing.joined.is_empty() {
            return None;
        }
        // An error is told to who starts it, if anyone does.
        let instance = standing.instance(&process).ok().flatten()?;
        // The message to its agent says where this program is, and the agent is looked for.
        if instance.process.listener.is_some() {
            return None;
        }
        let rest = standing.rest(&instance).ok()?;
        // Else the start opens it, or says why it can't.
        let null = OpenStdio::null_device().ok();
        Some(Self { process, rest: Rest { null, ..rest } })
    }

    /// What was made, if it was for such a program.
    pub(super) fn rest(self, process: &ProcessConfig) -> Option<Rest> {
        self.process.is_alike(process).then_some(self.rest)
    }
}

impl Standing<'_> {
    /// What the program is to be; `None` if the init has given up what that needs: what it has dropped from its bounding set does not come back.
    pub(super) fn instance(self, process: &ProcessConfig) -> Result<Option<Instance>> {
        let how = (StartSetup::Run, self.inherited);
        let instance = self.prepared.instance_of(self.part, self.own, Some(process), how)?;
        listen::check(&instance.process)?;
        let wanted = instance.process.confinement.bounding;
        let fits = self.part.setup.bounding.is_none_or(|(bounding, _)| wanted & !bounding == 0);
        Ok(Some(instance).filter(|_| fits))
    }

    /// The rest for it.
    pub(super) fn rest(self, instance: &Instance) -> Result<Rest> {
        let what = || format!("start a program in {:?}, which stands by", self.own.id);
        let failed = |error: io::Error| Error::io(what(), error);
        let expected = expected(self.prepared, self.part, &instance.process, self.joined).map_err(failed)?;
        let uid = instance.process.identity.uid;
        let unmet = self.goes_unmet(&instance.process);
        let (mut first, ready) = self.draft.hand_over_steps(unmet);
        first.extend(self.give_group(uid));
        let executed = under::step(self.part.setup.apparmor.as_ref()).into_iter().collect();
        let listen = listen::step(&instance.process, &Of::new(self.own));
        let steps = HostSteps { first, ready, listen, executed, unmet, ..HostSteps::default() };
        let compiled = compile::create(self.foundation, instance, steps);
        let compiled = compiled.map_err(|error| Error::seal(what(), error))?;
        Ok(Rest { expected, compiled, uid, null: None })
    }

    /// Whether the init is not met again before it is the program. What stood when it began to stand by the host has read back then; what is set
    /// since, the init reads back itself, by the ids that it knows. A parent death signal needs the parent's word behind it.
    fn goes_unmet(self, process: &ProcessSetup) -> bool {
        let ProcessSetup { terminal, listener, confinement, .. } = process;
        let setup = &self.part.setup;
        let mapped = setup.id_maps.is_some() || setup.namespaces.joins(NamespaceKind::User);
        let awaited = *terminal || listener.is_some() || confinement.parent_death_signal.is_some();
        !mapped && !awaited && self.prepared.host.tamper.is_none()
    }

    fn give_group(self, uid: u32) -> Option<HostStep> {
        let owner = self.prepared.owner_of_group(self.own, uid)?;
        Some(group::give_step(self.draft.state().places().to_vec(), owner))
    }
}
