//! A config that many containers are made of, and containers kept ready for programs to come.

mod alarm;
mod details;
mod pool;
mod shared;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libcontainer_plan::Plan;

pub use details::Details;
pub use pool::TemplateStats;

use crate::config::Config;
use crate::container::{Container, Left};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::{self, Host, Made, Prepared};
use crate::process::{Process, ProcessConfig};
use crate::setup::StartSetup;
use shared::Shared;
use worker::{Ending, Worker};

/// A config that was validated, resolved and compiled once, and the directory in which containers of it stand. Cheap to clone; may be used from any
/// thread.
///
/// Only what differs is done for each container: its name, its host name and addresses ([`Template::details`]), its program. The rest is as it was
/// when the template was made: the layout of control groups, the kernel's features; the account files of the rootfs are read for the first program.
/// A source of a bind that is another file or directory by then, also one that was renamed over the old one, ends a start: make the template again.
/// [`Factory::create`](crate::Factory::create) is a template used once.
///
/// A control group that the config names (`name` or `path`) is one for all containers of the template: what they need counts together, and whoever destroys
/// one of them kills what runs in the others. Without a name each has a group of its own.
///
/// Labels of SELinux are among that: its containers share them with their categories, and so aren't kept apart from each other. The labels of their mounts
/// are options of filesystems that are part of what was compiled, and a process labelled otherwise could not use those. For pairs of categories
/// of their own (`security::selinux::Levels`), as `init_labels` gives them, containers need a template each, or [`Factory::create`](crate::Factory::create).
///
/// A template can also keep containers *warm*: made up to the init, which waits for its program ([`Template::keep_ready`], [`Template::start`]). They are
/// recorded like any other, as [`RunState::Warm`](crate::RunState::Warm), count against the same limits, and hold no descriptor of this program. Their
/// inits leave when the template or the program is gone; what a killed program leaves of them is ended by the next template of that directory, and by
/// [`Factory::sweep`](crate::Factory::sweep).
///
/// [`Container::destroy`] of a container of a template kills it and leaves the rest to a thread that belongs to the template. The mounts of one that stood by
/// stay until then, also when its program has ended: the kernel would otherwise take them down before it tells of the end.
#[derive(Clone, Debug)]
pub struct Template {
    shared: Arc<Shared>,
    worker: Arc<Worker>,
}

impl Template {
    pub(crate) fn new(host: &Host, dir: &Path, config: &Config) -> Result<Self> {
        let prepared = Prepared::new(host, config)?;
        prepared.compile()?;
        // What can't be ended is told by the statistics: it is no reason not to make new ones.
        let swept = lifecycle::sweep(host, dir).err();
        let shared = Arc::new(Shared::new(prepared, dir, swept)?);
        Ok(Self { worker: Arc::new(Worker::new(Arc::clone(&shared))), shared })
    }

    /// Asks `details` what is its own of each container that is made from here on. It is given the container's name, and called on any thread.
    #[must_use]
    pub fn details(self, details: impl Fn(&str) -> Details + Send + Sync + 'static) -> Self {
        self.shared.set_details(Arc::new(details));
        self
    }

    /// The directory in which its containers stand.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.shared.dir()
    }

    /// As [`Factory::create`](crate::Factory::create): a container whose first process is the reaper.
    ///
    /// # Errors
    /// As [`Factory::create`](crate::Factory::create); `id` must be one name.
    pub fn create(&self, id: &str) -> Result<Container> {
        Ok(self.wrap(self.shared.make(id, None, StartSetup::Reaper)?)?.0)
    }

    /// As [`Factory::create_with`](crate::Factory::create_with): the program waits for [`Container::run`].
    ///
    /// # Errors
    /// As [`Template::create`].
    pub fn create_with(&self, id: &str, process: ProcessConfig) -> Result<(Container, Process)> {
        self.program(self.shared.make(id, Some(process), StartSetup::Wait)?)
    }

    /// As [`Factory::run`](crate::Factory::run): the program runs when this returns.
    ///
    /// # Errors
    /// As [`Template::create`].
    pub fn run(&self, id: &str, process: ProcessConfig) -> Result<(Container, Process)> {
        self.program(self.shared.make(id, Some(process), StartSetup::Run)?)
    }

    /// Starts a program in a container of a name that the template chooses: in a warm one, or, if none is ready, in one that is made now.
    ///
    /// A program with a terminal, with capabilities beyond those of the config, or with more than 36 preserved descriptors, is always started in one that is made now.
    ///
    /// One that differs from the last in its standard descriptors alone starts faster, in containers that were made behind that: they are made ready for it.
    ///
    /// What a program inherits and neither config nor process says (niceness, priority of input and output, personality, `no_new_privs`) comes in a warm container
    /// from the template's thread, and so from whoever called [`Template::keep_ready`] first; in a new one from the caller.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for what is wrong with the process: nothing is used up by that. Else the step that failed, also if somebody kills the
    /// waiting init at this moment; the container is gone then.
    pub fn start(&self, process: ProcessConfig) -> Result<(Container, Process)> {
        let made = self.shared.start(process);
        // ORDER: also if that failed: one that stood by is gone.
        self.worker.wake_later();
        self.program(made?)
    }

    /// The plan by which a container of that name would be made; runs nothing. Only what differs from container to container is compiled.
    ///
    /// # Errors
    /// As [`Factory::explain`](crate::Factory::explain).
    pub fn explain(&self, id: &str, process: Option<&ProcessConfig>) -> Result<Plan> {
        self.shared.explain(id, process)
    }

    /// Keeps `count` containers ready, from now until another number is asked for or the last handle of the template is dropped. Returns at once: a thread of
    /// the template makes them. With 0 those that are ready are taken back.
    ///
    /// Each costs its namespaces, mounts and control group in the kernel, and less than 64 KiB of memory that is its own; this process keeps what was compiled for its program.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a config with hooks; if the thread can't be made. What keeps a container from being made is in [`Template::stats`], and tried again.
    pub fn keep_ready(&self, count: usize) -> Result<()> {
        if count > 0 && self.shared.has_hooks() {
            let text = "/hooks: a container is not kept ready, as hooks would be told of one that may never have a program";
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        self.shared.keep_ready(count);
        self.worker.wake()
    }

    /// Waits until as many are ready as are wanted, and everything that was to be ended is gone; false if `limit` passed first.
    #[must_use]
    pub fn settle(&self, limit: Duration) -> bool {
        self.shared.settle(limit)
    }

    /// What there is of it now, and what was done.
    #[must_use]
    pub fn stats(&self) -> TemplateStats {
        self.shared.stats()
    }

    fn program(&self, made: Made) -> Result<(Container, Process)> {
        let (container, process) = self.wrap(made)?;
        let lost = || Error::new(ErrorKind::WrongState, "the first process is gone");
        Ok((container, process.ok_or_else(lost)?))
    }

    fn wrap(&self, made: Made) -> Result<(Container, Option<Process>)> {
        let Made { store, state, process, mounts, .. } = made;
        let host = self.shared.host().clone();
        let undertaker = Arc::new(Ending::of(&self.worker));
        if let Some(process) = &process {
            process.leave_to(undertaker.clone());
        }
        let left = Left { undertaker, mounts, end: process.as_ref().map(Process::end) };
        Ok((Container::left_to(store, state, host, left), process))
    }
}
