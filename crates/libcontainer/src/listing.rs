//! Many containers, looked at for a list.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;

use libcontainer_plan::{Pid, names};
use libcontainer_thread::{Thread, spawn};

use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::condition;
use crate::record::{RunState, State, Store, living, open_parent};

/// Containers for which one more thread is worth while.
const EACH: usize = 32;
/// Threads that look at most.
const MOST: usize = 8;

/// A directory in which containers stand, to look at many of them: less is read of each than [`Factory::load`](crate::Factory::load) reads,
/// no lock is taken, and so nothing is waited for that another process does.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> libcontainer::Result<()> {
/// let listing = libcontainer::Listing::open("/run/nsinit")?;
/// for name in listing.names()? {
///     let Some(summary) = listing.summary(&name)? else { continue };
///     println!("{} {}", summary.id, summary.state);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Listing {
    path: Arc<Path>,
    dir: Arc<OwnedFd>,
}

/// What a list shows of a container.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// Its name.
    pub id: String,
    /// The state in which it was found.
    pub state: RunState,
    /// The first process, if it lives.
    pub pid: Option<Pid>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// `rootfs` of its config.
    pub rootfs: PathBuf,
    /// `bundle` of its config.
    pub bundle: PathBuf,
    /// `labels` of its config.
    pub labels: BTreeMap<String, String>,
    /// The user to whom its directory belongs.
    pub owner: u32,
}

impl Listing {
    /// Opens the directory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none, as before a first container is made; else those of open(2).
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let path = Arc::from(dir.as_ref());
        let dir = open_parent(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::new(ErrorKind::NotFound, format!("directory {} does not exist", path.display()))
            }
            _ => Error::io(format!("read {}", path.display()), error),
        })?;
        Ok(Self { path, dir: Arc::new(dir) })
    }

    /// Everything that stands in it, in no order: containers, and what else may be there.
    ///
    /// # Errors
    /// Those of getdents64(2).
    pub fn names(&self) -> Result<Vec<OsString>> {
        names(&*self.dir).map_err(|error| Error::io(format!("read {}", self.path.display()), error))
    }

    /// What is known of the container of that name, by one look without a lock; `None` if it is gone, or is no directory.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if its record can't be used; else the call that failed: what it is in is not known then.
    pub fn summary(&self, name: impl AsRef<OsStr>) -> Result<Option<Summary>> {
        let (store, record, owner) = match self.record(name.as_ref()) {
            Err(error) if error.kind() == ErrorKind::NotFound || error.errno() == Some(libc::ENOTDIR) => {
                return Ok(None);
            }
            found => found?,
        };
        let pid = living(&record)?;
        let state = condition(&store, &record, pid.is_some())?;
        let (id, created, config) = (record.id, record.created, record.config);
        let (rootfs, bundle, labels) = (config.rootfs, config.bundle, config.labels);
        Ok(Some(Summary { id, state, pid, created, rootfs, bundle, labels, owner }))
    }

    /// [`Listing::summary`] of each, in their order; of many by several threads.
    #[must_use]
    pub fn summaries(&self, names: &[OsString]) -> Vec<Result<Option<Summary>>> {
        let threads = (names.len() / EACH).min(MOST);
        let threads =
            if threads > 1 { available_parallelism().map_or(1, NonZero::get).min(threads) } else { 1 };
        let mut chunks = names.chunks(names.len().div_ceil(threads).max(1));
        let own = chunks.next().unwrap_or_default();
        let others: Vec<_> = chunks.map(|names| (names, self.apart(names.to_vec()))).collect();
        let mut all = self.each(own);
        for (names, thread) in others {
            // Where a thread can't be had it is done here.
            let found = thread.ok().and_then(Thread::join);
            all.extend(found.unwrap_or_else(|| self.each(names)));
        }
        all
    }

    fn apart(&self, names: Vec<OsString>) -> io::Result<Thread<Vec<Result<Option<Summary>>>>> {
        let this = self.clone();
        spawn("list", move || this.each(&names))
    }

    fn each(&self, names: &[OsString]) -> Vec<Result<Option<Summary>>> {
        names.iter().map(|name| self.summary(name)).collect()
    }

    fn record(&self, name: &OsStr) -> Result<(Store, State, u32)> {
        let (store, owner) = Store::open_in(&self.dir, &self.path.join(name))?;
        let state = store.read_brief()?;
        Ok((store, state, owner))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn many_are_told_in_their_order() {
        let dir = std::env::temp_dir().join(format!("libcontainer-listing-{}", std::process::id()));
        let names: Vec<OsString> = (0..3 * EACH).map(|number| format!("c{number}").into()).collect();
        for name in &names {
            fs::create_dir_all(dir.join(name)).unwrap();
            let id = name.to_string_lossy();
            let record = State { id: id.into(), created: 7, ..State::default() };
            fs::write(dir.join(name).join("state.json"), crate::record::encode(&record).unwrap()).unwrap();
        }
        fs::write(dir.join("c5/state.json"), "{").unwrap();
        fs::remove_dir_all(dir.join("c6")).unwrap();
        fs::remove_dir_all(dir.join("c95")).unwrap();
        symlink("c1", dir.join("c95")).unwrap();
        let listing = Listing::open(&dir).unwrap();
        assert_eq!(listing.names().unwrap().len(), names.len() - 1);
        for (number, (name, found)) in names.iter().zip(listing.summaries(&names)).enumerate() {
            match number {
                5 => assert_eq!(found.unwrap_err().kind(), ErrorKind::Corrupt),
                6 | 95 => assert!(found.unwrap().is_none()),
                _ => assert_eq!(found.unwrap().unwrap().id, name.to_string_lossy()),
            }
        }
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(Listing::open(&dir).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(listing.summaries(&names).into_iter().all(|found| found.unwrap().is_none()));
    }
}
