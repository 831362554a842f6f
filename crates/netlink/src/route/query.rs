//! Listing routes.
use libc::{RTA_OIF, RTA_TABLE, RTM_GETROUTE, RTM_NEWROUTE};

use super::codec::HEADER;
use super::{Route, RouteKind, RouteProtocol, RouteView, Table};
use crate::message::{Message, NLM_F_DUMP, NLM_F_REQUEST};
use crate::{Family, Index, Netlink, Result};

/// Which routes to list. The kernel filters; what it can't, the crate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteFilter {
    /// Of this family only.
    pub family: Option<Family>,
    /// In this table only.
    pub table: Option<Table>,
    /// By this link only (not those with several next hops).
    pub link: Option<Index>,
    /// Made by this protocol only.
    pub protocol: Option<RouteProtocol>,
    /// Of this kind only.
    pub kind: Option<RouteKind>,
}

impl RouteFilter {
    fn write(&self, family: Family, message: &mut Message) -> Result<()> {
        let mut fixed = [0; HEADER];
        let [f, _, _, _, _, protocol, _, kind, ..] = &mut fixed;
        *f = family.number();
        *protocol = self.protocol.map_or(0, |protocol| protocol.0);
        *kind = self.kind.map_or(0, RouteKind::number);
        let mut writer = message.start(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, &fixed);
        self.table.map_or(Ok(()), |table| writer.u32(RTA_TABLE, table.0))?;
        self.link.map_or(Ok(()), |link| writer.u32(RTA_OIF, link.get()))
    }

    fn matches(&self, route: &RouteView<'_>) -> bool {
        self.table.is_none_or(|table| route.table == table)
            && self.link.is_none_or(|link| route.link == Some(link))
            && self.protocol.is_none_or(|protocol| route.protocol == protocol)
            && self.kind.is_none_or(|kind| route.kind == kind)
    }
}

impl Netlink {
    /// Visits the routes that pass a filter in place: one dump of `RTM_GETROUTE` per family, IPv4 first.
    ///
    /// `begin` is called before each attempt of a family: if the routes change while they are listed, that
    /// family's list starts again.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] if they change again and again, and what the kernel or the socket say.
    pub fn routes_with(
        &mut self,
        filter: &RouteFilter,
        mut begin: impl FnMut(Family),
        mut visit: impl FnMut(&RouteView<'_>),
    ) -> Result<()> {
        for family in [Family::V4, Family::V6] {
            if filter.family.is_some_and(|wanted| wanted != family) {
                continue;
            }
            let name = || format!("list {family} routes");
            let result = self.query(
                &name,
                &|message| filter.write(family, message),
                &mut || begin(family),
                &mut |frame| {
                    if frame.kind == RTM_NEWROUTE {
                        let route = RouteView::parse(frame.payload)?;
                        route.as_ref().filter(|route| filter.matches(route)).into_iter().for_each(&mut visit);
                    }
                    Ok(())
                },
            );
            // A table that holds no route yet does not exist: an empty list.
            match result {
                Err(error) if error.is_refusal(libc::ENOENT) && filter.table.is_some() => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// The routes that pass a filter.
    ///
    /// # Errors
    /// As of [`Netlink::routes_with`].
    pub fn routes(&mut self, filter: &RouteFilter) -> Result<Vec<Route>> {
        let routes = std::cell::RefCell::new(Vec::new());
        let begin = |family| routes.borrow_mut().retain(|route: &Route| route.family != family);
        self.routes_with(filter, begin, |view| routes.borrow_mut().push(view.to_route()))?;
        Ok(routes.into_inner())
    }
}
