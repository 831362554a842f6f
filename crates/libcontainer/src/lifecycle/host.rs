//! What a factory knows and was told: the side of the host of everything that is done with containers.

use std::sync::Arc;

use libcontainer_cgroups::Layout;
use libcontainer_cgroups::systemd::Environment;
use libcontainer_network::Renamed;
use libcontainer_plan::{Fault, Launch, Plan, Probe};

use super::readback::Expected;
use crate::error::{Error, ErrorKind, Result};
use crate::hooks::BreakOff;
use crate::resctrl::ResctrlMount;
use crate::resolve::{Filters, Inherited, Known};

type Observer = Arc<dyn Fn(usize) + Send + Sync>;
type Tamper = Arc<dyn Fn(&mut Expected) + Send + Sync>;
type Warnings = Arc<dyn Fn(&Error) + Send + Sync>;

/// The kernel, where things are looked for, and what every launch is told. Plain data; cheap to clone.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) probe: Arc<Probe>,
    pub(crate) trace: bool,
    pub(crate) fault: Option<Fault>,
    pub(crate) observer: Option<Observer>,
    pub(crate) tamper: Option<Tamper>,
    pub(crate) warnings: Option<Warnings>,
    pub(crate) break_off: Option<BreakOff>,
    pub(crate) layout: Option<Arc<Layout>>,
    pub(crate) environment: Option<Arc<Environment>>,
    pub(crate) resctrl: Option<Arc<ResctrlMount>>,
    pub(crate) filters: Arc<Filters>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("probe", &self.probe).field("trace", &self.trace).finish_non_exhaustive()
    }
}

impl Host {
    pub(crate) fn new(probe: Probe) -> Self {
        Self {
            probe: Arc::new(probe),
            trace: false,
            fault: None,
            observer: None,
            tamper: None,
            warnings: None,
            break_off: None,
            layout: None,
            environment: None,
            resctrl: None,
            filters: Arc::default(),
        }
    }

    /// What has to be known of it for a program of an init that this thread makes.
    pub(super) fn known(&self, setgroups_denied: bool) -> Result<Known<'_>> {
        Ok(self.known_with(setgroups_denied, Inherited::of_this_thread()?))
    }

    /// The same of an init that has been made.
    pub(super) fn known_with(&self, setgroups_denied: bool, inherited: Inherited) -> Known<'_> {
        Known { probe: &self.probe, filters: &self.filters, setgroups_denied, inherited }
    }

    /// The same without what a test does to one launch: for a launch in the midst of it.
    pub(super) fn plain(&self) -> Self {
        Self { trace: false, fault: None, observer: None, tamper: None, ..self.clone() }
    }

    /// Tells what has failed and changes nothing.
    pub(super) fn warn(&self, error: &Error) {
        if let Some(tell) = &self.warnings {
            tell(error);
        }
    }

    /// Tells what a device of the host's is called now.
    pub(super) fn renamed(&self, what: &str, device: &Renamed) {
        self.warn(&Error::new(ErrorKind::AlreadyExists, format!("{what}: {device}")));
    }

    /// The network's steps with that.
    pub(super) fn told_of(
        &self,
        what: &str,
        network: libcontainer_network::Plan,
    ) -> libcontainer_network::Plan {
        let (host, what) = (self.clone(), what.to_owned());
        network.renamed(move |device| host.renamed(&what, device))
    }

    /// Where systemd is looked for.
    pub(crate) fn environment(&self) -> Arc<Environment> {
        self.environment.clone().unwrap_or_else(|| Arc::new(Environment::current()))
    }

    /// How control groups are laid out: as it was told, or as it is now.
    pub(crate) fn layout_now(&self) -> Result<Arc<Layout>> {
        match &self.layout {
            Some(layout) => Ok(Arc::clone(layout)),
            None => Layout::of_this_process()
                .map(Arc::new)
                .map_err(|error| Error::cgroup("look for control groups", error)),
        }
    }

    /// A launch with what is told to every one.
    pub(super) fn launch(&self, plan: Plan) -> Launch {
        let mut launch = Launch::new(plan);
        launch.trace(self.trace);
        if let Some(fault) = self.fault {
            launch.inject(fault);
        }
        if let Some(observer) = self.observer.clone() {
            launch.observe(move |index| observer(index));
        }
        launch
    }

    pub(super) fn tamper(&self, expected: &mut Expected) {
        if let Some(tamper) = &self.tamper {
            tamper(expected);
        }
    }
}
