//! What is found again by its mark where the record is lost.

use std::cell::RefCell;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libcontainer_netlink::nft::{Nft, TableFamily};
use libcontainer_netlink::{LinkKind, LinkView, Name};

use crate::bridge::LastPort;
use crate::error::{Named, Result};
use crate::mark::Mark;
use crate::object::{Object, end_all};
use crate::side::{self, Side};
use crate::{pasta, rules};

/// What stands on the host with the mark of one container ([`Plan::belongs_to`](crate::Plan::belongs_to)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The host's ends of its veth pairs.
    pub links: Vec<Name>,
    /// Bridges that were made for it, or for other containers and have a link of it as a port; others may use them by now.
    pub bridges: Vec<Name>,
    /// Its tables of nf_tables, family inet.
    pub tables: Vec<String>,
    /// Pid files of the pastas that serve it.
    pub pastas: Vec<PathBuf>,
}

/// Finds what was made for the container whose directory this is, in the network namespace of the calling thread: one list of links, one
/// of tables, and the arguments of all processes. For who has lost the record: that knows more, such as a link whose mark was not set yet.
///
/// # Errors
/// Whatever hinders one of the looks: an error does not mean that there is nothing.
pub fn find_marked(dir: &Path) -> Result<Found> {
    let mark = Mark::of(dir);
    let (links, bridges) = links(&mark)?;
    Ok(Found { links, bridges, tables: tables(&mark)?, pastas: pasta::running_in(dir)? })
}

/// Veths and bridges.
fn links(mark: &Mark) -> Result<(Vec<Name>, Vec<Name>)> {
    let found = RefCell::new((Vec::new(), Vec::new()));
    let look = |link: &LinkView<'_>| {
        let alias = link.alias().map(OsStrExt::as_bytes);
        if !Mark::is_any(alias) {
            return;
        }
        let (veths, bridges) = &mut *found.borrow_mut();
        match link.kind() {
            Some(LinkKind::Veth(_)) if mark.is(alias) => veths.push((link.name, link.master)),
            Some(LinkKind::Bridge(_)) => bridges.push((link.name, link.index, mark.is(alias))),
            // A link that an administrator has marked like ours, or a device that is on its way home: see its record.
            _ => {}
        }
    };
    let list = |netlink: &mut libcontainer_netlink::Netlink| netlink.links_with(|| drop(found.take()), look);
    Side::host().again(|| "links of the host".to_owned(), list)?;
    let (veths, bridges) = found.into_inner();
    // Who it was made for may be gone, and its record with it.
    let has_port = |index| veths.iter().any(|(_, master)| *master == Some(index));
    let bridges = bridges.into_iter().filter(|(_, index, own)| *own || has_port(*index));
    let bridges = bridges.map(|(name, ..)| name).collect();
    Ok((veths.into_iter().map(|(name, _)| name).collect(), bridges))
}

fn tables(mark: &Mark) -> Result<Vec<String>> {
    let list = || Nft::open().and_then(|mut nft| nft.tables(Some(TableFamily::Inet)));
    let all = match side::twice(list) {
        Err(error) if rules::is_unknown_to_kernel(&error) => Vec::new(),
        all => all.named(|| "tables of nf_tables".to_owned())?,
    };
    let ours = all.into_iter().filter(|table| mark.is(table.comment.as_deref().map(str::as_bytes)));
    Ok(ours.map(|table| table.name).collect())
}

impl Found {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { links, bridges, tables, pastas } = self;
        links.is_empty() && bridges.is_empty() && tables.is_empty() && pastas.is_empty()
    }

    /// Takes it away; bridges only if nobody uses them. May be called again.
    ///
    /// # Errors
    /// Everything that could not be taken away.
    pub fn remove(&self) -> Result<()> {
        let bridge = |name: &Name| Object::Bridge(LastPort { name: *name, mac: None });
        let mut all: Vec<_> = self.tables.iter().cloned().map(Object::Table).collect();
        all.extend(self.pastas.iter().cloned().map(Object::Pasta));
        all.extend(self.links.iter().copied().map(Object::Veth));
        all.extend(self.bridges.iter().map(bridge));
        end_all(&all, None, Vec::new())
    }
}
