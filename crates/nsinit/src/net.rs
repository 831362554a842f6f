//! net: interfaces, addresses, routes and counters of a container, looked at from outside.

use libcontainer::network::View;
use libcontainer::network::netlink::{Address, Index, Link, LinkFlags, Route};
use serde_json::{Value, json};

use crate::lifecycle::load;
use crate::measure::size;
use crate::output::{say, table};
use crate::root::State;
use crate::{NetArgs, Outcome};

pub(crate) fn net(root: &State, args: &NetArgs) -> Outcome {
    let view = load(root, &args.id)?.network()?;
    if args.format == "json" {
        let links: Vec<_> = view.links.iter().map(|link| describe(&view, link)).collect();
        let routes: Vec<_> = view.routes.iter().map(|route| json!(route_text(&view, route))).collect();
        say!("{}", serde_json::to_string_pretty(&json!({"interfaces": links, "routes": routes}))?);
        return Ok(0);
    }
    let header = ["INTERFACE", "STATE", "MAC", "MTU", "ADDRESSES", "RECEIVED", "SENT"];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    lines.extend(view.links.iter().map(|link| row(&view, link)));
    table(&lines);
    for route in &view.routes {
        say!("{}", route_text(&view, route));
    }
    Ok(0)
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
        size(link.stats.rx_bytes),
        size(link.stats.tx_bytes),
    ]
}

fn describe(view: &View, link: &Link) -> Value {
    let found: Vec<_> = addresses(view, link.index).map(|address| address.address.to_string()).collect();
    let stats = &link.stats;
    json!({
        "name": link.name.to_string(),
        "state": state(link),
        "mac": link.mac.map(|mac| mac.to_string()),
        "mtu": link.mtu,
        "addresses": found,
        "rx_bytes": stats.rx_bytes, "rx_packets": stats.rx_packets,
        "rx_errors": stats.rx_errors, "rx_dropped": stats.rx_dropped,
        "tx_bytes": stats.tx_bytes, "tx_packets": stats.tx_packets,
        "tx_errors": stats.tx_errors, "tx_dropped": stats.tx_dropped,
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
