//! A config that was checked, resolved and compiled: what all containers have in common that are made of it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libcontainer_cgroups::Layout;

use super::host::Host;
use super::looked::Looked;
use super::streams;
use crate::compile::{self, Foundation};
use crate::config::{Config, Facts};
use crate::error::{Error, Result};
use crate::group::Planned;
use crate::process::ProcessConfig;
use crate::resctrl;
use crate::resolve::{self, Accounts, Inherited, Labels};
use crate::setup::{CgroupSetup, Instance, Setup, StartSetup};

/// What is the same for all containers of a config. Nothing in it depends on a name.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) host: Host,
    pub(crate) config: Arc<Config>,
    labels: Labels,
    /// Looked up once, if the config asks for a control group.
    layout: Option<Arc<Layout>>,
    /// Read when the first program is started.
    accounts: OnceLock<Accounts>,
    parts: Mutex<Vec<Arc<Part>>>,
    looked: Looked,
}

/// What of the program the first part of the plan depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct For {
    pub(super) terminal: bool,
    /// It has other capabilities than the config says.
    pub(super) own_capabilities: bool,
}

impl For {
    pub(super) fn of(process: Option<&ProcessConfig>) -> Self {
        let own =
            |process: &ProcessConfig| process.capabilities.is_some() || process.capability_sets.is_some();
        Self {
            terminal: process.is_some_and(|process| process.terminal),
            own_capabilities: process.is_some_and(own),
        }
    }

    /// The first part for it: without a bounding set if the program's may be another.
    pub(super) fn fitted(self, setup: Setup) -> Setup {
        Setup { bounding: setup.bounding.filter(|_| !self.own_capabilities), ..setup }
    }
}

/// The first part of the plan, for some programs and for one way into the control group.
#[derive(Debug)]
pub(crate) struct Part {
    aim: For,
    pub(super) setup: Setup,
    pub(super) foundation: Foundation,
}

/// One container of them: its name, its place, and its config if something in that is its own.
#[derive(Debug)]
pub(crate) struct Own {
    pub(super) id: String,
    pub(super) path: PathBuf,
    pub(super) config: Arc<Config>,
    /// Gets the listener of the first program instead of who is at the socket of the profile.
    pub(super) agent: Option<Arc<OwnedFd>>,
}

/// What may differ from the config. See [`crate::Details`].
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) hostname: Option<String>,
    /// Of the networks in their order.
    pub(crate) addresses: Vec<String>,
}

impl Own {
    /// The container at `path`.
    pub(crate) fn new(prepared: &Prepared, path: &Path) -> Self {
        let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { id, path: path.to_owned(), config: Arc::clone(&prepared.config), agent: None }
    }

    /// With the other end of a stream to who gets the listener of the first program.
    pub(crate) fn heard_by(self, agent: OwnedFd) -> Self {
        Self { agent: Some(Arc::new(agent)), ..self }
    }

    /// With these changes to the config, which are checked as that was.
    pub(crate) fn with(prepared: &Prepared, path: &Path, changes: Changes) -> Result<Self> {
        let own = Self::new(prepared, path);
        if changes.hostname.is_none() && changes.addresses.is_empty() {
            return Ok(own);
        }
        let mut config = Config::clone(&own.config);
        config.hostname = changes.hostname.unwrap_or(config.hostname);
        let veths = config.networks.iter_mut().filter(|network| network.kind != "loopback");
        for (network, address) in veths.zip(changes.addresses) {
            network.address = address;
        }
        check(&config, &Facts { euid: prepared.host.probe.euid })?;
        Ok(Self { config: Arc::new(config), ..own })
    }
}

impl Prepared {
    /// Checks the config; looks at the layout of control groups. Makes nothing.
    pub(crate) fn new(host: &Host, config: &Config) -> Result<Self> {
        check(config, &Facts { euid: host.probe.euid })?;
        let config = Arc::new(resolve::with_joined_network(config).into_owned());
        let wanted = config.cgroups.is_some() || resolve::shows_groups(&config);
        let layout = wanted.then(|| host.layout_now()).transpose()?;
        let labels = Labels::of(&config)?;
        let (accounts, parts, looked) = (OnceLock::new(), Mutex::default(), Looked::default());
        Ok(Self { host: host.clone(), config, labels, layout, accounts, parts, looked })
    }

    /// Compiles what a container without a terminal needs, so that an error comes now, and what the sources of binds are is known from now on.
    pub(crate) fn compile(&self) -> Result<()> {
        resolve::network(&self.config)?;
        let setup = self.setup(false, None)?;
        compile::base(&setup).map(drop).map_err(|error| Error::seal("compile the config", error))
    }

    /// Where the control group of a container is going to be.
    pub(super) fn group(&self, own: &Own) -> Result<Option<Planned>> {
        let (Some(block), Some(layout)) = (&self.config.cgroups, &self.layout) else { return Ok(None) };
        let (environment, probe) = (self.host.environment(), &self.host.probe);
        let planned = Planned::new(block, (&own.id, &own.path), layout, environment, probe)?;
        Ok(Some(planned.showing(resolve::shows_groups(&own.config))))
    }

    /// Whose on the host the control group is to be if its processes may make groups below it: the user's who runs its program, who is `uid` inside. An ordinary
    /// user has no group but his own.
    pub(super) fn owner_of_group(&self, own: &Own, uid: u32) -> Option<u32> {
        streams::outside(&own.config, uid).filter(|uid| *uid != 0 && self.gives_group(own))
    }

    /// The same of one whose program comes of images: as what they hold may have become anybody, it is the config that says whose.
    pub(super) fn owner_of_restored(&self, own: &Own, process: &ProcessConfig) -> Result<Option<u32>> {
        if !self.gives_group(own) {
            return Ok(None);
        }
        let user = resolve::user(&own.config, process, self.accounts()?)?;
        Ok(self.owner_of_group(own, user.uid))
    }

    fn gives_group(&self, own: &Own) -> bool {
        let to_itself = |layout: &Arc<Layout>| resolve::has_group_to_itself(&own.config, layout);
        self.host.probe.is_root() && self.layout.as_ref().is_some_and(to_itself)
    }

    /// The class of resctrl that a container is going to be in.
    pub(super) fn resctrl(&self, own: &Own) -> Result<Option<resctrl::Planned>> {
        let planned = |config| resctrl::Planned::new(config, &own.id, self.host.resctrl.as_deref());
        self.config.resctrl.as_ref().map(planned).transpose()
    }

    /// The first part of the plan, compiled when it is wanted first.
    pub(super) fn part(&self, aim: For, cgroup: Option<CgroupSetup>) -> Result<Arc<Part>> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |part: &&Arc<Part>| part.aim == aim && part.setup.cgroup == cgroup;
        if let Some(part) = parts.iter().find(fits) {
            return Ok(Arc::clone(part));
        }
        let setup = self.setup(aim.terminal, cgroup)?;
        let setup = aim.fitted(setup);
        let foundation = compile::base(&setup).map_err(|error| Error::seal("compile the config", error))?;
        let part = Arc::new(Part { aim, setup, foundation });
        parts.push(Arc::clone(&part));
        Ok(part)
    }

    /// What the first part is made of.
    pub(super) fn setup(&self, terminal: bool, cgroup: Option<CgroupSetup>) -> Result<Setup> {
        let groups = resolve::Groups { layout: self.layout.as_deref(), own: cgroup.as_ref() };
        let setup = resolve::base(&self.config, terminal, &self.host.probe, &self.labels, groups)?;
        self.looked.hold(&setup)?;
        Ok(Setup { cgroup, ..setup })
    }

    /// What is its own of a container whose init this thread makes.
    pub(super) fn instance(
        &self,
        part: &Part,
        own: &Own,
        process: Option<&ProcessConfig>,
        start: StartSetup,
    ) -> Result<Instance> {
        self.instance_of(part, own, process, (start, Inherited::of_this_thread()?))
    }

    /// The same of one whose init has been made.
    pub(super) fn instance_of(
        &self,
        part: &Part,
        own: &Own,
        process: Option<&ProcessConfig>,
        (start, inherited): (StartSetup, Inherited),
    ) -> Result<Instance> {
        let given = match process {
            Some(process) => Some((process, self.accounts()?)),
            None => None,
        };
        let known = self.host.known_with(part.setup.setgroups_denied, inherited);
        resolve::instance(&own.config, given, start, known, &own.id)
    }

    fn accounts(&self) -> Result<&Accounts> {
        if let Some(accounts) = self.accounts.get() {
            return Ok(accounts);
        }
        let read = resolve::accounts(&self.config)?;
        Ok(self.accounts.get_or_init(|| read))
    }
}

pub(super) fn check(config: &Config, facts: &Facts) -> Result<()> {
    let problems = config.problems(facts);
    if problems.is_empty() { Ok(()) } else { Err(Error::problems("config", problems)) }
}
