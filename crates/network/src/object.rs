//! What a container has on the host, and how each is ended: looked for, known as ours, taken away. Undo and removal are this.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libcontainer_netlink::{Link, LinkKind, Name, Netlink, RemoteLink, Result as Answer};

use crate::bridge::LastPort;
use crate::config::{InterfaceState, NetworkState};
use crate::device::Device;
use crate::error::{Error, Named, Result};
use crate::mark::Mark;
use crate::side::{self, Side};
use crate::{pasta, rules};

/// How often all is tried: what can't be brought back from a namespace now is lost when that ends.
pub(crate) const PASSES: usize = 2;

/// One thing that may be there.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    /// The host's end of a pair; its name has random digits.
    Veth(Name),
    /// A bridge that goes with its last port.
    Bridge(LastPort),
    /// A link within a namespace that was joined, which outlives the container.
    Inside { made_as: Name, name: Name, mark: Mark },
    /// A device that was moved, and the namespace by whose path it was joined, if it was: that outlives the container.
    Device(Device, Option<PathBuf>),
    /// A table of nf_tables; its name has random digits.
    Table(String),
    /// The pasta with this pid file.
    Pasta(PathBuf),
}

impl Object {
    /// Everything that a record speaks of, ports before their bridges, and what is wrong with the record.
    pub(crate) fn all(state: &NetworkState) -> (Vec<Self>, Vec<Error>) {
        let table = (!state.nft_table.is_empty()).then(|| Ok(vec![Self::Table(state.nft_table.clone())]));
        // ORDER: the table first: nothing is led to a container that is going.
        let each = table.into_iter().chain(state.interfaces.iter().map(|one| Self::of(one, state)));
        let (mut all, mut errors) = (Vec::new(), Vec::new());
        for found in each {
            match found {
                Ok(objects) => all.extend(objects),
                Err(error) => errors.push(error),
            }
        }
        (all, errors)
    }

    fn of(interface: &InterfaceState, state: &NetworkState) -> Result<Vec<Self>> {
        let mark = || Mark::recorded(&state.mark);
        let name = |text: &String| Name::new(text).named(|| "network state".to_owned());
        Ok(match interface.kind.as_str() {
            "veth" => {
                let bridge = if interface.own_bridge { Some(own_bridge(interface)?) } else { None };
                [Some(Self::Veth(name(&interface.host_name)?)), bridge].into_iter().flatten().collect()
            }
            "pasta" => vec![Self::Pasta(interface.pid_file.clone())],
            "host-device" => {
                let joined = (!state.ns_path.is_empty()).then(|| PathBuf::from(&state.ns_path));
                vec![Self::Device(Device { home: name(&interface.host_name)?, mark: mark() }, joined)]
            }
            // Those of a namespace of the container's own go with it.
            "macvlan" | "ipvlan" if !state.ns_path.is_empty() => {
                let made_as = name(&interface.made_as)?;
                vec![Self::Inside { made_as, name: name(&interface.name)?, mark: mark() }]
            }
            _ => Vec::new(),
        })
    }

    /// The host's end, of a pair.
    pub(crate) fn veth(&self) -> Option<Name> {
        if let Self::Veth(name) = self { Some(*name) } else { None }
    }

    /// Ends it; what is not there, or is not ours, is fine. Says nothing but what it has seen.
    pub(crate) fn end(&self, host: &mut Side, namespace: Option<&File>) -> Result<()> {
        match self {
            Self::Veth(name) => host.again(
                || format!("link {name}"),
                |netlink| side::delete(netlink, name, |link| matches!(link.kind, Some(LinkKind::Veth(_)))),
            ),
            Self::Bridge(bridge) => bridge.end(host),
            Self::Inside { made_as, name, mark } => host.again(
                || format!("link {name}"),
                |netlink| end_inside(netlink, &[*made_as, *name], |link| is_ours(link, made_as, mark)),
            ),
            Self::Device(device, Some(path)) if namespace.is_none() => {
                device.bring_home(&joined(path)?).map(drop)
            }
            Self::Device(device, _) => device.bring_home(namespace).map(drop),
            Self::Table(name) => rules::remove(name),
            Self::Pasta(pid_file) => pasta::stop(pid_file),
        }
    }
}

impl Object {
    /// Whether the kernel says that it is not there. Only of what the kernel may take away by itself; the others are there until they are
    /// ended.
    pub(crate) fn is_gone(&self, host: &mut Side) -> Result<bool> {
        match self {
            Self::Veth(name) => {
                host.again(|| format!("link {name}"), |netlink| Ok(side::find(netlink, name)?.is_none()))
            }
            Self::Bridge(bridge) => bridge.is_ended(host),
            Self::Inside { .. } | Self::Device(..) | Self::Table(_) | Self::Pasta(_) => Ok(false),
        }
    }
}

/// The namespace at a path, unless there is nothing any more: then who holds the namespace has the device.
pub(crate) fn joined(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        Err(source) => Err(Error::Io { what: format!("open {}", path.display()), source }),
    }
}

fn own_bridge(interface: &InterfaceState) -> Result<Object> {
    let what = || "network state".to_owned();
    let name = Name::new(&interface.bridge).named(what)?;
    let mac = Some(interface.bridge_mac.as_str()).filter(|text| !text.is_empty());
    Ok(Object::Bridge(LastPort { name, mac: mac.map(str::parse).transpose().named(what)? }))
}

/// A link in a namespace that others have too: it has the random name still, or our mark.
pub(crate) fn is_ours(link: &Link, made_as: &Name, mark: &Mark) -> bool {
    link.name == *made_as || mark.is(link.alias.as_deref().map(OsStrExt::as_bytes))
}

/// Deletes a link wherever it is, among the namespaces that the host's has an id for. Its own got one before the link was made.
fn end_inside(host: &mut Netlink, names: &[Name], ours: impl Fn(&Link) -> bool) -> Answer<()> {
    for namespace in host.namespace_ids()? {
        for name in names {
            // RACE: a namespace that goes meanwhile takes its links along.
            let found = match host.link_in(namespace, name) {
                Err(error) if error.is_refusal(libc::EINVAL) => None,
                found => side::known(found)?,
            };
            if let Some(link) = found.filter(&ours) {
                side::known(host.delete(&RemoteLink { namespace, index: link.index }))?;
            }
        }
    }
    Ok(())
}

/// Ends several, on past errors; all of them again if one failed, as a bridge waits for its port. `errors` is what has gone wrong already.
pub(crate) fn end_all(all: &[Object], namespace: Option<&File>, mut errors: Vec<Error>) -> Result<()> {
    let mut host = Side::host();
    let mut failed = Vec::new();
    for _ in 0..PASSES {
        failed = all.iter().filter_map(|object| object.end(&mut host, namespace).err()).collect();
        if failed.is_empty() {
            break;
        }
    }
    errors.append(&mut failed);
    told(errors)
}

pub(crate) fn told(mut errors: Vec<Error>) -> Result<()> {
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => Err(Error::Several(errors)),
    }
}
