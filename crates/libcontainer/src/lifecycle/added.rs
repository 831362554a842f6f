//! Mounts that were added while a container ran, on their way through a checkpoint: no config has them, so they are noted beside the images.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use libcontainer_plan::Pid;

use super::mounted::{check, mounts_of};
use crate::config::Config;
use crate::error::{Error, Result, named};
use crate::record::{AddedMount, State};
use crate::resolve;
use crate::setup::MountItem;

const FILE: &str = "added-mounts.json";
/// Bytes that it may have.
const LIMIT: u64 = 1024 * 1024;

/// Those that stand. Of one whose number was never noted it is not known; it is looked for as the others are.
pub(super) fn standing(state: &State, pid: Pid) -> Result<Vec<AddedMount>> {
    if state.added_mounts.is_empty() {
        return Ok(Vec::new());
    }
    let all = mounts_of(pid)?;
    let stands = |added: &&AddedMount| {
        added.id.is_none_or(|id| all.iter().any(|entry| entry.id == id && entry.destination == added.place))
    };
    Ok(state.added_mounts.iter().filter(stands).cloned().collect())
}

/// What each is for the kernel, in the order in which they came. A source that is gone is told.
pub(super) fn items(config: &Config, all: &[AddedMount]) -> Result<Vec<MountItem>> {
    let item = |added: &AddedMount| {
        let (to, from) = (added.mount.destination.display(), added.mount.source.display());
        let what = || format!("mount {to}, which was added while the container ran");
        check(config, &added.mount).map_err(|error| error.within(&what()))?;
        resolve::mount(config, &added.mount)
            .map_err(|error| Error::io(format!("{}: its source {from}", what()), error))
    };
    all.iter().map(item).collect()
}

/// Also if there are none: the directory may have images of before.
pub(super) fn write(images: &Path, all: &[AddedMount]) -> io::Result<()> {
    let path = images.join(FILE);
    let text = serde_json::to_vec(all).map_err(io::Error::other)?;
    fs::write(&path, text).map_err(|error| named(format!("write {}", path.display()), error))
}

/// As they are in the record of the new container. Images of other runtimes have none.
pub(super) fn read(images: &Path) -> io::Result<Vec<AddedMount>> {
    let path = images.join(FILE);
    let failed = |error| named(format!("read {}", path.display()), error);
    let file = match fs::File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.map_err(failed)?,
    };
    let mut text = Vec::new();
    file.take(LIMIT).read_to_end(&mut text).map_err(failed)?;
    let all: Vec<AddedMount> =
        serde_json::from_slice(&text).map_err(|error| failed(io::Error::other(error)))?;
    Ok(all.into_iter().map(|added| AddedMount { id: None, ..added }).collect())
}

/// Those that process `pid` has, with their numbers there: the last mount on each place.
pub(super) fn found(all: Vec<AddedMount>, pid: Pid) -> Result<Vec<AddedMount>> {
    if all.is_empty() {
        return Ok(all);
    }
    let there = mounts_of(pid)?;
    let number = |added: &AddedMount| there.iter().rev().find(|entry| entry.destination == added.place);
    Ok(all
        .into_iter()
        .filter_map(|added| {
            number(&added).map(|entry| entry.id).map(|id| AddedMount { id: Some(id), ..added })
        })
        .collect())
}
