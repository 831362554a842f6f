//! Mounts of a container that runs.

use std::path::{Path, PathBuf};

use libcontainer_mount::Mount;

use super::handle::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::{self, MountEntry};
use crate::record::{AddedMount, Init, RunState, State};

impl Container {
    /// The mounts that its first process sees: `/proc/PID/mountinfo`.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if the container has ended.
    pub fn mounts(&self) -> Result<Vec<MountEntry>> {
        let state = self.refresh()?;
        let init = self.living(&state, "mounts of")?;
        let mut all = seen(&init, &format!("mounts of {:?}", self.id()))?;
        for entry in &mut all {
            entry.added = state
                .added_mounts
                .iter()
                .any(|added| added.id == Some(entry.id) && added.place == entry.destination);
        }
        Ok(all)
    }

    /// Mounts something in a container that runs: a bind of the host's tree, or a tmpfs. It is recorded first, and goes with the container.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`], [`ErrorKind::WrongState`]; else the step that failed, and then nothing was mounted.
    pub fn add_mount(&self, mount: &Mount) -> Result<()> {
        let what = format!("mount {} in {:?}", mount.destination.display(), self.id());
        let _lock = self.store().lock(true)?;
        let old = self.refresh_locked()?;
        lifecycle::check_mount(&old.config, mount)?;
        let init = self.living(&old, "mount in")?;
        let before = seen(&init, &what)?;
        let mut state = State::clone(&*old);
        state.added_mounts.push(AddedMount {
            mount: mount.clone(),
            place: mount.destination.clone(),
            id: None,
        });
        self.note(&what, &state)?;
        if let Err(error) = lifecycle::mount(&state, init, mount, &what) {
            return Err(match self.note(&what, &old) {
                Ok(()) => error,
                Err(left) => Error::several(what, vec![error, left]),
            });
        }
        // The first of those that are new is the one in which the others lie.
        let known = |id: u32| before.iter().any(|entry| entry.id == id);
        let init = Init::open(&old)?.ok_or_else(|| ended(&what))?;
        let made = seen(&init, &what)?.into_iter().find(|entry| !known(entry.id));
        if let (Some(made), Some(last)) = (made, state.added_mounts.last_mut()) {
            (last.id, last.place) = (Some(made.id), made.destination);
        }
        self.note(&what, &state)
    }

    /// Takes a mount away that was added: the last one with this destination.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if none was added there; [`ErrorKind::WrongState`] if something lies over it.
    pub fn remove_mount(&self, destination: &Path) -> Result<()> {
        let what = format!("unmount {} in {:?}", destination.display(), self.id());
        let _lock = self.store().lock(true)?;
        let mut state = State::clone(&*self.refresh_locked()?);
        let is_there =
            |added: &AddedMount| added.mount.destination == destination || added.place == destination;
        let Some(index) = state.added_mounts.iter().rposition(is_there) else {
            let text = format!("{what}: no mount was added there (nsinit mounts list)");
            return Err(Error::new(ErrorKind::NotFound, text));
        };
        let added = state.added_mounts.remove(index);
        let init = self.living(&state, "unmount in")?;
        if let Some(place) = standing(&added, &init, &what)? {
            lifecycle::unmount(&state, init, &place, &what)?;
        }
        // ORDER: behind the unmount: what is recorded and gone is found so.
        self.note(&what, &state)
    }

    fn note(&self, what: &str, state: &State) -> Result<()> {
        let written = self.store().write(state).map_err(|error| Error::io(what, error))?;
        self.learn(written);
        Ok(())
    }

    fn living(&self, state: &State, what: &str) -> Result<Init> {
        match self.state_now(state)? {
            RunState::Running | RunState::Created | RunState::Paused | RunState::Pausing => {}
            found => return Err(self.not_running(what, found)),
        }
        Init::open(state)?.ok_or_else(|| self.not_running(what, RunState::Stopped))
    }
}

/// The mounts that the first process sees, whose end has the kernel refuse that.
fn seen(init: &Init, what: &str) -> Result<Vec<MountEntry>> {
    lifecycle::mounts_of(init.pid).map_err(|error| match init.is_ending() {
        Ok(true) => ended(what),
        _ => error,
    })
}

fn ended(what: &str) -> Error {
    Error::new(ErrorKind::WrongState, format!("{what}: the container has ended"))
}

/// Where it lies, if it still does and on top.
fn standing(added: &AddedMount, init: &Init, what: &str) -> Result<Option<PathBuf>> {
    let all = seen(init, what)?;
    let on_top = all.iter().rev().find(|entry| entry.destination == added.place);
    match (on_top, added.id) {
        (None, _) => Ok(None),
        // Killed before it was known: nothing says whether it was mounted.
        (Some(top), None) => Err(Error::new(
            ErrorKind::WrongState,
            format!(
                "{what}: it is not known whether mount {} there is the one that was added: unmount it inside",
                top.id
            ),
        )),
        (Some(top), Some(id)) if top.id == id => Ok(Some(added.place.clone())),
        (Some(_), Some(id)) if all.iter().all(|entry| entry.id != id) => Ok(None),
        (Some(top), Some(_)) => {
            let text = format!("{what}: mount {} lies over it: unmount that first", top.id);
            Err(Error::new(ErrorKind::WrongState, text))
        }
    }
}
