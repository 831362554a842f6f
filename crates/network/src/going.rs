//! What is still going when a container is gone: the kernel takes pairs away with the namespace, in its own time, and nobody has to wait.

use std::fs::File;

use serde::{Deserialize, Serialize};

use crate::config::{InterfaceState, NetworkState};
use crate::error::Result;
use crate::object::{Object, end_all, told};
use crate::side::Side;

/// Veth pairs that the kernel takes away, and bridges of ours that go behind their last port: plain data for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Going {
    interfaces: Vec<InterfaceState>,
}

/// As [`remove`](crate::remove), but leaves to the kernel what goes with the container's network namespace when its last process has
/// ended: deleting a veth pair takes it about 18 ms, for which nobody has to wait. The table, devices of the host's and pasta are ended
/// at once. If the namespace was joined everything is, as it may stay.
///
/// What is returned is to be kept until [`Going::is_gone`], or until [`Going::finish`] has succeeded.
///
/// # Errors
/// Everything that could not be taken away. Then nothing is left to the kernel: the record has to stay as it is.
pub fn remove_later(state: &NetworkState, namespace: Option<&File>) -> Result<Going> {
    let goes = |one: &&InterfaceState| one.kind == "veth" && state.ns_path.is_empty();
    let (later, now): (Vec<_>, Vec<_>) = state.interfaces.iter().partition(goes);
    let now = NetworkState { interfaces: now.into_iter().cloned().collect(), ..state.clone() };
    crate::removal::remove(&now, namespace)?;
    Ok(Going { interfaces: later.into_iter().cloned().collect() })
}

impl Going {
    /// Whether nothing was left to the kernel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.interfaces.is_empty()
    }

    /// The host's ends of the pairs.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.interfaces.iter().map(|one| one.host_name.as_str())
    }

    /// Whether the kernel says that no pair is there any more, and no bridge is left over: a bridge that others use is not ours to take.
    ///
    /// # Errors
    /// Whatever hinders the look: then it is not known.
    pub fn is_gone(&self) -> Result<bool> {
        let (objects, errors) = self.objects();
        told(errors)?;
        let mut host = Side::host();
        // ORDER: pairs first, as they are ports of the bridges.
        for object in &objects {
            if !object.is_gone(&mut host)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends what is still there. A pair that the kernel has begun to take away is no error; one whose namespace somebody else keeps is
    /// deleted. Waits for the kernel. May be called again.
    ///
    /// # Errors
    /// Everything that could not be taken away.
    pub fn finish(&self) -> Result<()> {
        let (objects, errors) = self.objects();
        end_all(&objects, None, errors)
    }

    /// All pairs, then all bridges.
    fn objects(&self) -> (Vec<Object>, Vec<crate::Error>) {
        let state = NetworkState { interfaces: self.interfaces.clone(), ..NetworkState::default() };
        let (objects, errors) = Object::all(&state);
        let (mut ports, bridges): (Vec<_>, Vec<_>) =
            objects.into_iter().partition(|object| matches!(object, Object::Veth(_)));
        ports.extend(bridges);
        (ports, errors)
    }
}
