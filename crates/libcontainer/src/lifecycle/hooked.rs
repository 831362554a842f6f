//! The host's steps that run hooks while a container is made.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use libcontainer_plan::{HostContext, HostStep};

use super::aim::Aim;
use super::draft::Draft;
use super::hooks::{Of, Waiting};
use super::host::Host;
use crate::compile::HostSteps;
use crate::config::{Config, Hooks};
use crate::error::named;
use crate::group::GroupSteps;
use crate::hooks::Moment;
use crate::record::{Init, Status};
use crate::setup::Setup;

/// Adds the hooks of the container. While they run others can look at it, as hooks themselves may want to; until the last of them has run its record says
/// that it is being made.
pub(super) fn with_hooks(
    mut steps: HostSteps,
    draft: &Arc<Draft>,
    host: &Host,
    aim: Aim,
    devices: bool,
) -> HostSteps {
    let hooks = draft.state().config.hooks;
    let at_start = aim.runs_hooks_at_start(&hooks);
    let all = |moments: &[Moment]| -> Vec<_> {
        let of =
            |moment: &Moment| (0..moment.of(&hooks).len()).map(|index| (*moment, index)).collect::<Vec<_>>();
        moments.iter().flat_map(of).map(|(moment, index)| step(draft, host, moment, index)).collect()
    };
    let holds = aim.holds(devices);
    let noted = Some(aim.status()).filter(|_| !at_start && !holds);
    steps.hooks = seen(draft, all(&Moment::BEFORE_ROOT), noted);
    if at_start {
        steps.ready.extend(seen(draft, all(&[Moment::StartContainer]), Some(aim.status())));
    }
    if holds && !at_start {
        steps.ready.push(draft.note_step(aim.status()));
    }
    steps
}

/// The host steps of a plan that is only shown.
pub(super) fn shown(host: &Host, hooks: &Hooks, setup: &Setup, aim: Aim, group: GroupSteps) -> HostSteps {
    let config = Config { hooks: hooks.clone(), ..Config::default() };
    let draft = Draft::new(Path::new("DIR"), &config, setup.processes(), "ID");
    with_hooks(draft.steps(setup, aim, group), &draft, host, aim, setup.devices)
}

/// Lets the lock go for these steps, and notes the status behind them. RACE: whoever destroys the container meanwhile is seen when it is taken again.
fn seen(draft: &Arc<Draft>, steps: Vec<HostStep>, status: Option<Status>) -> Vec<HostStep> {
    if steps.is_empty() {
        return steps;
    }
    let (open, closed) = (Arc::clone(draft), Arc::clone(draft));
    let mut all = vec![HostStep::new("let others look at the container", "", move |_| {
        open.unlock();
        Ok(None)
    })];
    all.extend(steps);
    all.push(HostStep::new("lock the container again", "", move |_| {
        closed.lock().map(|()| None).map_err(|error| io::Error::other(error.to_string()))
    }));
    all.extend(status.map(|status| draft.note_step(status)));
    all
}

fn step(draft: &Arc<Draft>, host: &Host, moment: Moment, index: usize) -> HostStep {
    let (draft, host) = (Arc::clone(draft), host.clone());
    HostStep::new(format!("run {} hook #{index}", moment.name()), "", move |context| {
        run(&draft, &host, moment, index, context).map(|()| None)
    })
}

fn run(draft: &Draft, host: &Host, moment: Moment, index: usize, context: &HostContext) -> io::Result<()> {
    draft.note_hook();
    let state = draft.state();
    let of = Of { config: &state.config, id: &state.id, dir: draft.path(), host };
    let pid = context.pid()?;
    let waiting = || -> io::Result<Waiting<'_>> {
        let pidfd = context.pidfd()?.as_fd().try_clone_to_owned();
        let init = Init { pid, pidfd: pidfd.map_err(|error| named("copy the pidfd of the init", error))? };
        Ok(Waiting { host, state: &state, init })
    };
    let ran = match moment {
        Moment::CreateContainer => of.inside(moment, index, waiting()?),
        Moment::StartContainer => of.within(moment, index, waiting()?),
        _ => of.on_host(moment, index, pid.as_raw()),
    };
    Ok(ran?)
}
