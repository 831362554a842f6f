//! The table of a container in nf_tables: made in one transaction, removed by one message; and whether the host forwards.

use std::net::IpAddr;

use libcontainer_netlink::nft::{
    Chain, Comparison, ConnectionKey, Expression, Header, Hook, MetaKey, Nft, Register, Rule, Table,
    TableFamily, Transaction, Verdict,
};
use libcontainer_netlink::{Cidr, Error as NetlinkError, Family, Name};

use crate::error::{Error, Named, Result};
use crate::mark::Mark;
use crate::nat::{Nat, Outside, PublishedPort};
use crate::side;

const ONE: Register = Register::One;
/// Our tables, among those of others.
const PREFIX: &str = "lc_";
const PORTS: &str = "ports";
const LEAVING: &str = "postrouting";
/// How often others may change rules while we look for a port that is taken.
const ATTEMPTS: usize = 200;

/// Makes the table. A port that another container has is refused.
pub(crate) fn make(nat: &Nat, mark: &Mark) -> Result<()> {
    let what = || format!("{} (NAT)", nat.table);
    let mut nft = Nft::open().named(what)?;
    let transaction = transaction(nat, mark).named(what)?;
    for _ in 0..ATTEMPTS {
        // RACE: another container may take the port between the look and the commit: then the generation differs.
        let done = match nat.ports().next() {
            Some(_) => {
                let generation = nft.generation().named(what)?;
                refuse_taken(&mut nft, nat)?;
                nft.commit_unchanged(&transaction, generation)
            }
            None => nft.commit(&transaction),
        };
        match done {
            Err(error) if Nft::is_stale(&error) => {}
            // It is done as a whole or not at all, and nobody else has the name.
            Err(error) if error.is_uncertain() => {
                if stands(&mut nft, &nat.table).named(what)? {
                    return Ok(());
                }
            }
            result => return result.named(what),
        }
    }
    Err(Error::wrong(what(), "others kept changing rules; try again"))
}

fn stands(nft: &mut Nft, table: &Table) -> std::result::Result<bool, NetlinkError> {
    Ok(nft.tables(Some(table.family))?.iter().any(|found| found.name == table.name))
}

fn refuse_taken(nft: &mut Nft, nat: &Nat) -> Result<()> {
    let rules = nft.rules(Some(TableFamily::Inet)).named(|| "published ports".to_owned())?;
    for rule in rules.iter().filter(|rule| rule.table.starts_with(PREFIX) && rule.chain == PORTS) {
        let Some(taken) = rule.comment.as_deref().and_then(Outside::parse) else { continue };
        if let Some(port) = nat.ports().find(|port| port.outside.clashes(&taken)) {
            let table = &rule.table;
            return Err(Error::wrong(
                format!("port {} of the host", port.outside),
                format!("another container has it as {taken} (table inet {table})"),
            ));
        }
    }
    Ok(())
}

/// Deletes a table by the name in the record; one that isn't there is fine.
pub(crate) fn remove(name: &str) -> Result<()> {
    let table = Table::inet(name);
    let mut attempt = 1;
    loop {
        match Nft::open().and_then(|mut nft| nft.remove_table(&table)) {
            Err(error) if is_unknown_to_kernel(&error) => return Ok(()),
            // A socket of its own each time; whether it was done already is all the same.
            Err(error) if attempt < side::ATTEMPTS && side::passes(&error) => attempt += 1,
            result => return result.map(drop).named(|| format!("{table} (NAT)")),
        }
    }
}

/// Whether the kernel has no nf_tables, and so no table either: it has no such protocol, or nobody answers there for tables.
pub(crate) fn is_unknown_to_kernel(error: &NetlinkError) -> bool {
    matches!(error, NetlinkError::Socket { source, .. } if source.raw_os_error() == Some(libc::EPROTONOSUPPORT))
        || error.is_refusal(libc::EOPNOTSUPP)
}

fn transaction(nat: &Nat, mark: &Mark) -> std::result::Result<Transaction, NetlinkError> {
    let mut all = Transaction::new();
    let table = &nat.table;
    all.add_table_with(table, Some(mark.as_str()))?;
    if nat.ports().next().is_some() {
        all.add_chain(table, &Chain::plain(PORTS))?;
        for rule in loopback() {
            all.add_rule(table, &rule)?;
        }
        for port in nat.ports() {
            all.add_rule(table, &lead_in(port))?;
        }
        for (name, hook) in [("prerouting", Hook::PreRouting), ("output", Hook::Output)] {
            all.add_chain(table, &Chain::nat(name, hook))?;
            all.add_rule(table, &Rule::new(name, to_this_host()))?;
        }
    }
    all.add_chain(table, &Chain::nat(LEAVING, Hook::PostRouting))?;
    for (bridge, addresses, published) in &nat.interfaces {
        for cidr in addresses {
            if published.masquerade {
                all.add_rule(table, &masquerade(bridge, cidr.address()))?;
            }
            if published.ports.iter().any(|port| port.inside.ip() == cidr.address()) {
                all.add_rule(table, &hairpin(*cidr))?;
            }
        }
    }
    Ok(all)
}

/// Goes on if the packet's destination is an address of this host: to the published ports.
fn to_this_host() -> Vec<Expression> {
    vec![
        Expression::DestinationType(ONE),
        Expression::equal(ONE, &Expression::LOCAL.to_ne_bytes()),
        Expression::Verdict(Verdict::Jump(PORTS.to_owned())),
    ]
}

/// Packets to 127.0.0.0/8 and ::1 stay with the host's own servers: with such a source they can't go anywhere else, short of
/// `route_localnet`, which lets the neighbours on the bridge reach those servers.
fn loopback() -> [Rule; 2] {
    let back = || Expression::Verdict(Verdict::Return);
    let v4 = [family(false), bytes(Header::Network, 16, &[127]), vec![back()]];
    let v6 =
        [family(true), bytes(Header::Network, 24, &std::net::Ipv6Addr::LOCALHOST.octets()), vec![back()]];
    [v4, v6].map(|parts| Rule::new(PORTS, parts.concat()))
}

fn lead_in(port: &PublishedPort) -> Rule {
    let (outside, inside) = (port.outside.address, port.inside);
    let v6 = inside.is_ipv6();
    let mut all = family(v6);
    if !outside.ip().is_unspecified() {
        all.extend(bytes(Header::Network, if v6 { 24 } else { 16 }, &octets(outside.ip())));
    }
    all.push(Expression::Meta(MetaKey::Transport, ONE));
    all.push(Expression::equal(ONE, &[port.outside.protocol.number()]));
    all.extend(bytes(Header::Transport, 2, &outside.port().to_be_bytes()));
    all.push(Expression::address(ONE, inside.ip()));
    all.push(Expression::Value(Register::Two, inside.port().to_be_bytes().to_vec()));
    all.push(Expression::Destination { v6, address: ONE, port: Some(Register::Two) });
    Rule::new(PORTS, all).comment(port.outside.to_string())
}

/// What leaves from the container by another way than its bridge.
fn masquerade(bridge: &Name, address: IpAddr) -> Rule {
    let mut all = from(address);
    all.push(Expression::Meta(MetaKey::OutName, ONE));
    all.push(Expression::name(ONE, Comparison::NotEqual, bridge));
    all.push(Expression::Masquerade);
    Rule::new(LEAVING, all)
}

/// What a neighbour sends to the published port: the answer must come back by the host, which changed the destination, not
/// straight to the neighbour.
fn hairpin(inside: Cidr) -> Rule {
    let network = inside.network();
    let v6 = inside.family() == Family::V6;
    let octets_of = octets(network.address());
    let length = if v6 { 16 } else { 4 };
    let mask = mask(network.prefix(), octets_of.len());
    let mut all = family(v6);
    all.push(Expression::Payload {
        header: Header::Network,
        offset: if v6 { 8 } else { 12 },
        length,
        to: ONE,
    });
    all.push(Expression::Mask(ONE, mask));
    all.push(Expression::equal(ONE, &octets_of));
    all.extend(bytes(Header::Network, if v6 { 24 } else { 16 }, &octets(inside.address())));
    all.push(Expression::Connection(ConnectionKey::Status, ONE));
    all.push(Expression::Mask(ONE, ConnectionKey::DESTINATION_CHANGED.to_ne_bytes().to_vec()));
    all.push(Expression::Compare(ONE, Comparison::NotEqual, vec![0; 4]));
    all.push(Expression::Masquerade);
    Rule::new(LEAVING, all)
}

fn family(v6: bool) -> Vec<Expression> {
    vec![Expression::Meta(MetaKey::Family, ONE), Expression::equal(ONE, &[if v6 { 10 } else { 2 }])]
}

fn from(address: IpAddr) -> Vec<Expression> {
    let v6 = address.is_ipv6();
    [family(v6), bytes(Header::Network, if v6 { 8 } else { 12 }, &octets(address))].concat()
}

/// Goes on if the packet has these bytes.
fn bytes(header: Header, offset: u32, value: &[u8]) -> Vec<Expression> {
    // At most 16: an address.
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    vec![Expression::Payload { header, offset, length, to: ONE }, Expression::equal(ONE, value)]
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The mask of a prefix, in network order.
fn mask(prefix: u8, length: usize) -> Vec<u8> {
    // A shift by all eight bits leaves none.
    let bits = |byte: usize| usize::from(prefix).saturating_sub(byte * 8).min(8);
    (0..length)
        .map(|byte| u8::MAX.checked_shl(u32::try_from(8 - bits(byte)).unwrap_or(8)).unwrap_or(0))
        .collect()
}

pub(crate) const fn family_name(family: Family) -> &'static str {
    match family {
        Family::V6 => "IPv6",
        _ => "IPv4",
    }
}

/// Makes sure that packets go from one interface to another. Changes the host only if `change`.
pub(crate) fn ensure_forwarding(family: Family, change: bool) -> Result<()> {
    let (path, key) = match family {
        Family::V6 => ("/proc/sys/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding"),
        _ => ("/proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward"),
    };
    let failed = |source| Error::Io { what: path.to_owned(), source };
    let value = std::fs::read_to_string(path).map_err(failed)?;
    if value.trim() != "0" {
        return Ok(());
    }
    if !change {
        let problem = format!(
            "{key} is 0, so packets of a container go nowhere; set it to 1, or set forward for the network"
        );
        return Err(Error::wrong("forwarding of the host", problem));
    }
    std::fs::write(path, "1").map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn masks() {
        for (prefix, length, wanted) in [
            (0, 4, vec![0, 0, 0, 0]),
            (8, 4, vec![255, 0, 0, 0]),
            (20, 4, vec![255, 255, 240, 0]),
            (31, 4, vec![255, 255, 255, 254]),
            (32, 4, vec![255; 4]),
        ] {
            assert_eq!(mask(prefix, length), wanted, "{prefix}");
        }
        assert_eq!(mask(65, 16)[7..10], [255, 128, 0]);
    }
}
