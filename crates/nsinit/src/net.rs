//! net: interfaces, addresses, routes and counters of a container, looked at from outside, and what the host does for it.

use libcontainer::network::netlink::{Address, Index, Link, LinkFlags, Route};
use libcontainer::network::{InterfaceState, NetworkState, View};
use libcontainer::{Container, NamespaceKind, Port};
use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};

use crate::arguments::NetArgs;
use crate::failure::{Failure, Named, Outcome};
use crate::lifecycle::load;
use crate::output::{say, table};
use crate::root::State;
use crate::size;
use crate::streams::harmless;

#[inline(never)]
pub(crate) fn net(root: &State, args: &NetArgs) -> Outcome {
    let container = load(root, &args.id)?;
    // ORDER: the look may enter the container's user namespace, from where nothing else is to be read.
    let record = container.network_record()?;
    let view = look(&container)?;
    if args.format == "json" {
        let links: Vec<_> = view.links.iter().map(|link| describe(&view, &record, link)).collect();
        let routes: Vec<_> = view.routes.iter().map(|route| json!(route_text(&view, route))).collect();
        say!("{:#}", json!({"interfaces": links, "routes": routes}))?;
        return Ok(0);
    }
    let header = ["INTERFACE", "STATE", "MAC", "MTU", "ADDRESSES", "RECEIVED", "SENT"];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    lines.extend(view.links.iter().map(|link| row(&view, link)));
    table(&lines)?;
    for route in &view.routes {
        say!("{}", harmless(&route_text(&view, route)))?;
    }
    host_table(&record)?;
    Ok(0)
}

/// An ordinary user owns the user namespace of the container, and may enter the network only through it. A process with one thread can,
/// and this one does nothing afterwards but print.
fn look(container: &Container) -> Result<View, Failure> {
    let through =
        !nix::unistd::geteuid().is_root() && container.config().namespaces.contains(NamespaceKind::User);
    let Some(pid) = container.init_pid()?.filter(|_| through) else { return Ok(container.network()?) };
    let called = |call: &str| format!("network of {:?}: {call}", container.id());
    let namespaces = libcontainer::plan::open_pidfd(pid).named(called("pidfd_open"))?;
    // RACE: the number may have been given to another process before it was opened; the container then knows it no more.
    if container.init_pid()? != Some(pid) {
        return Ok(container.network()?);
    }
    setns(namespaces, CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .named(called("enter its user namespace: setns"))?;
    libcontainer::network::look_here().map_err(|error| Failure::new(called(&error.to_string())))
}

/// What the host has for interfaces whose other end it holds; nothing if there are none.
fn host_table(record: &NetworkState) -> Result<(), Failure> {
    let mut lines =
        vec![["INTERFACE", "HOST", "BRIDGE", "NAT", "FORWARD", "PORTS"].map(str::to_owned).to_vec()];
    let word = |set: bool| if set { "yes" } else { "no" }.to_owned();
    for one in record.interfaces.iter().filter(|one| one.kind == "veth") {
        let ports: Vec<_> = one.ports.iter().map(port_text).collect();
        let ports = if ports.is_empty() { "-".to_owned() } else { ports.join(",") };
        let (name, host, bridge) = (one.name.clone(), one.host_name.clone(), one.bridge.clone());
        lines.push(vec![name, host, bridge, word(one.nat), word(one.forward), ports]);
    }
    if lines.len() == 1 {
        return Ok(());
    }
    say!("")?;
    table(&lines)
}

/// A published port as `docker ps` has it.
fn port_text(port: &Port) -> String {
    let host = match port.host_address.as_str() {
        "" => String::new(),
        address if address.contains(':') => format!("[{address}]:"),
        address => format!("{address}:"),
    };
    format!("{host}{}->{}/{}", port.host_port, port.port, protocol(port))
}

fn protocol(port: &Port) -> &str {
    if port.protocol.is_empty() { "tcp" } else { &port.protocol }
}

fn state(link: &Link) -> &'static str {
    if link.flags.contains(LinkFlags::UP) { "up" } else { "down" }
}

fn addresses(view: &View, index: Index) -> impl Iterator<Item = &Address> {
    view.addresses.iter().filter(move |address| address.link == index)
}

fn row(view: &View, link: &Link) -> Vec<String> {
    let found: Vec<_> = addresses(view, link.index).map(|address| address.address.to_string()).collect();
    vec![
        link.name.to_string(),
        state(link).to_owned(),
        link.mac.map_or_else(|| "-".to_owned(), |mac| mac.to_string()),
        link.mtu.to_string(),
        if found.is_empty() { "-".to_owned() } else { found.join(",") },
        size::show(link.stats.rx_bytes),
        size::show(link.stats.tx_bytes),
    ]
}

fn describe(view: &View, record: &NetworkState, link: &Link) -> Value {
    let found: Vec<_> = addresses(view, link.index).map(|address| address.address.to_string()).collect();
    let stats = &link.stats;
    let mut value = json!({
        "name": link.name.to_string(),
        "state": state(link),
        "mac": link.mac.map(|mac| mac.to_string()),
        "mtu": link.mtu,
        "addresses": found,
        "rx_bytes": stats.rx_bytes, "rx_packets": stats.rx_packets,
        "rx_errors": stats.rx_errors, "rx_dropped": stats.rx_dropped,
        "tx_bytes": stats.tx_bytes, "tx_packets": stats.tx_packets,
        "tx_errors": stats.tx_errors, "tx_dropped": stats.tx_dropped,
    });
    let name = link.name.to_string();
    let recorded = record.interfaces.iter().find(|one| one.name == name && one.kind == "veth");
    if let (Some(one), Some(value)) = (recorded, value.as_object_mut()) {
        value.insert("host".to_owned(), host_side(one));
    }
    value
}

/// The host's end of a veth pair, and what the host does with its packets.
fn host_side(one: &InterfaceState) -> Value {
    let port = |port: &Port| {
        json!({
            "host_address": port.host_address, "host_port": port.host_port,
            "port": port.port, "protocol": protocol(port),
        })
    };
    let ports: Vec<_> = one.ports.iter().map(port).collect();
    json!({
        "name": one.host_name, "bridge": one.bridge,
        "nat": one.nat, "forward": one.forward, "ports": ports,
    })
}

/// A route in the words of `ip route`.
fn route_text(view: &View, route: &Route) -> String {
    let mut text = route.destination.map_or_else(|| "default".to_owned(), |cidr| cidr.to_string());
    let named = |index: Index| {
        let link = view.links.iter().find(|link| link.index == index);
        link.map_or_else(|| index.to_string(), |link| link.name.to_string())
    };
    let parts = [
        ("from", route.source.map(|cidr| cidr.to_string())),
        ("via", route.gateway.map(|gateway| gateway.to_string())),
        ("dev", route.link.map(named)),
        ("metric", route.metric.map(|metric| metric.to_string())),
    ];
    for (word, value) in parts {
        if let Some(value) = value {
            text.push_str(&format!(" {word} {value}"));
        }
    }
    text
}
