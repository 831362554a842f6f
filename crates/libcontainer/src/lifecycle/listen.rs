//! The listener of a filter that notifies: taken from the init right before its exec, and given to the profile's agent.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libcontainer_plan::{HostStep, LISTENER, signal_pidfd, wait_readable};
use libcontainer_security::seccomp::notify::{
    Agent, ContainerState, Handover, ProcessState, first_free, hand_over, hand_over_sent,
};

use super::prepared::Own;
use crate::config::{Config, Seccomp};
use crate::error::{Error, ErrorKind, Result, named};
use crate::record::{Init, KILL, State};
use crate::setup::{ListenerSetup, ProcessSetup};

/// How long the agent may take to accept, and to take the message.
const LIMIT: Duration = Duration::from_secs(10);

/// What an agent is told of the container beside the process.
#[derive(Clone, Debug)]
pub(super) struct Of<'a> {
    pub(super) id: &'a str,
    pub(super) dir: &'a Path,
    pub(super) config: &'a Config,
    /// The first process; 0 if that is the one.
    pub(super) first: i32,
    /// Who gets the listener, if not who is at the socket of the profile.
    pub(super) agent: Option<Arc<OwnedFd>>,
}

impl<'a> Of<'a> {
    /// A container that is being made.
    pub(super) fn new(own: &'a Own) -> Self {
        Self { id: &own.id, dir: &own.path, config: &own.config, first: 0, agent: own.agent.clone() }
    }
}

/// The step of the host that takes the listener of a program and gives it away; none if its filter has none. If it fails the init, which
/// waits for it, is killed like that of any start that fails.
pub(super) fn step(process: &ProcessSetup, of: &Of<'_>) -> Option<HostStep> {
    let ListenerSetup { path, metadata, knock, sent, .. } = process.listener.clone()?;
    let state = container(of, if of.first == 0 { "creating" } else { "running" });
    // Its socket to the host has the number behind those.
    let least = RawFd::try_from(3 + process.preserved).unwrap_or(RawFd::MAX);
    let own = of.agent.clone();
    let text = match own {
        Some(_) => "give the seccomp listener to the observer".to_owned(),
        None => format!("give the seccomp listener to {}", path.display()),
    };
    Some(HostStep::new(text, "", move |context| {
        let pid = context.pid()?;
        let text = message(pid.as_raw(), metadata, state?)?;
        let agent = own.as_ref().map_or(Agent::Socket(&path), |own| Agent::Connected(own.as_fd()));
        let handover = Handover { agent, text: &text, knock: Some(&knock), least, limit: LIMIT };
        if !sent {
            hand_over(pid, context.pidfd()?, &handover)?;
            return Ok(None);
        }
        let listener = context.take(LISTENER).ok_or_else(|| {
            named("the init has sent no listener", io::Error::from_raw_os_error(libc::EPROTO))
        })?;
        hand_over_sent(pid, context.pidfd()?, listener, &handover)?;
        Ok(None)
    }))
}

fn container(of: &Of<'_>, status: &str) -> io::Result<ContainerState> {
    let bundle = std::path::absolute(of.config.bundle_or(of.dir));
    let bundle = bundle.map_err(|error| named("path of the bundle: getcwd", error))?;
    let (id, status, annotations) = (of.id.to_owned(), status.to_owned(), of.config.labels.clone());
    Ok(ContainerState { id, status, pid: of.first, bundle, annotations, ..ContainerState::default() })
}

fn message(pid: i32, metadata: Option<String>, mut state: ContainerState) -> io::Result<String> {
    if state.pid == 0 {
        state.pid = pid;
    }
    Ok(serde_json::to_string(&ProcessState::new(pid, metadata, state))?)
}

/// Refuses an agent that can't be there, before anything is made for it.
///
/// RACE: it may go until it is wanted: then the start fails.
pub(super) fn check(process: &ProcessSetup) -> Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let Some(listener) = &process.listener else { return Ok(()) };
    let path = listener.path.display();
    let what = "/seccomp/listenerPath";
    match std::fs::metadata(&listener.path) {
        Ok(found) if found.file_type().is_socket() => Ok(()),
        Ok(_) => Err(Error::new(ErrorKind::InvalidConfig, format!("{what}: {path} is no socket"))),
        Err(error) => {
            Err(Error::io(format!("{what}: failed to connect with seccomp agent: stat {path}"), error))
        }
    }
}

/// The listener of a first process that still waits for its start.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    path: &'a Path,
    text: String,
    /// No descriptor that the init has now is the listener.
    least: RawFd,
}

impl<'a> Waiting<'a> {
    /// Looks at the init, which has not been let go. `None` if its filter has no listener.
    pub(super) fn new(state: &'a State, init: &Init, dir: &Path) -> io::Result<Option<Self>> {
        let Seccomp::Profile(profile) = &state.config.seccomp else { return Ok(None) };
        let Some(path) = profile.listener_path.as_deref().filter(|_| profile.notifies()) else {
            return Ok(None);
        };
        let of = Of { id: &state.id, dir, config: &state.config, first: 0, agent: None };
        let text = message(init.pid.as_raw(), profile.listener_metadata.clone(), container(&of, "created")?)?;
        Ok(Some(Self { path, text, least: first_free(init.pid)? }))
    }

    /// Gives the listener away once the init was let go; kills the init if that fails. Its random bits are in no record, and are not needed: it is the only process
    /// of its filter.
    pub(super) fn hand_over(&self, init: &Init) -> io::Result<()> {
        let handover = Handover {
            agent: Agent::Socket(self.path),
            text: &self.text,
            knock: None,
            least: self.least,
            limit: LIMIT,
        };
        let given = hand_over(init.pid, init.pidfd.as_fd(), &handover);
        given.map_err(|error| {
            let error = named(format!("give the seccomp listener to {}", self.path.display()), error.into());
            end(init, error)
        })
    }
}

/// Ends an init whose calls nobody would answer.
fn end(init: &Init, error: io::Error) -> io::Error {
    let killed = match signal_pidfd(&init.pidfd, libc::SIGKILL) {
        // It is gone already.
        Err(gone) if gone.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other,
    };
    match killed.and_then(|()| wait_readable(init.pidfd.as_fd(), Some(KILL))) {
        Ok(true) => error,
        Ok(false) => named("the init was killed and has not ended yet", error),
        Err(unknown) => named(format!("kill the init: {unknown}"), error),
    }
}
