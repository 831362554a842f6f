//! What is there: tables, chains and rules, as far as deleting and recognizing them needs.
use super::objects::TableFamily;
use super::socket::Nft;
use super::wire::{FIXED, NFTA_TABLE_USERDATA};
use crate::Result;
use crate::attribute::{Attribute, Attributes};
use crate::frame::Frame;

const NFT_MSG_GETTABLE: u8 = 1;
const NFT_MSG_GETCHAIN: u8 = 4;
const NFT_MSG_GETRULE: u8 = 7;

/// A table that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTable {
    /// Its family.
    pub family: TableFamily,
    /// Its name; what is no UTF-8 is replaced.
    pub name: String,
    /// How many chains, sets and other objects it holds.
    pub uses: u32,
    /// Its comment.
    pub comment: Option<String>,
}

/// A chain that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedChain {
    /// Its table's family.
    pub family: TableFamily,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Its number in the table.
    pub handle: u64,
    /// Whether the kernel calls it.
    pub base: bool,
}

/// A rule that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRule {
    /// Its table's family.
    pub family: TableFamily,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// Its number in the table, to delete it by.
    pub handle: u64,
    /// Its comment.
    pub comment: Option<String>,
}

impl Nft {
    /// All tables, of one family or of all.
    ///
    /// # Errors
    /// What the kernel or the socket say.
    pub fn tables(&mut self, family: Option<TableFamily>) -> Result<Vec<ListedTable>> {
        self.list(NFT_MSG_GETTABLE, family, "tables", table)
    }

    /// All chains, of one family or of all.
    ///
    /// # Errors
    /// What the kernel or the socket say.
    pub fn chains(&mut self, family: Option<TableFamily>) -> Result<Vec<ListedChain>> {
        self.list(NFT_MSG_GETCHAIN, family, "chains", chain)
    }

    /// All rules, of one family or of all, in order within each chain.
    ///
    /// # Errors
    /// What the kernel or the socket say.
    pub fn rules(&mut self, family: Option<TableFamily>) -> Result<Vec<ListedRule>> {
        self.list(NFT_MSG_GETRULE, family, "rules", rule)
    }

    fn list<T>(
        &mut self,
        message: u8,
        family: Option<TableFamily>,
        what: &'static str,
        read: fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        let found = std::cell::RefCell::new(Vec::new());
        let begin = &mut || found.borrow_mut().clear();
        let visit = &mut |frame: &Frame<'_>| {
            found.borrow_mut().extend(read(frame.payload));
            Ok(())
        };
        self.dump(message, family.unwrap_or(TableFamily::Other(0)), what, begin, visit)?;
        Ok(found.into_inner())
    }
}

fn start(payload: &[u8]) -> Option<(TableFamily, Attributes<'_>)> {
    Some((TableFamily::of(*payload.first()?), Attributes::after(payload, FIXED)))
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(Attribute { kind: 0, value }.text()).into_owned()
}

fn number(value: &[u8]) -> Option<u64> {
    value.first_chunk().copied().map(u64::from_be_bytes)
}

pub(super) fn table(payload: &[u8]) -> Option<ListedTable> {
    let (family, attributes) = start(payload)?;
    let name = text(attributes.clone().find(1)?);
    let uses = attributes.clone().find(3).and_then(|value| value.first_chunk().copied());
    let comment = attributes.find(NFTA_TABLE_USERDATA).and_then(comment);
    // For show only: a table goes with all that it holds.
    Some(ListedTable { family, name, uses: uses.map_or(0, u32::from_be_bytes), comment })
}

pub(super) fn chain(payload: &[u8]) -> Option<ListedChain> {
    let (family, attributes) = start(payload)?;
    let find = |kind| attributes.clone().find(kind);
    Some(ListedChain {
        family,
        table: text(find(1)?),
        name: text(find(3)?),
        handle: number(find(2)?)?,
        base: find(4).is_some(),
    })
}

pub(super) fn rule(payload: &[u8]) -> Option<ListedRule> {
    let (family, attributes) = start(payload)?;
    let find = |kind| attributes.clone().find(kind);
    Some(ListedRule {
        family,
        table: text(find(1)?),
        chain: text(find(2)?),
        handle: number(find(3)?)?,
        comment: find(7).and_then(comment),
    })
}

/// The comment among the user data: type, length, value, one behind the other.
fn comment(mut data: &[u8]) -> Option<String> {
    while let Some(([kind, length], rest)) = data.split_first_chunk() {
        let length = usize::from(*length);
        if *kind == 0 {
            return rest.get(..length).map(text);
        }
        data = rest.get(length..)?;
    }
    None
}
