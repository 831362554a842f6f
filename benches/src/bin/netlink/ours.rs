//! This library, request by request and in batches.
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libcontainer_netlink::{
    Address, AddressFlags, Batch, Cidr, Index, LinkChange, Netlink, NewLink, Result, Route, Verb,
};

use crate::failure::Failure;
use crate::step::{
    COUNT, Lane, MTU, Step, behind4, behind6, first_name, host4, host6, peer_name, second_name,
};

/// One request, one acknowledgement.
pub(crate) struct Ours {
    netlink: Netlink,
    links: Vec<Index>,
}

impl Ours {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { netlink: Netlink::open()?, links: Vec::new() })
    }
}

impl Lane for Ours {
    fn run(&mut self, step: Step) -> std::result::Result<Option<Duration>, Failure> {
        let start = Instant::now();
        if step == Step::Find {
            self.links = find(&mut self.netlink)?;
        } else {
            for number in 0..COUNT {
                let link = self.links.get(usize::from(number)).copied().unwrap_or_default();
                request(&mut Sink::Socket(&mut self.netlink), step, number, link)?;
            }
        }
        Ok(Some(start.elapsed()))
    }
}

/// All requests of a step in one send.
pub(crate) struct Batched {
    netlink: Netlink,
    links: Vec<Index>,
    batch: Batch,
}

impl Batched {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { netlink: Netlink::open()?, links: Vec::new(), batch: Batch::new() })
    }
}

impl Lane for Batched {
    fn run(&mut self, step: Step) -> std::result::Result<Option<Duration>, Failure> {
        if step == Step::Find {
            self.links = find(&mut self.netlink)?;
            return Ok(None);
        }
        let start = Instant::now();
        self.batch.clear();
        for number in 0..COUNT {
            let link = self.links.get(usize::from(number)).copied().unwrap_or_default();
            request(&mut Sink::Batch(&mut self.batch), step, number, link)?;
        }
        self.netlink.run(&mut self.batch)?.into_iter().collect::<Result<()>>()?;
        Ok(Some(start.elapsed()))
    }
}

fn find(netlink: &mut Netlink) -> Result<Vec<Index>> {
    (0..COUNT).map(|number| netlink.index(first_name(number).as_str())).collect()
}

/// Where a request goes.
enum Sink<'a> {
    Socket(&'a mut Netlink),
    Batch(&'a mut Batch),
}

impl Sink<'_> {
    fn put(&mut self, verb: Verb, object: &impl libcontainer_netlink::Object) -> Result<()> {
        match self {
            Self::Socket(netlink) => netlink.request(verb, object),
            Self::Batch(batch) => batch.push(verb, object),
        }
    }
}

fn request(sink: &mut Sink<'_>, step: Step, number: u8, link: Index) -> Result<()> {
    let change = || LinkChange::new(link);
    match step {
        Step::Find => Ok(()),
        Step::Add => {
            sink.put(Verb::Add, &NewLink::veth(first_name(number).parse()?, peer_name(number).parse()?))
        }
        Step::Mtu => sink.put(Verb::Set, &change().mtu(MTU)),
        Step::Rename => sink.put(Verb::Set, &change().name(second_name(number).parse()?)),
        Step::Up => sink.put(Verb::Set, &change().up()),
        Step::Address4 => sink.put(Verb::Add, &Address::new(link, network(host4(number, 1), 24)?)),
        Step::Address6 => {
            let address = Address::new(link, network(host6(number, 1), 64)?);
            sink.put(Verb::Add, &address.flags(AddressFlags::NO_DAD))
        }
        Step::Route4 => sink.put(Verb::Add, &route4(number)?),
        Step::Route6 => {
            let route = Route::to(network(behind6(number), 64)?);
            sink.put(Verb::Add, &route.via(host6(number, 2).into()))
        }
        Step::RouteDelete => sink.put(Verb::Delete, &route4(number)?),
        Step::Delete => sink.put(Verb::Delete, &link),
    }
}

fn network(address: impl Into<IpAddr>, prefix: u8) -> Result<Cidr> {
    Cidr::new(address.into(), prefix)
}

fn route4(number: u8) -> Result<Route> {
    Ok(Route::to(network(behind4(number), 24)?).via(host4(number, 2).into()))
}
