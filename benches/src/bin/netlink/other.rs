//! The crate `rtnetlink`, with tokio on one thread.
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use tokio::runtime::Runtime;

use crate::failure::Failure;
use crate::step::{
    COUNT, Lane, MTU, Step, behind4, behind6, first_name, host4, host6, peer_name, second_name,
};

pub(crate) struct Rtnetlink {
    pub(crate) runtime: Runtime,
    pub(crate) handle: Handle,
    links: Vec<u32>,
}

impl Rtnetlink {
    pub(crate) fn new() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let guard = runtime.enter();
        let (connection, handle, _) = rtnetlink::new_connection()?;
        runtime.spawn(connection);
        drop(guard);
        Ok(Self { runtime, handle, links: Vec::new() })
    }
}

impl Lane for Rtnetlink {
    fn run(&mut self, step: Step) -> Result<Option<Duration>, Failure> {
        let start = Instant::now();
        let (handle, links) = (&self.handle, &mut self.links);
        self.runtime.block_on(async {
            if step == Step::Find {
                *links = find(handle).await?;
                return Ok(());
            }
            for number in 0..COUNT {
                let link = links.get(usize::from(number)).copied().unwrap_or_default();
                request(handle, step, number, link).await?;
            }
            Ok::<(), Failure>(())
        })?;
        Ok(Some(start.elapsed()))
    }
}

async fn find(handle: &Handle) -> Result<Vec<u32>, Failure> {
    let mut links = Vec::new();
    for number in 0..COUNT {
        let mut found = Box::pin(handle.link().get().match_name(first_name(number)).execute());
        links.extend(found.try_next().await?.map(|link| link.header.index));
    }
    Ok(links)
}

async fn request(handle: &Handle, step: Step, number: u8, link: u32) -> Result<(), Failure> {
    let change = || LinkUnspec::new_with_index(link);
    match step {
        Step::Find => {}
        Step::Add => {
            let pair = LinkVeth::new(&first_name(number), &peer_name(number));
            handle.link().add(pair.build()).execute().await?;
        }
        Step::Mtu => set(handle, change().mtu(MTU)).await?,
        Step::Rename => set(handle, change().name(second_name(number))).await?,
        Step::Up => set(handle, change().up()).await?,
        Step::Address4 => handle.address().add(link, host4(number, 1).into(), 24).execute().await?,
        Step::Address6 => {
            let mut add = handle.address().add(link, host6(number, 1).into(), 64);
            add.message_mut().header.flags |= AddressHeaderFlags::Nodad;
            add.execute().await?;
        }
        Step::Route4 => handle.route().add(route4(number)).execute().await?,
        Step::Route6 => {
            let route = RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(behind6(number), 64);
            handle.route().add(route.gateway(host6(number, 2)).build()).execute().await?;
        }
        Step::RouteDelete => handle.route().del(route4(number)).execute().await?,
        Step::Delete => handle.link().del(link).execute().await?,
    }
    Ok(())
}

async fn set(handle: &Handle, change: LinkMessageBuilder<LinkUnspec>) -> Result<(), rtnetlink::Error> {
    handle.link().change(change.build()).execute().await
}

fn route4(number: u8) -> RouteMessage {
    let route = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(behind4(number), 24);
    route.gateway(host4(number, 2)).build()
}
