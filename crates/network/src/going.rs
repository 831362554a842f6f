//! What is still going when a container is gone: the kernel takes pairs away with the namespace, in its own time, and nobody has to wait.

use std::fs::File;
use std::time::Duration;

use libcontainer_netlink::Netlink;
use serde::{Deserialize, Serialize};

use crate::config::{InterfaceState, NetworkState};
use crate::error::Result;
use crate::object::{Object, end_all, told};
use crate::removal;
use crate::side::Side;

/// How often, and with which pauses, a namespace is looked at that does not end yet: sockets that were open in it are given back by the
/// kernel a little after their process.
const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_micros(300);

/// Veth pairs that the kernel takes away, and bridges of ours that go behind their last port: plain data for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Going {
    interfaces: Vec<InterfaceState>,
    /// The id of the namespace that they go with.
    namespace_id: i32,
}

/// As [`remove`](crate::remove), but leaves to the kernel what goes with the container's network namespace when its last process has
/// ended: deleting a veth pair takes it about 18 ms, for which nobody has to wait. The table, devices of the host's and pasta are ended
/// at once. If the namespace was joined everything is, as it may stay.
///
/// When the container's processes have ended [`Going::settle`] makes sure that the namespace goes; [`Going::has_bridges`] asks for it.
/// A pair that is left without that goes when whoever else holds the namespace lets go of it, and is found by its mark until then.
///
/// # Errors
/// Everything that could not be taken away. Then nothing is left to the kernel: the record has to stay as it is.
pub fn remove_later(state: &NetworkState, namespace: Option<&File>) -> Result<Going> {
    let goes = |one: &&InterfaceState| one.kind == "veth" && state.ns_path.is_empty();
    let (later, now): (Vec<_>, Vec<_>) = state.interfaces.iter().partition(goes);
    let now = NetworkState { interfaces: now.into_iter().cloned().collect(), ..state.clone() };
    removal::remove(&now, namespace)?;
    Ok(Going { interfaces: later.into_iter().cloned().collect(), namespace_id: state.namespace_id })
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

    /// Whether a bridge of ours is among it, which goes behind its last port, but not by itself.
    #[must_use]
    pub fn has_bridges(&self) -> bool {
        self.interfaces.iter().any(|one| one.own_bridge)
    }

    /// Whether the kernel says that no pair is there any more, and no bridge is left over: a bridge that others use is not ours to take.
    ///
    /// # Errors
    /// Whatever hinders the look: then it is not known.
    pub fn is_gone(&self) -> Result<bool> {
        let (objects, errors) = self.objects();
        told(errors)?;
        let mut host = Side::host();
        // ORDER: pairs before their bridges: a port that is left is told as that.
        for object in &objects {
            if !object.is_gone(&mut host)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Leaves those pairs to the kernel of which it says that their namespace is ending: nobody can be in it or hold it any more. The
    /// others are deleted, because somebody does. Then deletes the bridges of ours that have no other port. After that nothing
    /// has to be kept in mind: the rest is the kernel's. May be called again.
    ///
    /// # Errors
    /// Everything that could not be taken away, or of which it could not be known whether it goes.
    pub fn settle(&self) -> Result<()> {
        let (objects, errors) = self.objects();
        let mut host = Side::host();
        // Unknown is not ending: then they are deleted, and told if that fails as well.
        if self.namespace_ends(&mut host).unwrap_or(false) {
            let bridges: Vec<_> = objects.into_iter().filter(|object| object.veth().is_none()).collect();
            end_all(&bridges, None, errors)
        } else {
            end_all(&objects, None, errors)
        }
    }

    /// Whether the namespace of the other ends is gone or ending.
    fn namespace_ends(&self, host: &mut Side) -> Result<bool> {
        if self.namespace_id == 0 {
            return Ok(false);
        }
        for look in 0..LOOKS {
            if look > 0 {
                libcontainer_plan::rest(PAUSE);
            }
            let stands = |netlink: &mut Netlink| netlink.has_namespace(self.namespace_id);
            if !host.again(|| "network namespace of the container".to_owned(), stands)? {
                return Ok(true);
            }
        }
        Ok(false)
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

    /// All pairs, each before its bridge.
    fn objects(&self) -> (Vec<Object>, Vec<crate::Error>) {
        Object::all(&NetworkState { interfaces: self.interfaces.clone(), ..NetworkState::default() })
    }
}
