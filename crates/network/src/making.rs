//! The host steps by which a plan becomes links, addresses and routes, each with its undo.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use libcontainer_netlink::{Name, Netlink};
use libcontainer_plan::{HostContext, HostStep, Undo};

use crate::device::Kept;
use crate::error::{Error, Named, Result};
use crate::nat::Nat;
use crate::plan::{Interface, Kind, Plan};
use crate::{link, pasta, rules};

/// Sockets of both sides, opened by the first step that needs them.
#[derive(Debug, Default)]
struct Sides {
    host: Option<Netlink>,
    container: Option<Container>,
    /// What devices of the host's had there, by their names inside.
    kept: Vec<(Name, Kept)>,
}

#[derive(Debug)]
struct Container {
    namespace: File,
    netlink: Netlink,
}

type Shared = Arc<Mutex<Sides>>;

impl Sides {
    fn host(&mut self) -> Result<&mut Netlink> {
        match &mut self.host {
            Some(host) => Ok(host),
            empty => Ok(empty.insert(Netlink::open().named(|| "network of the host".to_owned())?)),
        }
    }

    fn container(&mut self, context: &HostContext) -> Result<&mut Container> {
        match &mut self.container {
            Some(container) => Ok(container),
            empty => Ok(empty.insert(Container::enter(context)?)),
        }
    }
}

impl Container {
    /// Opens the network namespace of the init. It must not be the host's.
    fn enter(context: &HostContext) -> Result<Self> {
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
        let netlink =
            Netlink::in_namespace(namespace.as_fd()).named(|| "network of the container".to_owned())?;
        Ok(Self { namespace, netlink })
    }
}

impl Plan {
    /// The steps, to be run while the container's first process has its network namespace but not yet the program.
    #[must_use]
    pub fn steps(self) -> Vec<HostStep> {
        let shared = Shared::default();
        let mut steps = Vec::new();
        // ORDER: first of all: a host that does not forward is told so before anything is made.
        steps.extend(self.nat.as_ref().map(forward_step));
        for interface in self.interfaces {
            if let Kind::Pasta { pid_file } = &interface.kind {
                steps.push(pasta_step(interface.name, interface.mtu, pid_file.clone()));
                continue;
            }
            steps.extend(bridge_step(&shared, &interface));
            steps.push(link_step(&shared, &interface));
            steps.push(configure_step(&shared, interface));
        }
        for route in self.routes {
            let text = format!("add {}", route.text);
            steps.push(step(text, &shared, move |sides, context| {
                link::add_route(&mut sides.container(context)?.netlink, &route)
            }));
        }
        // ORDER: behind the links: nothing is led to a container that can't be reached yet.
        steps.extend(self.nat.map(nat_step));
        steps
    }
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

fn nat_step(nat: Nat) -> HostStep {
    let text = format!("add {} for {}", nat.table, nat.summary());
    HostStep::new(text, "delete it", move |_| {
        rules::make(&nat)?;
        let undo: Undo = Box::new(move || Ok(rules::remove(&nat.table.name)?));
        Ok(Some(undo))
    })
}

/// A step without undo: what it makes goes with something else.
fn step(
    text: String,
    shared: &Shared,
    run: impl FnOnce(&mut Sides, &HostContext) -> Result<()> + Send + 'static,
) -> HostStep {
    let shared = Arc::clone(shared);
    HostStep::new(text, "", move |context| {
        run(&mut shared.lock().unwrap_or_else(PoisonError::into_inner), context)?;
        Ok(None)
    })
}

fn bridge_step(shared: &Shared, interface: &Interface) -> Option<HostStep> {
    let Kind::Veth { bridge, create: Some(addresses), .. } = &interface.kind else { return None };
    let (bridge, addresses, shared) = (*bridge, addresses.clone(), Arc::clone(shared));
    let text = format!("make bridge {bridge} if it is missing");
    Some(HostStep::new(text, "remove it if nobody uses it", move |_| {
        let mut sides = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let made = link::ensure_bridge(sides.host()?, &bridge, &addresses)?;
        let undo: Undo = Box::new(move || {
            let mut host = Netlink::open().named(|| format!("bridge {bridge}"))?;
            Ok(link::remove_unused_bridge(&mut host, &bridge)?)
        });
        Ok(made.then_some(undo))
    }))
}

fn pasta_step(name: Name, mtu: Option<u32>, pid_file: PathBuf) -> HostStep {
    HostStep::new(format!("start pasta for {name}"), "stop it", move |context| {
        let undo = pid_file.clone();
        // What a start that failed in the middle has left goes too.
        pasta::start(context.pid()?, &name, mtu, &pid_file).inspect_err(|_| drop(pasta::stop(&pid_file)))?;
        Ok(Some(Box::new(move || Ok(pasta::stop(&undo)?))))
    })
}

fn link_step(shared: &Shared, interface: &Interface) -> HostStep {
    let name = &interface.name;
    let (text, undo) = match &interface.kind {
        Kind::Veth { host, bridge, .. } => {
            let hairpin = if interface.published.ports.is_empty() { "" } else { ", hairpin" };
            (format!("add veth {host} to bridge {bridge}{hairpin}, peer {name} inside"), "delete it")
        }
        Kind::Macvlan { parent, .. } => (format!("add macvlan {name} on {parent}"), "delete it"),
        Kind::Ipvlan { parent, .. } => (format!("add ipvlan {name} on {parent}"), "delete it"),
        Kind::Pasta { .. } => (format!("start pasta for {name}"), "stop it"),
        Kind::Device { host } => (format!("move {host} into the container as {name}"), "move it back"),
    };
    let (interface, shared) = (interface.clone(), Arc::clone(shared));
    HostStep::new(text, undo, move |context| {
        let mut sides = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let namespace = duplicate(&sides.container(context)?.namespace)?;
        let kept = link::make(sides.host()?, &namespace, &interface)?;
        sides.kept.push((interface.name, kept.clone()));
        let undo: Undo = Box::new(move || Ok(link::unmake(&namespace, &interface, &kept)?));
        Ok(Some(undo))
    })
}

fn duplicate(file: &File) -> Result<File> {
    file.try_clone().map_err(|source: io::Error| Error::Io { what: "network namespace".to_owned(), source })
}

fn configure_step(shared: &Shared, interface: Interface) -> HostStep {
    let addresses: Vec<_> = interface.addresses.iter().map(ToString::to_string).collect();
    let text = format!("configure {} {}", interface.name, addresses.join(" "));
    step(text.trim_end().to_owned(), shared, move |sides, context| {
        let kept = sides.kept.iter().find(|(name, _)| *name == interface.name);
        let kept = kept.map(|(_, kept)| kept.clone()).unwrap_or_default();
        link::configure(&mut sides.container(context)?.netlink, &interface, &kept)
    })
}
