//! Devices of the host that are moved into a container, as OCI's `netDevices`: checked first, and what they had goes along.
//!
//! While one is inside its alias says whose it is, what it was called and which alias it had: so it is found again whatever it is
//! called by then, in the container or, where the kernel has brought it back, on the host.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use libcontainer_netlink::{
    Address, AddressFlags, Batch, Cidr, Index, Link, LinkChange, LinkKind, Mac, Name, Namespace, Netlink,
    Result as Answer, Scope, Verb,
};

use crate::error::{Error, Named, Result};
use crate::mark::Mark;
use crate::side;

/// Longest alias, in bytes.
const LONGEST_ALIAS: usize = 255;

/// What a device had on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// Permanent addresses of global scope.
    addresses: Vec<Address>,
    up: bool,
    alias: Vec<u8>,
    mtu: u32,
    mac: Option<Mac>,
    /// Whether it could be told from what a program inside could make.
    pub(crate) proven: bool,
}

/// Whether a link on the host is one that nobody inside a container could have made there: hardware, or what leads to the host's own
/// network. What leads nowhere may be whose it will.
///
/// KERNEL: these kinds have `get_link_net`, by which `IFLA_LINK_NETNSID` is told whether they have a parent or not.
pub(crate) fn is_proven(link: &Link) -> bool {
    let leads_here = link.parent_namespace.is_none();
    match &link.kind {
        None | Some(LinkKind::Dummy | LinkKind::Ifb) => true,
        Some(
            LinkKind::Veth(_)
            | LinkKind::Vlan(_)
            | LinkKind::Macvlan(_)
            | LinkKind::Macvtap(_)
            | LinkKind::Ipvlan(_)
            | LinkKind::Vxlan(_),
        ) => leads_here,
        // Whoever holds its descriptor is its other end; and of others it is not known that they tell.
        Some(_) => false,
    }
}

/// A device with its way home.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// What it is called on the host.
    pub(crate) home: Name,
    pub(crate) mark: Mark,
}

impl Device {
    pub(crate) fn what(&self) -> String {
        format!("device {}", self.home)
    }

    /// The alias while it is inside, but for the old one behind it.
    fn label(&self) -> Vec<u8> {
        format!("{} home={} alias=", self.mark.as_str(), self.home).into_bytes()
    }

    pub(crate) fn old_alias(&self, link: &Link) -> Option<Vec<u8>> {
        Some(link.alias.as_ref()?.as_bytes().strip_prefix(self.label().as_slice())?.to_vec())
    }

    /// Looks whether it can be moved, and what it has: nothing is changed.
    pub(crate) fn look(
        &self,
        host: &mut Netlink,
        inside: &mut Netlink,
        name: &Name,
    ) -> Result<(Index, Kept)> {
        let what = || self.what();
        let link = side::find(host, &self.home).named(what)?;
        let link = link.ok_or_else(|| Error::wrong(what(), "is not there"))?;
        // RACE: in a namespace that others have too the name may be taken after this look; the kernel then refuses the name.
        if let Some(other) = side::find(inside, name).named(what)? {
            let problem = format!("can't be called {name} inside: {} there has that name", other.index);
            return Err(Error::wrong(what(), problem));
        }
        let mut addresses = host.addresses(Some(link.index)).named(what)?;
        addresses.retain(|one| one.scope == Scope::Universe && one.flags.contains(AddressFlags::PERMANENT));
        let alias = link.alias.as_ref().map(|alias| alias.as_bytes().to_vec()).unwrap_or_default();
        if self.label().len() + alias.len() > LONGEST_ALIAS {
            return Err(Error::wrong(what(), "has an alias that is too long to be kept"));
        }
        let (up, proven) = (link.is_up(), is_proven(&link));
        Ok((link.index, Kept { addresses, up, alias, mtu: link.mtu, mac: link.mac, proven }))
    }

    /// Moves it in, under its new name. A refusal leaves it as it was: the kernel takes it down only when it moves it.
    pub(crate) fn take(
        &self,
        host: &mut Netlink,
        namespace: &File,
        index: Index,
        name: &Name,
        kept: &Kept,
    ) -> Result<()> {
        let what = || self.what();
        let alias = [self.label(), kept.alias.clone()].concat();
        let marked = LinkChange::new(index).alias(std::ffi::OsStr::from_bytes(&alias));
        side::twice(|| host.set(&marked)).named(what)?;
        let change = LinkChange::new(index).namespace(Namespace::Fd(namespace.as_fd())).name(*name);
        match host.set(&change) {
            Err(error) if error.is_uncertain() => match side::find(host, &self.home).named(what)? {
                Some(_) => host.set(&change).named(what),
                None => Ok(()),
            },
            result => result.named(what),
        }
    }

    /// The link that has our label, whatever its name.
    pub(crate) fn find(&self, netlink: &mut Netlink) -> Answer<Option<Link>> {
        let found = RefCell::new(None);
        let ours = |link: &Link| self.old_alias(link).is_some();
        netlink.links_with(
            || drop(found.take()),
            |view| {
                if found.borrow().is_none() {
                    found.replace(Some(view.to_link()).filter(ours));
                }
            },
        )?;
        Ok(found.into_inner())
    }
}

impl Kept {
    /// Makes a link what it was: also addresses and state are as before. Link-local addresses and routes are not.
    pub(crate) fn give_to(&self, host: &mut Netlink, link: &Link) -> Answer<()> {
        let there = host.addresses(Some(link.index))?;
        for old in self.addresses.iter().filter(|old| there.iter().all(|one| one.address != old.address)) {
            host.replace(&again(link.index, old))?;
        }
        self.changes(link).iter().try_for_each(|change| host.set(change))
    }

    fn changes(&self, link: &Link) -> Vec<LinkChange<'static>> {
        let change = || LinkChange::new(link.index);
        let mtu = (link.mtu != self.mtu).then(|| change().mtu(self.mtu));
        let mac = self.mac.filter(|mac| link.mac != Some(*mac)).map(|mac| change().mac(mac));
        // ORDER: last: some drivers change their address only while they are down.
        let up = (self.up && !link.is_up()).then(|| change().up());
        [mtu, mac, up].into_iter().flatten().collect()
    }

    /// Requests that give a link the addresses, but for those that the config gives it anyway.
    pub(crate) fn add_to(&self, batch: &mut Batch, index: Index, given: &[Cidr]) -> Answer<()> {
        let is_given =
            |old: &&Address| given.iter().any(|address| address.address() == old.address.address());
        self.addresses
            .iter()
            .filter(|old| !is_given(old))
            .try_for_each(|old| batch.push(Verb::Add, &again(index, old)))
    }
}

/// The address for a link that may have another index and name: no label, and used at once, as nobody else has it.
fn again(index: Index, old: &Address) -> Address {
    let mut address = Address::new(index, old.address);
    (address.peer, address.broadcast, address.metric) = (old.peer, old.broadcast, old.metric);
    address.flags = old.flags & (AddressFlags::NO_PREFIX_ROUTE | AddressFlags::MANAGE_TEMPORARY);
    address.flags.set(AddressFlags::NO_DAD, old.address.address().is_ipv6());
    address
}
