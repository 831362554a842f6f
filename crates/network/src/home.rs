//! How a device of the host's comes home: out of the container's namespaces, under its old name if nobody else has that by now.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use libcontainer_netlink::{AltNames, Link, LinkChange, Name, Namespace, Netlink, Result as Answer};

use crate::config::NetworkState;
use crate::device::{Device, Kept};
use crate::error::{Error, Result};
use crate::mark::random_name;
use crate::object::{Object, PASSES, joined, told};
use crate::side::{self, Side};

/// A device that is back on the host, where somebody else has its name by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// What it was called.
    pub was: Name,
    /// What it is called.
    pub is: Name,
}

impl fmt::Display for Renamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { was, is } = self;
        write!(f, "device {was} is back on the host as {is}: another link has the name {was} by now")
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
        let Some(link) = self.come_home(namespaces, &mut host)? else { return Ok(None) };
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
        let Some(link) = self.come_home(namespaces, &mut host)? else { return Ok(None) };
        host.again(|| self.what(), |netlink| kept.give_to(netlink, &link))?;
        // ORDER: last: as long as something is to be done it is known by its label.
        self.unmark(&link, &mut host)?;
        Ok(self.renamed(&link))
    }

    fn renamed(&self, link: &Link) -> Option<Renamed> {
        (link.name != self.home).then_some(Renamed { was: self.home, is: link.name })
    }

    /// On the host, under its old name if that is free, and still with our label. None if it is nowhere.
    fn come_home<'n>(
        &self,
        namespaces: impl IntoIterator<Item = &'n File>,
        host: &mut Side,
    ) -> Result<Option<Link>> {
        let mut failed = None;
        for namespace in namespaces {
            failed = self.leave(namespace, host).err().or(failed);
        }
        let found = host.again(|| self.what(), |netlink| self.settle(netlink))?;
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
        let what = || self.what();
        let send = |netlink: &mut Netlink, link: &Link, name: Name| {
            netlink.set(&LinkChange::new(link.index).down())?;
            let home = Namespace::Fd(own.as_fd());
            side::known(netlink.set(&LinkChange::new(link.index).namespace(home).name(name))).map(drop)
        };
        let sent = inside.again(what, |netlink| match self.find(netlink)? {
            Some(link) => send(netlink, &link, self.home),
            None => Ok(()),
        });
        match sent {
            Err(error) if error.errno() == Some(libc::EEXIST) => {}
            sent => return sent,
        }
        // KERNEL: the new name is used only if the host has the one inside too; else it is here by now, and was not renamed.
        let spare = random_name("dev").map_err(|problem| Error::wrong(self.what(), problem))?;
        let Some(link) = inside.again(what, |netlink| self.find(netlink))? else { return Ok(()) };
        self.drop_names(&link, &mut inside, host)?;
        inside.again(what, |netlink| match self.find(netlink)? {
            Some(link) => send(netlink, &link, spare),
            None => Ok(()),
        })
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

    /// On the host: its old name, unless that is somebody else's by now.
    fn settle(&self, host: &mut Netlink) -> Answer<Option<Link>> {
        let Some(mut link) = self.find(host)? else { return Ok(None) };
        if link.name != self.home {
            host.set(&LinkChange::new(link.index).down())?;
            match host.set(&LinkChange::new(link.index).name(self.home)) {
                Err(error) if error.is_refusal(libc::EEXIST) => {}
                renamed => {
                    renamed?;
                    link.name = self.home;
                }
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
