//! A thousand links and ten thousand routes, listed.
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use libcontainer_netlink::{
    Address, Batch, Family, Index, LinkChange, Netlink, NewLink, Result, Route, RouteFilter, Table, Verb,
};
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::LinkExtentMask;

use crate::failure::Failure;
use crate::other::Rtnetlink;

const PAIRS: u32 = 500;
const ROUTES: u16 = 10_000;

/// A way to list, which says how many there were.
type List<'a> = (&'static str, Box<dyn FnMut() -> std::result::Result<usize, Failure> + 'a>);

pub(crate) fn run(rounds: usize) -> std::result::Result<(), Failure> {
    let mut netlink = Netlink::open()?;
    fill(&mut netlink)?;
    let others = Rtnetlink::new()?;
    let (mut two, mut three, mut four) = (Netlink::open()?, Netlink::open()?, Netlink::open()?);
    let mut links: Vec<List<'_>> = vec![
        ("ours, in place", Box::new(move || links_in_place(&mut netlink))),
        ("ours, owned", Box::new(move || Ok(two.links()?.len()))),
        ("rtnetlink", Box::new(|| other_links(&others, false))),
        ("rtnetlink, no counters", Box::new(|| other_links(&others, true))),
    ];
    table("links", &mut links, rounds)?;
    let mut routes: Vec<List<'_>> = vec![
        ("ours, in place", Box::new(move || routes_in_place(&mut three))),
        ("ours, owned", Box::new(move || Ok(four.routes(&filter())?.len()))),
        ("rtnetlink", Box::new(|| other_routes(&others))),
    ];
    table("IPv4 routes", &mut routes, rounds)
}

/// The kernel has no faster way than pairs to get a thousand links.
fn fill(netlink: &mut Netlink) -> Result<()> {
    let mut batch = Batch::new();
    for number in 0..PAIRS {
        let pair = NewLink::veth(format!("x{number}").parse()?, format!("y{number}").parse()?);
        batch.push(Verb::Add, &pair)?;
    }
    netlink.run(&mut batch)?.into_iter().collect::<Result<()>>()?;
    let link = netlink.index("x0")?;
    netlink.set(&LinkChange::new(link).up())?;
    netlink.add(&Address::new(link, "192.0.2.1/24".parse()?))?;
    batch.clear();
    for number in 0..ROUTES {
        batch.push(Verb::Add, &route(number, link)?)?;
    }
    netlink.run(&mut batch)?.into_iter().collect()
}

fn route(number: u16, link: Index) -> Result<Route> {
    let [high, low] = number.to_be_bytes();
    let to = libcontainer_netlink::Cidr::new(Ipv4Addr::new(10, high, low, 0).into(), 24)?;
    Ok(Route::to(to).via(Ipv4Addr::new(192, 0, 2, 2).into()).link(link))
}

/// As `rtnetlink` lists: all tables of the family.
fn filter() -> RouteFilter {
    RouteFilter { family: Some(Family::V4), ..RouteFilter::default() }
}

fn links_in_place(netlink: &mut Netlink) -> std::result::Result<usize, Failure> {
    let count = std::cell::Cell::new(0);
    netlink.links_with(
        || count.set(0),
        |link| count.set(count.get() + usize::from(link.mtu > 0 && link.name.as_bytes() != b"")),
    )?;
    Ok(count.get())
}

fn routes_in_place(netlink: &mut Netlink) -> std::result::Result<usize, Failure> {
    let count = std::cell::Cell::new(0);
    netlink.routes_with(
        &filter(),
        |_| count.set(0),
        |route| count.set(count.get() + usize::from(route.table != Table(0) && route.family == Family::V4)),
    )?;
    Ok(count.get())
}

fn other_links(other: &Rtnetlink, skip: bool) -> std::result::Result<usize, Failure> {
    other.runtime.block_on(async {
        let mut get = other.handle.link().get();
        if skip {
            get = get.set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats]);
        }
        Ok(get.execute().try_collect::<Vec<_>>().await?.len())
    })
}

fn other_routes(other: &Rtnetlink) -> std::result::Result<usize, Failure> {
    other.runtime.block_on(async {
        let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
        Ok(other.handle.route().get(all).execute().try_collect::<Vec<_>>().await?.len())
    })
}

fn table(what: &str, lists: &mut [List<'_>], rounds: usize) -> std::result::Result<(), Failure> {
    let mut times = vec![Vec::new(); lists.len()];
    let mut count = 0;
    for _ in 0..rounds {
        for ((_, list), times) in lists.iter_mut().zip(&mut times) {
            let start = Instant::now();
            count = list()?;
            times.push(start.elapsed());
        }
    }
    println!("\n{rounds} lists of {count} {what:<16} median    p10    p90  µs   of the first");
    let mut first = None;
    for ((name, _), times) in lists.iter().zip(&mut times) {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros);
        let base = *first.get_or_insert(at(50).max(1));
        let ratio = at(50) as f64 / base as f64;
        println!("{name:<36} {:>9} {:>6} {:>6}   {ratio:>9.2}", at(50), at(10), at(90));
    }
    Ok(())
}
