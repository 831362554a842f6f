//! The bridge that ports of containers are added to: found, made, and deleted with its last port.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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

/// Makes the bridge if there is none, with addresses, up. Until it has a port others may delete it again, but not while this runs.
pub(crate) fn provide(host: &mut Netlink, name: &Name, own: &OwnBridge, mark: &Mark) -> Result<()> {
    let _turn = Turn::shared()?;
    ensure(host, name, own, mark)
}

/// The same for who has a turn.
fn ensure(host: &mut Netlink, name: &Name, own: &OwnBridge, mark: &Mark) -> Result<()> {
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
    // ORDER: before it is up: from then on it hears what ports say.
    trust_no_router(name)?;
    // The mark and the rest in one request: half a bridge that looks finished is worse than none.
    let change = LinkChange::new(index).alias(mark.as_str()).up();
    side::twice(|| host.set(&change)).named(what)?;
    let mut batch = Batch::new();
    for address in &own.addresses {
        batch.push(Verb::Replace, &address::plain(index, *address)).named(what)?;
    }
    side::run(host, &mut batch, what)
}

/// A container that may send raw packets could else tell the host that it is its router, for all of IPv6: CVE-2020-13401.
///
/// RACE: who renames the bridge meanwhile changes what is written; only the host's administrator can.
fn trust_no_router(name: &Name) -> Result<()> {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/accept_ra");
    let failed = |source| Error::Io { what: format!("bridge {name}: {path}"), source };
    match std::fs::read_to_string(&path) {
        Ok(value) if value.trim() == "0" => Ok(()),
        Ok(_) => std::fs::write(&path, "0").map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound && !has_ipv6().map_err(failed)? => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Without IPv6 there are no such routers.
fn has_ipv6() -> std::io::Result<bool> {
    Path::new("/proc/sys/net/ipv6/conf").try_exists()
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

/// A bridge of ours that goes with its last port.
#[derive(Clone, Debug)]
pub(crate) struct LastPort {
    pub(crate) name: Name,
    /// The address with which it was to be made.
    pub(crate) mac: Option<Mac>,
}

impl LastPort {
    fn what(&self) -> String {
        format!("bridge {}", self.name)
    }

    /// Deletes it if it has no port (left).
    pub(crate) fn end(&self, host: &mut Side) -> Result<()> {
        // What has nothing to be done about needs no turn.
        if self.is_ended(host)? {
            return Ok(());
        }
        // RACE: others add a port between the look and the deletion, and would lose it.
        let _turn = Turn::alone()?;
        host.again(
            || self.what(),
            |netlink| match self.unused(netlink)? {
                Some(bridge) => side::known(netlink.delete(&bridge)).map(drop),
                None => Ok(()),
            },
        )
    }

    /// Whether it is gone, or not ours, or somebody else uses it.
    pub(crate) fn is_ended(&self, host: &mut Side) -> Result<bool> {
        host.again(|| self.what(), |netlink| Ok(self.unused(netlink)?.is_none()))
    }

    /// The index of a bridge that was made by us and has no port but such as the kernel is taking away.
    fn unused(&self, netlink: &mut Netlink) -> Answer<Option<Index>> {
        let marked = |link: &Link| Mark::is_any(link.alias.as_deref().map(OsStrExt::as_bytes));
        let made = |link: &Link| marked(link) || (self.mac.is_some() && link.mac == self.mac);
        let ours = |link: &Link| matches!(link.kind, Some(LinkKind::Bridge(_))) && made(link);
        let Some(bridge) = side::find(netlink, &self.name)?.filter(ours) else { return Ok(None) };
        let ports = RefCell::new(Vec::new());
        let look = |link: &LinkView<'_>| {
            if link.master == Some(bridge.index) {
                ports.borrow_mut().push(link.index);
            }
        };
        netlink.links_with(|| ports.borrow_mut().clear(), look)?;
        for port in ports.into_inner() {
            if !side::is_going(netlink, port)? {
                return Ok(None);
            }
        }
        Ok(Some(bridge.index))
    }
}
