//! What a template's handles and its thread have in common.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::details::Details;
use super::pool::{self, Job, Pool, TemplateStats};
use libcontainer_plan::Plan;

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::{self, Host, Made, Own, Prepared, Warm};
use crate::process::ProcessConfig;
use crate::setup::StartSetup;

type DetailsOf = Arc<dyn Fn(&str) -> Details + Send + Sync>;

/// How long the thread sleeps whose alarm can't be set.
const REST: Duration = Duration::from_millis(5);
/// Most preserved descriptors of a program that is handed over: the numbers above belong to the waiting init.
const PRESERVED: usize = 36;

pub(super) struct Shared {
    prepared: Prepared,
    dir: PathBuf,
    details: Mutex<Option<DetailsOf>>,
    /// The last program, without descriptors: it may well be the next.
    next: Mutex<Option<ProcessConfig>>,
    pool: Mutex<Pool>,
    alarm: Alarm,
    changed: Condvar,
    /// By which names differ from those of another program with the same directory.
    random: u32,
    number: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("dir", &self.dir).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Whether programs are run on the way.
    pub(super) fn has_hooks(&self) -> bool {
        !self.prepared.config.hooks.is_empty()
    }

    pub(super) fn new(prepared: Prepared, dir: &Path, swept: Option<Error>) -> Result<Self> {
        let mut pool = Pool::default();
        if let Some(error) = swept {
            pool.fail(error.to_string());
        }
        Ok(Self {
            prepared,
            dir: dir.to_owned(),
            details: Mutex::default(),
            next: Mutex::default(),
            pool: Mutex::new(pool),
            alarm: Alarm::new().map_err(|error| Error::io("timerfd_create", error))?,
            changed: Condvar::new(),
            random: drawn().map_err(|error| Error::io("read /dev/urandom", error))?,
            number: AtomicU64::new(0),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn host(&self) -> &Host {
        &self.prepared.host
    }

    pub(super) fn set_details(&self, details: DetailsOf) {
        *self.details.lock().unwrap_or_else(PoisonError::into_inner) = Some(details);
    }

    pub(super) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all who wait that there is another state.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Has the thread look again, at once or when it may make more.
    ///
    /// # Errors
    /// If it can't be woken.
    pub(super) fn alert(&self, later: bool) -> Result<()> {
        self.set_alarm(&mut self.pool(), later)
    }

    fn set_alarm(&self, pool: &mut Pool, later: bool) -> Result<()> {
        let wait = if later { pool.patience() } else { Duration::ZERO };
        let set = self.alarm.within(&mut pool.alarm, wait);
        set.map_err(|error| Error::io("wake the template's thread: timerfd_settime", error))
    }

    /// Takes over what is to be ended; false if nobody is going to.
    pub(super) fn bury(&self, container: Container) -> bool {
        let mut pool = self.pool();
        // ORDER: first: what the thread is not told of is ended by who has it.
        !pool.is_stopped() && self.set_alarm(&mut pool, true).is_ok() && pool.bury(container)
    }

    /// Has children that have ended reaped; false if nobody is going to.
    pub(super) fn reap_later(&self) -> bool {
        let mut pool = self.pool();
        // ORDER: as above.
        self.alarm.within(&mut pool.alarm, pool::REST).is_ok() && pool.reap()
    }

    /// The container `id` and what is its own.
    fn own(&self, id: &str) -> Result<Own> {
        let path = self.dir.join(id);
        if path.parent() != Some(&self.dir) || path.file_name().is_none_or(|name| name != id) {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("{id:?} can't be the name of a container"),
            ));
        }
        let details = self.details.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let changes = details.map(|details| details(id)).unwrap_or_default();
        Own::with(&self.prepared, &path, changes.into())
    }

    /// A name that nobody has.
    fn next_id(&self) -> String {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        format!("t{:08x}-{number}", self.random)
    }

    pub(super) fn make(&self, id: &str, process: Option<ProcessConfig>, start: StartSetup) -> Result<Made> {
        lifecycle::create(&self.prepared, &self.own(id)?, process, start)
    }

    pub(super) fn explain(&self, id: &str, process: Option<&ProcessConfig>) -> Result<Plan> {
        lifecycle::explain_prepared(&self.prepared, &self.own(id)?, process)
    }

    /// Makes one that stands by.
    pub(super) fn make_warm(&self) -> Result<Warm> {
        let warm = lifecycle::warm(&self.prepared, self.own(&self.next_id())?)?;
        Ok(warm.foreseeing(&self.prepared, self.foreseen()))
    }

    /// Starts a program in one that stands by, or in a new one.
    pub(super) fn start(&self, process: ProcessConfig) -> Result<Made> {
        if process.terminal || process.preserved.len() > PRESERVED {
            return self.start_new(process);
        }
        loop {
            let taken = self.pool().take(Instant::now());
            let Some(mut warm) = taken else { return self.start_new(process) };
            // RACE: somebody may have killed it, or destroyed it. What isn't known is found out by handing over.
            if !warm.is_alive().unwrap_or(true) {
                self.pool().discard(warm);
                continue;
            }
            let rest = match warm.rest(&self.prepared, &process) {
                Ok(Some(rest)) => rest,
                Ok(None) => {
                    self.pool().put(warm);
                    return self.start_new(process);
                }
                Err(error) => {
                    self.pool().put(warm);
                    return Err(error);
                }
            };
            self.foresee(&process);
            let mut made = warm.hand_over(&self.prepared, rest, process)?;
            self.pool().hand_over(made.used.take());
            return Ok(made);
        }
    }

    fn foreseen(&self) -> Option<ProcessConfig> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.as_ref().and_then(ProcessConfig::without_descriptors)
    }

    /// Those that are made from here on are made for such a program.
    fn foresee(&self, process: &ProcessConfig) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if !next.as_ref().is_some_and(|next| next.is_alike(process)) {
            *next = process.without_descriptors();
        }
    }

    fn start_new(&self, process: ProcessConfig) -> Result<Made> {
        let made = self.make(&self.next_id(), Some(process), StartSetup::Run)?;
        self.pool().count_made();
        Ok(made)
    }

    pub(super) fn keep_ready(&self, count: usize) {
        self.pool().want(count);
        self.notify();
    }

    pub(super) fn stats(&self) -> TemplateStats {
        self.pool().stats()
    }

    pub(super) fn settle(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut pool = self.pool();
        while !pool.is_settled() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            pool = self.changed.wait_timeout(pool, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits for something to do; `None` once it is all done and nothing more is wanted.
    pub(super) fn next_job(&self) -> Option<Job> {
        let mut pool = self.pool();
        loop {
            let wait = match pool.next(Instant::now()) {
                Ok(job) => return Some(job),
                Err(_) if pool.is_stopped() => return None,
                Err(wait) => wait,
            };
            self.changed.notify_all();
            let set = wait.map_or(Ok(()), |wait| self.alarm.within(&mut pool.alarm, wait));
            drop(pool);
            match set {
                Ok(()) => self.alarm.wait(),
                Err(_) => libcontainer_plan::rest(REST),
            }
            pool = self.pool();
            pool.alarm.clear();
        }
    }
}

/// Keeps the names of two programs' templates apart.
fn drawn() -> io::Result<u32> {
    let mut bytes = [0; 4];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
