//! Prints links and their addresses, as `ip -br address` does.
#![forbid(unsafe_code)]

use std::io::Write;

use libcontainer_netlink::{Netlink, Result};

fn main() -> Result<()> {
    let mut netlink = Netlink::open()?;
    let addresses = netlink.addresses(None)?;
    let mut out = std::io::stdout().lock();
    for link in netlink.links()? {
        let own = addresses.iter().filter(|address| address.link == link.index);
        let own: Vec<_> = own.map(|address| address.address.to_string()).collect();
        let state = format!("{:?}", link.state).to_uppercase();
        // A closed pipe ends the list, and is no error worth a word.
        if writeln!(out, "{:<16} {state:<14} {}", link.name, own.join(" ")).is_err() {
            break;
        }
    }
    Ok(())
}
