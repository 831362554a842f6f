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
use super::foreseen::{Foreseen, Rest, Standing};
use super::prepared::{For, Own, Part, Prepared};
use super::streams;
use super::unexecuted;
use super::used::Used;
use crate::compile::{self, Compiled, Foundation};
use crate::config::NamespaceKind;
use crate::error::{Error, Result};
use crate::group::{self, Planned};
use crate::process::{ProcessConfig, reap_ended};
use crate::resolve::{self, Inherited};
use crate::setup::{ProcessSetup, StartSetup};

/// A container that stands by.
#[derive(Debug)]
pub(crate) struct Warm {
    own: Own,
    draft: Arc<Draft>,
    part: Arc<Part>,
    foundation: Foundation,
    joined: Vec<OwnedFd>,
    /// Of the thread that made it, which is not the one that starts a program.
    inherited: Inherited,
    init: StandBy,
    mounts: Option<OwnedFd>,
    foreseen: Option<Foreseen>,
}

/// Makes one, or takes everything back.
pub(crate) fn warm(prepared: &Prepared, own: Own) -> Result<Warm> {
    let what = format!("keep {:?} ready", own.id);
    let failed = |error| Error::io(what.clone(), error);
    let inherited = Inherited::of_this_thread()?;
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
    let foundation = compile::named(&part.foundation, &resolve::names(&own.config, &own.id));
    let foundation = foundation.map_err(|error| Error::seal(what.clone(), error))?;
    let Compiled { plan, given } = compile::stand_by(&foundation, steps);
    let mut launch = prepared.host.launch(plan);
    give_first(&mut launch, &given, (joined, root), &draft, &part);
    let init = launch.stand_by().map_err(|error| {
        let error = group::explain(error, &[], || draft.group.full());
        Error::launch(what.clone(), error)
    })?;
    if let Err(error) = draft.look_ahead(part.setup.bounding.map(|(bounding, _)| bounding)) {
        return Err(Error::io(what, error).with_undo(init.take_back()));
    }
    draft.unlock();
    let mounts = hold_mounts(&part, &init);
    Ok(Warm { own, draft, part, foundation, joined: kept, inherited, init, mounts, foreseen: None })
}

/// The mount namespace of the init, held open: else the kernel takes it down, which it waits for, before it tells that the program has ended.
/// Nothing but time is lost without it.
fn hold_mounts(part: &Part, init: &StandBy) -> Option<OwnedFd> {
    let is_new = part.setup.namespaces.new & NamespaceKind::Mount.flag() != 0;
    is_new.then(|| ProcessDir::open(init.pid()).and_then(|dir| dir.open_file("ns/mnt")).ok()).flatten()
}

impl Warm {
    /// With what such a program would need.
    pub(crate) fn foreseeing(self, prepared: &Prepared, process: Option<ProcessConfig>) -> Self {
        let foreseen = process.and_then(|process| Foreseen::of(self.standing(prepared), process));
        Self { foreseen, ..self }
    }

    fn standing<'a>(&'a self, prepared: &'a Prepared) -> Standing<'a> {
        let Self { own, draft, part, foundation, joined, inherited, .. } = self;
        Standing { prepared, own, part, foundation, draft, joined, inherited: *inherited }
    }

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

    /// What it lacks of that program, if its init may still have it; an error is that of the program, and the container stays.
    pub(crate) fn rest(&mut self, prepared: &Prepared, process: &ProcessConfig) -> Result<Option<Rest>> {
        if let Some(rest) = self.foreseen.take().and_then(|foreseen| foreseen.rest(process)) {
            return Ok(Some(rest));
        }
        let standing = self.standing(prepared);
        let instance = standing.instance(process)?;
        instance.map(|instance| standing.rest(&instance)).transpose()
    }

    /// Hands a program over: it runs when this returns. If that fails, the container is taken back.
    pub(crate) fn hand_over(self, prepared: &Prepared, rest: Rest, process: ProcessConfig) -> Result<Made> {
        let Self { own, draft, init, mounts, .. } = self;
        let what = format!("start a program in {:?}, which stands by", own.id);
        let (launch, opened) = match fill(prepared, &draft, &own, (rest, process), &what) {
            Ok(filled) => filled,
            Err(error) => return Err(error.with_undo(init.take_back())),
        };
        let mut launched = init.hand_over(launch).map_err(|error| {
            let error = group::explain(error, &[], || draft.group.full());
            unexecuted::explained(own.config.tree(), Error::launch(what, error))
        })?;
        reap_ended();
        let leftover = std::mem::take(&mut launched.leftover);
        let made = finish(&prepared.host, &draft, launched, opened, StartSetup::Run)?;
        // ORDER: the program may wait for this processor, which is not to be kept by what can be done later.
        let used = Used { _launch: leftover, _draft: draft, _own: own };
        Ok(Made { mounts, used: Some(used), ..made })
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
    own: &Own,
    (rest, process): (Rest, ProcessConfig),
    what: &str,
) -> Result<(Launch, OpenStdio)> {
    let failed = |error| Error::io(what, error);
    let Rest { expected, compiled: Compiled { plan, given }, uid, null } = rest;
    draft.expect(expected);
    draft.lock()?;
    let (opened, preserved) = process.open_with(null).map_err(failed)?;
    streams::give_away(&opened, &own.config, uid).map_err(failed)?;
    let mut launch = prepared.host.launch(plan);
    let opened = give_program(&mut launch, given, opened, preserved, draft);
    Ok((launch, opened))
}
