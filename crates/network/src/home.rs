//! How a device of the host's comes home: out of the container's namespaces, under its old name if nobody else has that by now.
//!
//! A program inside that may change links can read a device's label and give it to a link of its own making, by which it would stay on
//! the host's network. So a name that the host trusts is given only to what leads to nobody inside.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use libcontainer_netlink::{AltNames, Link, LinkChange, Name, Namespace, Netlink, Result as Answer};

use crate::config::NetworkState;
use crate::device::{Device, Kept, is_proven};
use crate::error::{Error, Result};
use crate::mark::random_name;
use crate::object::{Object, PASSES, joined, told};
use crate::side::{self, Side};

/// A device that is back on the host under another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// What it was called.
    pub was: Name,
    /// What it is called.
    pub is: Name,
    /// Why.
    pub why: Rename,
}

/// Why a device did not get its old name back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rename {
    /// Somebody else has it by now.
    Taken,
    /// A program inside could have made one like it, and have it lead to wherever it likes.
    Unproven,
}

impl fmt::Display for Renamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { was, is, why } = self;
        write!(f, "device {was} is back on the host as {is}: ")?;
        match why {
            Rename::Taken => write!(f, "another link has the name {was} by now"),
            Rename::Unproven => write!(
                f,
                "the container could have made one like it in its place, so look at it (ip -d link show {is}) before you give it its name"
            ),
        }
    }
}

type Tell = dyn Fn(&Renamed) + Send + Sync;

/// Who is told of that.
#[derive(Clone, Default)]
pub(crate) struct Notes(Option<Arc<Tell>>);

impl Notes {
    pub(crate) fn to(tell: impl Fn(&Renamed) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, renamed: &Renamed) {
        if let Some(tell) = &self.0 {
            tell(renamed);
        }
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notes")
    }
}

impl NetworkState {
    /// Devices of the host's that the container has, or is to get, by their names there.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.interfaces.iter().filter(|one| one.kind == "host-device").map(|one| one.host_name.as_str())
    }
}

/// Brings the devices of the host's home, from these namespaces and from that which was joined by its path, and nothing else. The
/// kernel deletes a virtual device with its namespace: so this comes before anything is ended that holds one. What is nowhere is no
/// error. May be called again.
///
/// # Errors
/// Everything that could not be brought home; all of it was tried. Then it may still be inside.
pub fn bring_home(state: &NetworkState, namespaces: &[File]) -> Result<Vec<Renamed>> {
    let (objects, mut errors) = Object::all(state);
    let mut renamed = Vec::new();
    for object in &objects {
        let Object::Device(device, path) = object else { continue };
        let work = || {
            let joined = path.as_deref().map(joined).transpose()?.flatten();
            device.bring_home(namespaces.iter().chain(&joined))
        };
        let mut brought = work();
        for _ in 1..PASSES {
            brought = brought.or_else(|_| work());
        }
        match brought {
            Ok(found) => renamed.extend(found),
            Err(error) => errors.push(error),
        }
    }
    told(errors).map(|()| renamed)
}

impl Device {
    /// Brings it home from a container's namespaces, or from the name that the kernel gave it on the host. One that is nowhere is fine:
    /// the kernel deletes virtual devices with their namespace.
    pub(crate) fn bring_home<'n>(
        &self,
        namespaces: impl IntoIterator<Item = &'n File>,
    ) -> Result<Option<Renamed>> {
        let mut host = Side::host();
        let Some(link) = self.come_home(namespaces, &mut host, false)? else { return Ok(None) };
        self.unmark(&link, &mut host)?;
        Ok(self.renamed(&link))
    }

    /// The same, and it has what it had before [`Device::take`].
    pub(crate) fn give_back<'n>(
        &self,
        namespaces: impl IntoIterator<Item = &'n File>,
        kept: &Kept,
    ) -> Result<Option<Renamed>> {
        let mut host = Side::host();
        // Gone for ever, or never was away.
        // RACE: in a namespace that is joined somebody may have put another in its place since.
        let Some(link) = self.come_home(namespaces, &mut host, !kept.proven)? else { return Ok(None) };
        host.again(|| self.what(), |netlink| kept.give_to(netlink, &link))?;
        // ORDER: last: as long as something is to be done it is known by its label.
        self.unmark(&link, &mut host)?;
        Ok(self.renamed(&link))
    }

    fn renamed(&self, link: &Link) -> Option<Renamed> {
        let why = if is_proven(link) { Rename::Taken } else { Rename::Unproven };
        (link.name != self.home).then_some(Renamed { was: self.home, is: link.name, why })
    }

    /// On the host, under its old name if that is free and it is `trusted` or proven to be the host's, and still with our label. None if it is nowhere.
    fn come_home<'n>(
        &self,
        namespaces: impl IntoIterator<Item = &'n File>,
        host: &mut Side,
        trusted: bool,
    ) -> Result<Option<Link>> {
        let mut failed = None;
        for namespace in namespaces {
            failed = self.leave(namespace, host).err().or(failed);
        }
        let found = host.again(|| self.what(), |netlink| self.settle(netlink, trusted))?;
        // One that is here is in none of those that could not be looked into.
        match (found, failed) {
            (None, Some(error)) => Err(error),
            (found, _) => Ok(found),
        }
    }

    /// Out of one namespace.
    fn leave(&self, namespace: &File, host: &mut Side) -> Result<()> {
        let failed = |source| Error::Io { what: self.what(), source };
        let own = File::open("/proc/thread-self/ns/net").map_err(failed)?;
        let mut inside = Side::inside(namespace.try_clone().map_err(failed)?);
        match self.send(&mut inside, &own) {
            Err(error) if error.errno() == Some(libc::EEXIST) => {}
            sent => return sent,
        }
        let Some(link) = inside.again(|| self.what(), |netlink| self.find(netlink))? else { return Ok(()) };
        self.drop_names(&link, &mut inside, host)?;
        self.send(&mut inside, &own)
    }

    /// ORDER: under a name that nobody has: whether it may have its old one is seen when it is on the host.
    fn send(&self, inside: &mut Side, home: &File) -> Result<()> {
        let spare = random_name("dev").map_err(|problem| Error::wrong(self.what(), problem))?;
        inside.again(
            || self.what(),
            |netlink| {
                let Some(link) = self.find(netlink)? else { return Ok(()) };
                let change = || LinkChange::new(link.index);
                netlink.set(&change().down())?;
                side::known(netlink.set(&change().namespace(Namespace::Fd(home.as_fd())).name(spare)))
                    .map(drop)
            },
        )
    }

    /// KERNEL(6.6): a link whose alternative names the host has too is not let in, whatever it is to be called.
    fn drop_names(&self, link: &Link, inside: &mut Side, host: &mut Side) -> Result<()> {
        for name in &link.alt_names {
            let name: &OsStr = name;
            let taken = |netlink: &mut Netlink| Ok(side::known(netlink.link(name))?.is_some());
            if host.again(|| self.what(), taken)? {
                let names = [name];
                inside.again(
                    || self.what(),
                    |netlink| side::known(netlink.delete(&AltNames::new(link.index, &names))).map(drop),
                )?;
            }
        }
        Ok(())
    }

    /// On the host: its old name, unless that is somebody else's by now, or this may be another link.
    fn settle(&self, host: &mut Netlink, trusted: bool) -> Answer<Option<Link>> {
        let Some(mut link) = self.find(host)? else { return Ok(None) };
        if link.name == self.home {
            return Ok(Some(link));
        }
        host.set(&LinkChange::new(link.index).down())?;
        if !trusted && !is_proven(&link) {
            let names: Vec<&OsStr> = link.alt_names.iter().map(AsRef::as_ref).collect();
            if !names.is_empty() {
                side::known(host.delete(&AltNames::new(link.index, &names)))?;
            }
            return Ok(Some(link));
        }
        match host.set(&LinkChange::new(link.index).name(self.home)) {
            Err(error) if error.is_refusal(libc::EEXIST) => {}
            renamed => {
                renamed?;
                link.name = self.home;
            }
        }
        Ok(Some(link))
    }

    /// Its old alias.
    fn unmark(&self, link: &Link, host: &mut Side) -> Result<()> {
        let alias = self.old_alias(link).unwrap_or_default();
        let change = LinkChange::new(link.index).alias(OsStr::from_bytes(&alias));
        host.again(|| self.what(), |netlink| netlink.set(&change))
    }
}
