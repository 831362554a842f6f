//! The end of a container whose directory somebody has removed, by what its handle knows.

use std::fs::symlink_metadata;
use std::io::ErrorKind::NotFound;
use std::path::Path;
use std::sync::Arc;

use libcontainer_cgroups::Place;

use super::again::again;
use super::devices;
use super::host::Host;
use super::teardown::Teardown;
use crate::error::{Error, ErrorKind, Result};
use crate::group;
use crate::record::{Intent, State, Store, is_of_this_boot};

/// The directory goes last, so this mostly is no more than a look, unless it was somebody else who took it: then all that the handle knows is
/// ended, and each thing is known by more than its name, which may be another's by now.
///
/// # Errors
/// Also for what may be the container's and may be another's: it is left as it is.
pub(super) fn end_unrecorded(
    store: &Store,
    host: &Host,
    handle: Option<Arc<State>>,
    what: &str,
) -> Result<Option<Arc<State>>> {
    let Some(state) = handle.filter(|state| state.init_pid != 0 || !state.boot_id.is_empty()) else {
        return Ok(None);
    };
    if !again(|| is_of_this_boot(&state))? {
        return Ok(None);
    }
    let mut ours = Ours::new(&state, store, what)?;
    let environment = &host.environment();
    ours.unit(host)?;
    let dir = (!ours.is_taken).then(|| store.path());
    // ORDER: before anything ends that may hold the namespace in which they are.
    devices::bring_home(&ours.state, dir, host, what)?;
    let mut errors = Teardown::new(&ours.state, store, environment, what).run();
    errors.append(&mut ours.errors);
    errors.extend(ours.unmarked().into_iter().chain(ours.unborn()));
    if errors.is_empty() { Ok(None) } else { Err(Error::several(what.to_owned(), errors)) }
}

/// Looks for what is left of a container in `path`, where nothing is, for who has no handle. A mark has the path, the filesystem, and the inode that the
/// directory had, which nobody can tell any more: another container may have that path, in another mount namespace.
///
/// # Errors
/// If a control group has such a mark and has processes, or it can't be known whether it has: it stays as it is.
pub(crate) fn check_left(host: &Host, path: &Path) -> Result<()> {
    let what = || format!("destroy {}", path.display());
    let look = || -> Result<_> {
        let beginning = group::beginning_of(path).map_err(|error| Error::io(what(), error))?;
        again(|| group::living_like(&beginning).map_err(|error| Error::cgroup(what(), error)))
    };
    // Mostly there is nothing to be found: that it could not be looked for is no more than told.
    let found =
        look().unwrap_or_else(|error| {
            host.warn(&error.within(
                "there is no such directory; whether a process is left of a container which was there",
            ));
            Vec::new()
        });
    // RACE: one that was made since is there by now.
    let Some((group, processes)) = found.first().filter(|_| symlink_metadata(path).is_err()) else {
        return Ok(());
    };
    let living = match processes {
        Ok(all) => all.first().map_or_else(String::new, |pid| format!("with process {pid} ")),
        Err(error) => format!("(whether it has processes is not known: {error}) "),
    };
    let text = format!(
        "{}: there is no such directory, but the control group {} {living}is marked as that of the container which was there: somebody has removed it, or it is in \
         another mount namespace. If it is to end, kill what is in that group, and rmdir it in each hierarchy",
        what(),
        group.display()
    );
    Err(Error::new(ErrorKind::Corrupt, text))
}

/// What of a record is surely this container's.
struct Ours<'a> {
    state: State,
    /// Places that the record has by their names alone.
    unknown: Vec<Place>,
    /// Whether another directory has the name by now.
    is_taken: bool,
    what: &'a str,
    errors: Vec<Error>,
}

impl<'a> Ours<'a> {
    fn new(known: &State, store: &Store, what: &'a str) -> Result<Self> {
        let is_taken = again(|| match symlink_metadata(store.path()) {
            Err(error) if error.kind() == NotFound => Ok(false),
            Err(error) => Err(Error::io(format!("{what}: lstat {}", store.path().display()), error)),
            Ok(_) => Ok(true),
        })?;
        let mut state = known.clone();
        let planned = |place: &Place| place.new > 0 && place.inode.is_none();
        let (unknown, mut places): (Vec<_>, Vec<_>) = known.places().iter().cloned().partition(planned);
        let mut errors = Vec::new();
        if !unknown.is_empty() {
            let (found, unseen) = again(|| {
                let token = group::token_of(store.path(), store.dir());
                let token =
                    token.map_err(|error| Error::io(format!("{what}: {}", store.path().display()), error))?;
                group::marked(&token).map_err(|error| Error::cgroup(what, error))
            })?;
            let is_new = |place: &Place| !places.iter().any(|known| known.path() == place.path());
            let found: Vec<_> = found.into_iter().filter(is_new).collect();
            places.extend(found);
            errors.extend(unseen.into_iter().map(|error| Error::cgroup(what, error)));
        }
        if !known.places().is_empty() {
            state.set_places(places);
        }
        if is_taken {
            // One that serves there is known by the path alone.
            state.network_state.interfaces.retain(|one| one.kind != "pasta");
        }
        Ok(Self { state, unknown, is_taken, what, errors })
    }

    /// Leaves out a unit that may be that of a namesake, which has the same words: a scope goes with its group.
    fn unit(&mut self, host: &Host) -> Result<()> {
        let Some(unit) = self.state.unit().cloned() else { return Ok(()) };
        if !self.is_taken || self.has_group()? {
            return Ok(());
        }
        self.state.intent.retain(|intent| !matches!(intent, Intent::Unit(_)));
        if self.unknown.is_empty() {
            return Ok(());
        }
        let stands = again(|| {
            group::stands(&unit, &host.environment()).map_err(|error| Error::cgroup(self.what, error))
        });
        match stands {
            Ok(false) => {}
            Ok(true) => {
                let text = format!(
                    "{0}: the unit {1} is this container's or that of another one which has the name by now: systemctl stop {1} if it is this one's",
                    self.what, unit.name
                );
                self.errors.push(Error::new(ErrorKind::Corrupt, text));
            }
            Err(error) => self.errors.push(error),
        }
        Ok(())
    }

    /// Whether a directory of the group stands that is known by its inode.
    fn has_group(&self) -> Result<bool> {
        let group = again(|| group::own(&self.state).map_err(|error| Error::cgroup(self.what, error)))?;
        Ok(group.is_some_and(|group| !group.is_gone()))
    }

    /// The error for a group that has the name of the container's, and says not whose it is.
    fn unmarked(&self) -> Option<Error> {
        let left = self.unknown.iter().map(Place::path).find(|path| !group::is_anothers(path))?;
        let text = format!(
            "{}: nothing says whether the control group {} is this container's, whose directory somebody has removed: if it is, kill its processes and rmdir it",
            self.what,
            left.display()
        );
        Some(Error::new(ErrorKind::Corrupt, text))
    }

    /// The error for a first process that the handle has not heard of, and no group could have had.
    fn unborn(&self) -> Option<Error> {
        if self.state.init_pid != 0 || !self.state.places().is_empty() || !self.unknown.is_empty() {
            return None;
        }
        let text = format!(
            "{}: it was being made when its record was read, and somebody has removed its directory, or its maker took it back: whether a process of it lives can't be known",
            self.what
        );
        Some(Error::new(ErrorKind::Corrupt, text))
    }
}
