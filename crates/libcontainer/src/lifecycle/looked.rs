//! What the sources of binds were when somebody looked at them first.

use std::path::PathBuf;
use std::sync::OnceLock;

use libcontainer_mount::plan::Bind;
use libcontainer_plan::Seen;

use crate::error::{Error, ErrorKind, Result};
use crate::setup::{MountItem, Setup};

/// Of one config, for as long as it is used: it may be compiled several times, and each time is a look at the same names.
#[derive(Debug, Default)]
pub(super) struct Looked(OnceLock<Vec<(PathBuf, bool, Seen)>>);

impl Looked {
    /// The first setup says what the sources are.
    ///
    /// RACE: whoever may rename in a source's directory does so between two compilations.
    ///
    /// # Errors
    /// A later setup has found something else in a source's place.
    pub(super) fn hold(&self, setup: &Setup) -> Result<()> {
        let first = self.0.get_or_init(|| sources(setup).collect());
        let differs = |(source, nofollow, seen): &(PathBuf, bool, Seen)| {
            first.iter().any(|(name, follow, then)| name == source && follow == nofollow && then != seen)
        };
        match sources(setup).find(differs) {
            None => Ok(()),
            Some((source, ..)) => Err(Error::new(
                ErrorKind::StartFailed,
                format!(
                    "see that {} is still what it was when the config was looked at: it is something else",
                    source.display()
                ),
            )),
        }
    }
}

fn sources(setup: &Setup) -> impl Iterator<Item = (PathBuf, bool, Seen)> {
    let items = setup.mounts.iter().flat_map(|mounts| &mounts.items);
    items.filter_map(|item| match item {
        MountItem::Bind { bind: Bind { source, source_nofollow, seen: Some(seen), .. }, .. } => {
            Some((source.clone(), *source_nofollow, *seen))
        }
        _ => None,
    })
}
