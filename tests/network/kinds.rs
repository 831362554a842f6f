//! Links of each kind that says where it leads: the host's own come home under their names, and what was made inside a container does not get one.

use std::fs::File;
use std::os::fd::AsFd;

use libcontainer::network::netlink::{
    AltNames, Index, Ipvlan, Link, LinkChange, LinkKind, MacvlanMode, Netlink, NewLink, Vlan, VlanProtocol,
    Vxlan,
};
use libcontainer::{Container, Factory};
use libcontainer_tests::{Place, skip};

use super::device::{device, network};
use super::homecoming::destroyed;
use super::host::{name, networked, on_a_host, rootfs};

/// A link of that kind, on the link `on`.
fn new(kind: &str, called: &str, on: Index) -> NewLink<'static> {
    let vxlan = |link| LinkKind::Vxlan(Box::new(Vxlan { id: 7, port: Some(4789), link, ..Vxlan::default() }));
    let kind = match kind {
        "macvlan" => LinkKind::Macvlan(MacvlanMode::Bridge),
        "macvtap" => LinkKind::Macvtap(MacvlanMode::Bridge),
        "ipvlan" => LinkKind::Ipvlan(Ipvlan::default()),
        "vlan" => LinkKind::Vlan(Vlan { id: 7, protocol: VlanProtocol::Customer }),
        "vxlan" => return NewLink::new(name(called), vxlan(Some(on))),
        "vxlan-alone" => return NewLink::new(name(called), vxlan(None)),
        _ => return NewLink::veth(name(called), name("other0")),
    };
    NewLink::new(name(called), kind).parent(on)
}

/// Each kind that the kernel has, on a host of its own with a link to stand on.
fn each(test: &str, work: impl Fn(&Place, &str, Index) + Sync) {
    for kind in ["veth", "macvlan", "macvtap", "ipvlan", "vlan", "vxlan", "vxlan-alone"] {
        on_a_host(&format!("{test}-{kind}"), |place| {
            let mut host = Netlink::open().unwrap();
            let base = below(&mut host);
            match host.add(&new(kind, "probe0", base)) {
                Err(error) => skip(test, &format!("{kind}: {error}")),
                Ok(_) => {
                    let index = host.index("probe0").unwrap();
                    host.delete(&index).unwrap();
                    work(place, kind, base);
                }
            }
        });
    }
}

/// A link to stand on.
fn below(netlink: &mut Netlink) -> Index {
    netlink.add(&NewLink::veth(name("below0"), name("below1"))).unwrap();
    netlink.index("below0").unwrap()
}

fn inside_of(container: &Container) -> (File, Netlink) {
    let pid = container.init_pid().unwrap().unwrap();
    let namespace = File::open(format!("/proc/{pid}/ns/net")).unwrap();
    let netlink = Netlink::in_namespace(namespace.as_fd()).unwrap();
    (namespace, netlink)
}

/// The namespace lives on, as where it is shared.
#[test]
fn the_hosts_own_get_their_names_back() {
    each("kinds-own", |place, kind, base| {
        Netlink::open().unwrap().add(&new(kind, "dev0", base)).unwrap();
        let config = networked(&rootfs(place), vec![network("net0")]);
        let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
        assert!(Netlink::open().unwrap().link("dev0").is_err(), "{kind}");
        let _inside = inside_of(&container);
        assert_eq!(destroyed(place), "", "{kind}");
        assert!(Netlink::open().unwrap().link("dev0").unwrap().alias.is_none(), "{kind}");
    });
}

/// What a program inside makes in the place of a device, with its label: a way to the host's network under a name that the host trusts.
#[test]
fn a_link_that_was_made_inside_does_not_get_a_devices_name() {
    each("kinds-forged", |place, kind, _| {
        device();
        let config = networked(&rootfs(place), vec![network("net0")]);
        let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
        let (_namespace, mut inside) = inside_of(&container);
        let device = inside.link("net0").unwrap();
        inside.delete(&device.index).unwrap();
        let base = below(&mut inside);
        inside.add(&new(kind, "net0", base)).unwrap();
        let index = inside.index("net0").unwrap();
        inside.set(&LinkChange::new(index).alias(device.alias.unwrap()).up()).unwrap();
        inside.add(&AltNames::new(index, &[std::ffi::OsStr::new("trusted0")])).unwrap();
        let told = destroyed(place);
        let link = came(kind);
        let wanted =
            format!("device dev0 is back on the host as {}: the container could have made", link.name);
        assert!(told.contains(&wanted), "{kind}: {told}");
    });
}

/// The link that came from inside.
fn came(kind: &str) -> Link {
    let mut host = Netlink::open().unwrap();
    assert!(host.link("trusted0").is_err(), "{kind}");
    let known = ["lo", "below0", "below1"].map(name);
    let mut found: Vec<_> =
        host.links().unwrap().into_iter().filter(|link| !known.contains(&link.name)).collect();
    let link = found.pop().unwrap();
    assert!(found.is_empty(), "{kind}: {found:?}");
    assert!(link.name != name("dev0") && link.name != name("net0") && !link.is_up(), "{kind}: {link:?}");
    link
}
