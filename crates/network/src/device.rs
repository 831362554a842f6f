//! Devices of the host that are moved into a container, as OCI's `netDevices`: checked first, and what they had goes along.

use std::fs::File;
use std::os::fd::AsFd;

use libcontainer_netlink::{
    Address, AddressFlags, Batch, Index, LinkChange, Name, Namespace, Netlink, Scope, Verb,
};

use crate::error::{Error, Named, Result};
use crate::link::run;
use crate::plan::{Interface, Kind};

/// What a device had on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// Permanent addresses of global scope.
    pub(crate) addresses: Vec<Address>,
    up: bool,
}

/// Devices that two interfaces want.
pub(crate) fn wanted_twice(interfaces: &[Interface]) -> Vec<Name> {
    let devices = interfaces.iter().filter_map(|interface| match &interface.kind {
        Kind::Device { host } => Some(*host),
        _ => None,
    });
    let devices: Vec<Name> = devices.collect();
    let again = |(index, name): (usize, &Name)| devices.iter().take(index).any(|other| other == name);
    devices.iter().enumerate().filter(|pair| again(*pair)).map(|(_, name)| *name).collect()
}

/// Moves the device in, under its new name. A refusal leaves it as it was: the kernel takes it down only when it moves it.
pub(crate) fn take(host: &mut Netlink, namespace: &File, name: &Name, device: &Name) -> Result<Kept> {
    let what = || format!("device {device}");
    let link = match host.link(device) {
        Err(error) if error.is_not_found() => return Err(Error::wrong(what(), "is not there")),
        link => link.named(what)?,
    };
    let mut inside = Netlink::in_namespace(namespace.as_fd()).named(what)?;
    // RACE: in a namespace that others have too the name may be taken after this look; the kernel then refuses the name.
    match inside.index(name) {
        Err(error) if error.is_not_found() => {}
        found => {
            let index = found.named(what)?;
            let problem = format!("can't be called {name} inside: {index} there has that name");
            return Err(Error::wrong(what(), problem));
        }
    }
    let mut addresses = host.addresses(Some(link.index)).named(what)?;
    addresses.retain(|one| one.scope == Scope::Universe && one.flags.contains(AddressFlags::PERMANENT));
    let change = LinkChange::new(link.index).namespace(Namespace::Fd(namespace.as_fd())).name(*name);
    host.set(&change).named(what)?;
    Ok(Kept { addresses, up: link.is_up() })
}

impl Kept {
    /// The address for a link that may have another index and name: no label, and used at once, as nobody else has it.
    fn on(index: Index, old: &Address) -> Address {
        let mut address = Address::new(index, old.address);
        (address.peer, address.broadcast, address.metric) = (old.peer, old.broadcast, old.metric);
        address.flags = old.flags & (AddressFlags::NO_PREFIX_ROUTE | AddressFlags::MANAGE_TEMPORARY);
        address.flags.set(AddressFlags::NO_DAD, old.address.address().is_ipv6());
        address
    }

    /// Requests that give a link the addresses, but for those that the config gives it anyway.
    pub(crate) fn add_to(&self, batch: &mut Batch, index: Index, interface: &Interface) -> Result<()> {
        let given = |old: &&Address| {
            interface.addresses.iter().any(|address| address.address() == old.address.address())
        };
        for old in self.addresses.iter().filter(|old| !given(old)) {
            let what = || format!("interface {}", interface.name);
            batch.push(Verb::Add, &Self::on(index, old)).named(what)?;
        }
        Ok(())
    }
}

/// Moves a device of the host's back, under its old name.
pub(crate) fn bring_back(namespace: &File, inside: &Name, name: &Name) -> Result<()> {
    let what = || format!("device {name}");
    let own = File::open("/proc/thread-self/ns/net").map_err(|source| Error::Io { what: what(), source })?;
    let mut container = Netlink::in_namespace(namespace.as_fd()).named(what)?;
    let index = match container.index(inside) {
        Err(error) if error.is_not_found() => return Ok(()),
        index => index.named(what)?,
    };
    container.set(&LinkChange::new(index).down()).named(what)?;
    let home = LinkChange::new(index).namespace(Namespace::Fd(own.as_fd())).name(*name);
    container.set(&home).named(what)
}

/// Takes back [`take`]: also addresses and state are as before. Link-local addresses and routes are not.
pub(crate) fn give_back(namespace: &File, inside: &Name, name: &Name, kept: &Kept) -> Result<()> {
    bring_back(namespace, inside, name)?;
    let what = || format!("device {name}");
    let mut host = Netlink::open().named(what)?;
    let index = host.index(name).named(what)?;
    let mut batch = Batch::new();
    for old in &kept.addresses {
        batch.push(Verb::Replace, &Kept::on(index, old)).named(what)?;
    }
    run(&mut host, &mut batch, what)?;
    if kept.up { host.set(&LinkChange::new(index).up()).named(what) } else { Ok(()) }
}
