//! Addresses as a container's links get them.

use libcontainer_netlink::{Address, AddressFlags, Cidr, Index};

/// An address; one of IPv6 is used at once, since nobody else on a container's link has it.
pub(crate) fn plain(index: Index, cidr: Cidr) -> Address {
    let mut address = Address::new(index, cidr);
    if cidr.address().is_ipv6() {
        address.flags |= AddressFlags::NO_DAD;
    } else {
        address.broadcast = cidr.broadcast();
    }
    address
}
