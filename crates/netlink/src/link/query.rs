//! Listing and finding links.
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use libc::{IFLA_EXT_MASK, IFLA_IFNAME, RTM_GETLINK, RTM_NEWLINK};

use super::alt_names::check_alt;
use super::fields::{TARGET_NETNSID, ifinfomsg};
use super::{Link, LinkChange, LinkView};
use crate::message::{Message, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use crate::{Error, Index, Name, Netlink, Result, Verb};

/// `IFLA_ALT_IFNAME`.
const ALT_IFNAME: u16 = 53;
/// `RTEXT_FILTER_SKIP_STATS`: leaves out the protocols' counters per link, which cost most of the time.
const SKIP_STATS: u32 = 8;

/// How a link is named.
#[derive(Debug, Clone, Copy)]
pub enum LinkRef<'a> {
    /// By index.
    Index(Index),
    /// By name or alternative name.
    Name(&'a OsStr),
}

impl From<Index> for LinkRef<'_> {
    fn from(index: Index) -> Self {
        Self::Index(index)
    }
}

impl<'a> From<&'a Name> for LinkRef<'a> {
    fn from(name: &'a Name) -> Self {
        Self::Name(name.as_os_str())
    }
}

impl<'a> From<&'a OsStr> for LinkRef<'a> {
    fn from(name: &'a OsStr) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a str> for LinkRef<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(OsStr::new(name))
    }
}

impl fmt::Display for LinkRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => write!(f, "link {name:?}"),
        }
    }
}

/// `namespace` is the id of the network namespace to look in, for another than the socket's.
fn write_get(message: &mut Message, link: LinkRef<'_>, namespace: Option<i32>) -> Result<()> {
    let index = if let LinkRef::Index(index) = link { index } else { Index::default() };
    let fixed = ifinfomsg(0, index, 0, 0);
    let mut writer = message.start(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, &fixed);
    writer.u32(IFLA_EXT_MASK, SKIP_STATS)?;
    namespace.map_or(Ok(()), |id| writer.i32(TARGET_NETNSID, id))?;
    match link {
        LinkRef::Index(index) if index.get() == 0 => Err(Error::invalid("link", "index 0")),
        LinkRef::Index(_) => Ok(()),
        LinkRef::Name(name) if name.len() <= 15 => {
            crate::name::check(name.as_bytes(), "link name")?;
            writer.text(IFLA_IFNAME, name.as_bytes())
        }
        LinkRef::Name(name) => {
            check_alt(name.as_bytes())?;
            writer.text(ALT_IFNAME, name.as_bytes())
        }
    }
}

impl Netlink {
    /// Visits every link in place, in the order of the indexes: one dump of `RTM_GETLINK`.
    ///
    /// `begin` is called before each attempt: if the links change while they are listed, the list starts again.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the links change again and again, and what the kernel or the socket say.
    pub fn links_with(
        &mut self,
        mut begin: impl FnMut(),
        mut visit: impl FnMut(&LinkView<'_>),
    ) -> Result<()> {
        let write = |message: &mut Message| {
            let fixed = ifinfomsg(0, Index::default(), 0, 0);
            let mut writer = message.start(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, &fixed);
            writer.u32(IFLA_EXT_MASK, SKIP_STATS)
        };
        self.query(&|| "list links".to_owned(), &write, &mut begin, &mut |frame| {
            if frame.kind == RTM_NEWLINK {
                visit(&LinkView::parse(frame.payload)?);
            }
            Ok(())
        })
    }

    /// All links.
    ///
    /// # Errors
    /// As of [`Netlink::links_with`].
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let links = std::cell::RefCell::new(Vec::new());
        self.links_with(|| links.borrow_mut().clear(), |view| links.borrow_mut().push(view.to_link()))?;
        Ok(links.into_inner())
    }

    /// The link with an index, a name or an alternative name.
    ///
    /// # Errors
    /// [`Error::Kernel`] with `ENODEV` if there is none ([`Error::is_not_found`]).
    pub fn link<'a>(&mut self, link: impl Into<LinkRef<'a>>) -> Result<Link> {
        self.link_with(link, |view| view.to_link())
    }

    /// The same, in place.
    ///
    /// # Errors
    /// As of [`Netlink::link`].
    pub fn link_with<'a, T>(
        &mut self,
        link: impl Into<LinkRef<'a>>,
        visit: impl Fn(&LinkView<'_>) -> T,
    ) -> Result<T> {
        self.find(link.into(), None, &visit)
    }

    /// The link in another network namespace, which has this id in the socket's ([`Netlink::namespace_ids`]). Nobody enters it.
    ///
    /// # Errors
    /// As of [`Netlink::link`]; also [`Error::Kernel`] with `EINVAL` if no namespace has the id.
    pub fn link_in<'a>(&mut self, namespace: i32, link: impl Into<LinkRef<'a>>) -> Result<Link> {
        self.find(link.into(), Some(namespace), &|view| view.to_link())
    }

    fn find<T>(
        &mut self,
        link: LinkRef<'_>,
        namespace: Option<i32>,
        visit: &dyn Fn(&LinkView<'_>) -> T,
    ) -> Result<T> {
        let name = || match namespace {
            Some(id) => format!("get {link} in namespace {id}"),
            None => format!("get {link}"),
        };
        let mut found = None;
        self.query(&name, &|message| write_get(message, link, namespace), &mut || {}, &mut |frame| {
            if frame.kind == RTM_NEWLINK {
                found = Some(visit(&LinkView::parse(frame.payload)?));
            }
            Ok(())
        })?;
        found.ok_or_else(|| Error::NotFound { request: name() })
    }

    /// The index of the link with a name.
    ///
    /// # Errors
    /// As of [`Netlink::link`].
    pub fn index<'a>(&mut self, link: impl Into<LinkRef<'a>>) -> Result<Index> {
        self.link_with(link, |view| view.index)
    }

    /// Changes a link: one `RTM_NEWLINK`.
    ///
    /// # Errors
    /// As of [`Netlink::add`].
    pub fn set(&mut self, change: &LinkChange<'_>) -> Result<()> {
        self.request(Verb::Set, change)
    }
}
