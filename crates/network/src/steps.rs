//! The host steps by which a plan becomes links, addresses and routes. Each one's undo is known before the step does anything, and works
//! from what was to be made: so it does not matter whether the kernel did it and the answer was lost.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libcontainer_netlink::{Name, Netlink};
use libcontainer_plan::{HostContext, HostStep};

use crate::bridge::{self, LastPort, OwnBridge};
use crate::device::{Device, Kept};
use crate::error::{Error, Named, Result};
use crate::hold;
use crate::home::Notes;
use crate::link::{self, Container};
use crate::mark::Mark;
use crate::nat::Nat;
use crate::object::{self, Object};
use crate::plan::{Interface, Kind, Plan};
use crate::side::{self, Side};
use crate::{pasta, rules};

/// Sockets of both sides, opened by the first step that needs them.
#[derive(Debug, Default)]
struct Sides {
    host: Option<Netlink>,
    container: Option<Container>,
    /// What devices of the host's had there, by their names inside: from just before they are moved.
    kept: Vec<(Name, Kept)>,
    mark: Mark,
    /// The container's directory.
    dir: Option<PathBuf>,
    notes: Notes,
    /// Whether the namespace is not the container's own.
    joined: bool,
    /// What the host calls it, if it is.
    namespace_id: i32,
}

type Shared = Arc<Mutex<Sides>>;

impl Sides {
    /// Both, opened if they are not.
    fn both(&mut self, context: &HostContext) -> Result<(&mut Netlink, &mut Container)> {
        let Self { host, container, namespace_id, .. } = self;
        let host = opened(host)?;
        if container.is_none() {
            let found = enter(context)?;
            // ORDER: before the first link: none is left to a namespace of which the kernel can't be asked.
            link::call(host, &found, *namespace_id)?;
            *container = Some(found);
        }
        let gone = || Error::wrong("network of the container", "has been closed");
        Ok((host, container.as_mut().ok_or_else(gone)?))
    }

    /// Has the namespace outlive all who are in it, as a device could not be brought out.
    fn keep(&self, error: Error) -> Error {
        // A namespace that was joined stays by itself.
        let (Some(container), Some(dir), false) = (&self.container, &self.dir, self.joined) else {
            return error;
        };
        hold::keep(error, &container.namespace, dir)
    }

    fn kept(&self, name: Name) -> Option<Kept> {
        self.kept.iter().find(|(known, _)| *known == name).map(|(_, kept)| kept.clone())
    }
}

fn opened(host: &mut Option<Netlink>) -> Result<&mut Netlink> {
    match host {
        Some(host) => Ok(host),
        empty => Ok(empty.insert(Netlink::open().named(|| "network of the host".to_owned())?)),
    }
}

/// Opens the network namespace of the init. It must not be the host's.
fn enter(context: &HostContext) -> Result<Container> {
    let failed = |source| Error::Io { what: "network namespace of the init".to_owned(), source };
    let pid = context.pid().map_err(failed)?;
    let namespace = File::open(format!("/proc/{pid}/ns/net")).map_err(failed)?;
    let inode = |file: &File| file.metadata().map(|data| data.ino()).map_err(failed);
    let own = File::open("/proc/thread-self/ns/net").map_err(failed)?;
    if inode(&namespace)? == inode(&own)? {
        return Err(Error::wrong(
            "network namespace of the init",
            "is the host's: nothing may be changed in it",
        ));
    }
    let netlink = Netlink::in_namespace(namespace.as_fd()).named(|| "network of the container".to_owned())?;
    Ok(Container { namespace, netlink })
}

impl Plan {
    /// The steps, to be run while the container's first process has its network namespace but not yet the program.
    #[must_use]
    pub fn steps(self) -> Vec<HostStep> {
        let (mark, joined) = (self.mark.clone(), self.joins.is_some());
        let sides = Sides {
            mark,
            joined,
            dir: self.dir,
            notes: self.notes,
            namespace_id: self.namespace_id,
            ..Sides::default()
        };
        let shared = Arc::new(Mutex::new(sides));
        let mut steps = Vec::new();
        // ORDER: first of all: a host that does not forward is told so before anything is made.
        steps.extend(self.nat.as_ref().map(forward_step));
        for interface in self.interfaces {
            steps.extend(interface_steps(&shared, interface));
        }
        for route in self.routes {
            let text = format!("add {}", route.text);
            steps.push(step(text, &shared, move |sides, context| {
                link::add_route(&mut sides.both(context)?.1.netlink, &route)
            }));
        }
        // ORDER: behind the links: nothing is led to a container that can't be reached yet.
        steps.extend(self.nat.map(|nat| nat_step(nat, self.mark)));
        steps
    }
}

fn interface_steps(shared: &Shared, interface: Interface) -> Vec<HostStep> {
    let mut steps = Vec::new();
    match interface.kind.clone() {
        Kind::Pasta { pid_file } => return vec![pasta_step(interface.name, interface.mtu, pid_file)],
        Kind::Veth { host, bridge, create } => {
            steps.extend(create.as_ref().map(|own| bridge_step(shared, bridge, own.clone())));
            steps.push(veth_step(shared, &interface, host, bridge, create));
        }
        Kind::Macvlan { parent, made_as, .. } => {
            steps.push(inside_step(shared, &interface, "macvlan", parent, made_as));
        }
        Kind::Ipvlan { parent, made_as, .. } => {
            steps.push(inside_step(shared, &interface, "ipvlan", parent, made_as));
        }
        Kind::Device { host } => steps.push(device_step(shared, &interface, host)),
    }
    steps.push(configure_step(shared, interface));
    steps
}

fn forward_step(nat: &Nat) -> HostStep {
    let (families, change) = (nat.families(), nat.forward);
    let words = if change { "make the host forward" } else { "check that the host forwards" };
    let names: Vec<_> = families.iter().map(|family| rules::family_name(*family)).collect();
    HostStep::new(format!("{words} {}", names.join(" and ")), "", move |_| {
        families.iter().try_for_each(|family| rules::ensure_forwarding(*family, change))?;
        Ok(None)
    })
}

fn nat_step(nat: Nat, mark: Mark) -> HostStep {
    let text = format!("add {} for {}", nat.table, nat.summary());
    let table = Object::Table(nat.table.name.clone());
    guarded(text, "delete it", table, move |_| rules::make(&nat, &mark))
}

fn pasta_step(name: Name, mtu: Option<u32>, pid_file: PathBuf) -> HostStep {
    let object = Object::Pasta(pid_file.clone());
    guarded(format!("start pasta for {name}"), "stop it", object, move |context| {
        let pid = context.pid().map_err(|source| Error::Io { what: "pasta".to_owned(), source })?;
        pasta::start(pid, &name, mtu, &pid_file)
    })
}

/// A step that makes one object of the host's, which its undo looks for.
fn guarded(
    text: String,
    undo: &str,
    object: Object,
    run: impl FnOnce(&HostContext) -> Result<()> + Send + 'static,
) -> HostStep {
    HostStep::guarded(
        text,
        undo,
        move |context| Ok(run(context)?),
        move || Ok(object.end(&mut Side::host(), None)?),
    )
}

/// A step without undo: what it makes goes with something else.
fn step(
    text: String,
    shared: &Shared,
    run: impl FnOnce(&mut Sides, &HostContext) -> Result<()> + Send + 'static,
) -> HostStep {
    let shared = Arc::clone(shared);
    HostStep::new(text, "", move |context| {
        run(&mut locked(&shared), context)?;
        Ok(None)
    })
}

/// A panic in a step has ended the launch; what it left is looked for all the same.
fn locked(shared: &Shared) -> MutexGuard<'_, Sides> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bridge_step(shared: &Shared, name: Name, own: OwnBridge) -> HostStep {
    let (shared, object) = (Arc::clone(shared), Object::Bridge(LastPort { name, mac: Some(own.mac) }));
    let text = format!("make bridge {name} if it is missing");
    guarded(text, "remove it if nobody uses it", object, move |_| {
        let mut sides = locked(&shared);
        let mark = sides.mark.clone();
        bridge::provide(opened(&mut sides.host)?, &name, &own, &mark)
    })
}

fn veth_step(
    shared: &Shared,
    interface: &Interface,
    end: Name,
    bridge: Name,
    own: Option<OwnBridge>,
) -> HostStep {
    let (interface, shared) = (interface.clone(), Arc::clone(shared));
    let hairpin = if interface.published.ports.is_empty() { "" } else { ", hairpin" };
    let text = format!("add veth {end} to bridge {bridge}{hairpin}, peer {} inside", interface.name);
    guarded(text, "delete it", Object::Veth(end), move |context| {
        let mut sides = locked(&shared);
        let mark = sides.mark.clone();
        let (host, container) = sides.both(context)?;
        link::make_veth(host, container, &interface, (&end, &bridge, own.as_ref()), &mark)
    })
}

fn inside_step(shared: &Shared, interface: &Interface, kind: &str, parent: Name, made_as: Name) -> HostStep {
    let (name, interface) = (interface.name, interface.clone());
    let (run, undo) = (Arc::clone(shared), Arc::clone(shared));
    HostStep::guarded(
        format!("add {kind} {name} on {parent}"),
        "delete it",
        move |context| {
            let mut sides = locked(&run);
            let joined = sides.joined;
            let (host, container) = sides.both(context)?;
            Ok(link::make_inside(host, container, &interface, (&parent, &made_as), joined)?)
        },
        move || {
            let sides = locked(&undo);
            // Nobody has entered: nothing was made.
            let Some(container) = &sides.container else { return Ok(()) };
            Ok(end_inside(container, &[made_as, name], &sides.mark)?)
        },
    )
}

/// The init still holds its namespace, so that it can be entered.
fn end_inside(container: &Container, names: &[Name; 2], mark: &Mark) -> Result<()> {
    let [made_as, name] = names;
    let what = || format!("link {name}");
    let mut inside = Side::inside(duplicate(&container.namespace)?);
    let ours = |link: &_| object::is_ours(link, made_as, mark);
    inside.again(what, |netlink| names.iter().try_for_each(|name| side::delete(netlink, name, ours)))
}

fn device_step(shared: &Shared, interface: &Interface, home: Name) -> HostStep {
    let name = interface.name;
    let (run, undo) = (Arc::clone(shared), Arc::clone(shared));
    HostStep::guarded(
        format!("move {home} into the container as {name}"),
        "move it back",
        move |context| Ok(move_in(&mut locked(&run), context, home, name)?),
        move || {
            let sides = locked(&undo);
            Ok(move_back(&sides, home, name).map_err(|error| sides.keep(error))?)
        },
    )
}

fn move_in(sides: &mut Sides, context: &HostContext, home: Name, name: Name) -> Result<()> {
    let device = Device { home, mark: sides.mark.clone() };
    let (host, container) = sides.both(context)?;
    let (index, kept) = device.look(host, &mut container.netlink, &name)?;
    // ORDER: what it has is noted before it can be lost.
    sides.kept.push((name, kept.clone()));
    let (host, container) = sides.both(context)?;
    device.take(host, &container.namespace, index, &name, &kept)
}

fn move_back(sides: &Sides, home: Name, name: Name) -> Result<()> {
    // Without it the move was not even asked for.
    let Some(kept) = sides.kept(name) else { return Ok(()) };
    let device = Device { home, mark: sides.mark.clone() };
    let namespace = sides.container.as_ref().map(|container| &container.namespace);
    if let Some(renamed) = device.give_back(namespace, &kept)? {
        sides.notes.tell(&renamed);
    }
    Ok(())
}

fn duplicate(file: &File) -> Result<File> {
    file.try_clone().map_err(|source| Error::Io { what: "network namespace".to_owned(), source })
}

fn configure_step(shared: &Shared, interface: Interface) -> HostStep {
    let addresses: Vec<_> = interface.addresses.iter().map(ToString::to_string).collect();
    let text = format!("configure {} {}", interface.name, addresses.join(" "));
    step(text.trim_end().to_owned(), shared, move |sides, context| {
        // Only a device of the host's had anything.
        let kept = sides.kept(interface.name).unwrap_or_default();
        let mark = sides.mark.clone();
        link::configure(&mut sides.both(context)?.1.netlink, &interface, &kept, &mark)
    })
}
