//! A container that stands by: made up to the init, which waits for a program. It is recorded like any other, and its init leaves if this
//! process ends.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use libcontainer_plan::{Launch, OpenStdio, StandBy, wait_readable};
use libcontainer_security::ProcessDir;

use super::aim::Aim;
use super::create::{Made, draft, expected, finish, give_first, give_program, group_steps};
use super::draft::Draft;
use super::listen::{self, Of};
use super::prepared::{For, Own, Part, Prepared};
use super::streams;
use super::under;
use super::unexecuted;
use crate::compile::{self, Compiled, HostSteps};
use crate::config::NamespaceKind;
use crate::error::{Error, Result};
use crate::group::{self, Planned};
use crate::process::{ProcessConfig, reap_ended};
use crate::resolve;
use crate::setup::{Instance, ProcessSetup, StartSetup};

/// A container that stands by.
#[derive(Debug)]
pub(crate) struct Warm {
    own: Own,
    draft: Arc<Draft>,
    part: Arc<Part>,
    joined: Vec<OwnedFd>,
    init: StandBy,
    mounts: Option<OwnedFd>,
}

/// Makes one, or takes everything back.
pub(crate) fn warm(prepared: &Prepared, own: Own) -> Result<Warm> {
    let what = format!("keep {:?} ready", own.id);
    let failed = |error| Error::io(what.clone(), error);
    let planned = prepared.group(&own)?;
    let part = prepared.part(For::default(), planned.as_ref().map(Planned::setup))?;
    let (draft, network) = draft(&part, &own)?;
    let network = prepared.host.told_of(&what, network);
    let joined = resolve::open_namespaces(&own.config).map_err(failed)?;
    let root = resolve::open_root(&own.config, &joined).map_err(failed)?;
    let kept: std::io::Result<Vec<_>> = joined.iter().map(OwnedFd::try_clone).collect();
    let kept = kept.map_err(failed)?;
    draft.expect(expected(prepared, &part, &ProcessSetup::default(), &joined).map_err(failed)?);
    let group = group_steps(prepared, &own, &draft, planned)?;
    let steps = compile::place_network(network, &part.setup, draft.steps(&part.setup, Aim::StandBy, group));
    let Compiled { plan, given } = compile::stand_by(&part.foundation, steps);
    let mut launch = prepared.host.launch(plan);
    give_first(&mut launch, &given, (joined, root), &draft, &part);
    let init = launch.stand_by().map_err(|error| {
        let error = group::explain(error, &[], || draft.group.full());
        Error::launch(what.clone(), error)
    })?;
    if let Err(error) = draft.look_ahead() {
        return Err(Error::io(what, error).with_undo(init.take_back()));
    }
    draft.unlock();
    let mounts = hold_mounts(&part, &init);
    Ok(Warm { own, draft, part, joined: kept, init, mounts })
}

/// The mount namespace of the init, held open: else the kernel takes it down, which it waits for, before it tells that the program has ended.
/// Nothing but time is lost without it.
fn hold_mounts(part: &Part, init: &StandBy) -> Option<OwnedFd> {
    let is_new = part.setup.namespaces.new & NamespaceKind::Mount.flag() != 0;
    is_new.then(|| ProcessDir::open(init.pid()).and_then(|dir| dir.open_file("ns/mnt")).ok()).flatten()
}

impl Warm {
    /// Whether its init still waits.
    ///
    /// # Errors
    /// That of poll(2): then it is not known.
    pub(crate) fn is_alive(&self) -> std::io::Result<bool> {
        wait_readable(self.init.pidfd()?, Some(std::time::Duration::ZERO)).map(|ended| !ended)
    }

    /// The container's directory.
    pub(crate) fn path(&self) -> &Path {
        &self.own.path
    }

    /// What the program is to be; an error is that of the program, and the container stays.
    pub(crate) fn resolve(&self, prepared: &Prepared, process: &ProcessConfig) -> Result<Instance> {
        let instance = prepared.instance(&self.part, &self.own, Some(process), StartSetup::Run)?;
        listen::check(&instance.process)?;
        Ok(instance)
    }

    /// Whether its init may still have what the program is to have: what it has dropped from its bounding set does not come back.
    pub(crate) fn can_take(&self, instance: &Instance) -> bool {
        let wanted = instance.process.confinement.bounding;
        self.part.setup.bounding.is_none_or(|(bounding, _)| wanted & !bounding == 0)
    }

    /// Hands a program over: it runs when this returns. If that fails, the container is taken back.
    pub(crate) fn hand_over(
        self,
        prepared: &Prepared,
        instance: &Instance,
        process: ProcessConfig,
    ) -> Result<Made> {
        let Self { own, draft, part, joined, init, mounts } = self;
        let what = format!("start a program in {:?}, which stands by", own.id);
        let filled = fill(prepared, &draft, (&part, &joined, &own), instance, process, &what);
        let (launch, opened) = match filled {
            Ok(filled) => filled,
            Err(error) => return Err(error.with_undo(init.take_back())),
        };
        let launched = init.hand_over(launch).map_err(|error| {
            let error = group::explain(error, &[], || draft.group.full());
            unexecuted::explained(own.config.tree(), Error::launch(what, error))
        })?;
        reap_ended();
        Ok(Made { mounts, ..finish(&prepared.host, &draft, launched, opened, StartSetup::Run)? })
    }

    /// Takes it back. Returns what could not be.
    pub(crate) fn take_back(self) -> Vec<(String, std::io::Error)> {
        self.init.take_back()
    }
}

/// The launch of the second part of the plan.
fn fill(
    prepared: &Prepared,
    draft: &Arc<Draft>,
    (part, joined, own): (&Part, &[OwnedFd], &Own),
    instance: &Instance,
    process: ProcessConfig,
    what: &str,
) -> Result<(Launch, OpenStdio)> {
    let failed = |error| Error::io(what, error);
    draft.expect(expected(prepared, part, &instance.process, joined).map_err(failed)?);
    draft.lock()?;
    let (mut first, ready) = draft.hand_over_steps();
    let owner = prepared.owner_of_group(own, instance.process.identity.uid);
    first.extend(owner.map(|uid| group::give_step(draft.state().places().to_vec(), uid)));
    let executed = under::step(part.setup.apparmor.as_ref()).into_iter().collect();
    let listen = listen::step(&instance.process, &Of::new(own));
    let steps = HostSteps { first, ready, listen, executed, ..HostSteps::default() };
    let compiled = compile::create(&part.foundation, instance, steps);
    let Compiled { plan, given } = compiled.map_err(|error| Error::seal(what, error))?;
    let (opened, preserved) = process.open().map_err(failed)?;
    streams::give_away(&opened, &own.config, instance.process.identity.uid).map_err(failed)?;
    let mut launch = prepared.host.launch(plan);
    let opened = give_program(&mut launch, given, opened, preserved, draft);
    Ok((launch, opened))
}
