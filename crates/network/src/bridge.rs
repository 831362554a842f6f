//! The bridge that ports of containers are added to: found, made, and deleted with its last port.

use std::cell::Cell;
use std::os::unix::ffi::OsStrExt;

use libcontainer_netlink::{
    Batch, Bridge, Cidr, Index, Link, LinkChange, LinkKind, LinkView, Mac, Name, Netlink, NewLink,
    Result as Answer, Verb,
};

use crate::address;
use crate::error::{Error, Named, Result};
use crate::mark::Mark;
use crate::side::{self, Side};
use crate::turn::Turn;

/// A bridge that is made if it is missing.
#[derive(Clone, Debug)]
pub(crate) struct OwnBridge {
    pub(crate) addresses: Vec<Cidr>,
    /// Its address, and what it is known by until it is marked. Random: else it would have that of one port or another, and the
    /// neighbours' caches would be wrong whenever one goes.
    pub(crate) mac: Mac,
}

/// Makes the bridge if there is none, with addresses, up.
pub(crate) fn ensure(host: &mut Netlink, name: &Name, own: &OwnBridge, mark: &Mark) -> Result<()> {
    let what = || format!("bridge {name}");
    let made = side::twice(|| host.add(&NewLink::bridge(*name, Bridge::default()).mac(own.mac)));
    match made {
        Ok(()) => set_up(host, name, own, mark),
        // Of two attempts the first may have made it.
        Err(error) if error.is_exists() => {
            if find(host, name)?.mac == Some(own.mac) {
                set_up(host, name, own, mark)
            } else {
                Ok(())
            }
        }
        Err(error) => Err(error).named(what),
    }
}

fn set_up(host: &mut Netlink, name: &Name, own: &OwnBridge, mark: &Mark) -> Result<()> {
    let what = || format!("bridge {name}");
    let index = host.index(name).named(what)?;
    // The mark and the rest in one request: half a bridge that looks finished is worse than none.
    let change = LinkChange::new(index).alias(mark.as_str()).up();
    side::twice(|| host.set(&change)).named(what)?;
    let mut batch = Batch::new();
    for address in &own.addresses {
        batch.push(Verb::Replace, &address::plain(index, *address)).named(what)?;
    }
    side::run(host, &mut batch, what)
}

/// The index of the bridge that a port is to be added to, which is made if the config says so.
pub(crate) fn master(host: &mut Netlink, name: &Name, own: Option<&OwnBridge>, mark: &Mark) -> Result<Index> {
    match (side::find(host, name).named(|| format!("bridge {name}"))?, own) {
        (Some(link), _) => a_bridge(link).map(|link| link.index),
        (None, Some(own)) => {
            ensure(host, name, own, mark)?;
            find(host, name).map(|link| link.index)
        }
        (None, None) => {
            Err(Error::wrong(format!("bridge {name}"), "is not there; make it, or set create_bridge"))
        }
    }
}

fn find(host: &mut Netlink, name: &Name) -> Result<Link> {
    a_bridge(host.link(name).named(|| format!("bridge {name}"))?)
}

fn a_bridge(link: Link) -> Result<Link> {
    match link.kind {
        Some(LinkKind::Bridge(_)) => Ok(link),
        _ => Err(Error::wrong(format!("bridge {}", link.name), "is a link of another kind")),
    }
}

/// Deletes a bridge of ours that has no port (left). `mac` is that with which it was to be made.
pub(crate) fn end(host: &mut Side, name: &Name, mac: Option<Mac>) -> Result<()> {
    let what = || format!("bridge {name}");
    // What isn't there or isn't ours needs no turn.
    if host.again(what, |netlink| ours(netlink, name, mac))?.is_none() {
        return Ok(());
    }
    // RACE: others add a port between the look and the deletion, and would lose it.
    let _turn = Turn::alone()?;
    host.again(what, |netlink| {
        let Some(bridge) = ours(netlink, name, mac)? else { return Ok(()) };
        if is_used(netlink, bridge)? { Ok(()) } else { side::known(netlink.delete(&bridge)).map(drop) }
    })
}

/// Whether [`end`] has nothing to do: it is gone, or not ours, or has a port.
pub(crate) fn is_ended(host: &mut Side, name: &Name, mac: Option<Mac>) -> Result<bool> {
    host.again(
        || format!("bridge {name}"),
        |netlink| ours(netlink, name, mac)?.map_or(Ok(true), |bridge| is_used(netlink, bridge)),
    )
}

/// The index of a bridge that is there and was made by us.
fn ours(netlink: &mut Netlink, name: &Name, mac: Option<Mac>) -> Answer<Option<Index>> {
    let marked = |link: &Link| Mark::is_any(link.alias.as_deref().map(OsStrExt::as_bytes));
    let made = |link: &Link| {
        matches!(link.kind, Some(LinkKind::Bridge(_))) && (marked(link) || (mac.is_some() && link.mac == mac))
    };
    Ok(side::find(netlink, name)?.filter(made).map(|link| link.index))
}

fn is_used(netlink: &mut Netlink, bridge: Index) -> Answer<bool> {
    let used = Cell::new(false);
    let look = |link: &LinkView<'_>| used.set(used.get() || link.master == Some(bridge));
    netlink.links_with(|| used.set(false), look)?;
    Ok(used.get())
}
