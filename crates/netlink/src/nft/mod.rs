//! nf_tables: tables, chains and rules of the kernel's packet filter, in transactions that happen as a whole or not at all.
//!
//! Only what address translation for containers needs; `nft` lists and deletes what is made here like what it made itself.
//! linux/netfilter/nf_tables.h and linux/netfilter/nfnetlink.h give the numbers, nft(8) the meaning.
//!
//! ```no_run
//! use libcontainer_netlink::nft::{Chain, Expression, Hook, Nft, Rule, Table, Transaction};
//!
//! let mut nft = Nft::open()?;
//! let table = Table::inet("example");
//! let leaving = Chain::nat("leaving", Hook::PostRouting);
//! let mut all = Transaction::new();
//! all.add_table(&table)?;
//! all.add_chain(&table, &leaving)?;
//! all.add_rule(&table, &Rule::new("leaving", vec![Expression::Masquerade]).comment("everything"))?;
//! nft.commit(&all)?;
//! # Ok::<(), libcontainer_netlink::Error>(())
//! ```
mod expression;
mod listing;
mod socket;
#[cfg(test)]
mod tests;
mod transaction;

use std::fmt;

pub use expression::{Comparison, ConnectionKey, Expression, Header, MetaKey, Register, Verdict};
pub use listing::{ListedChain, ListedRule, ListedTable};
pub use socket::Nft;
pub use transaction::Transaction;

use crate::attribute::Writer;
use crate::{Error, Result};

/// `NFNL_SUBSYS_NFTABLES`, the upper byte of every message type.
const SUBSYSTEM: u8 = 10;
/// Bytes of `struct nfgenmsg`.
const FIXED: usize = 4;
/// `NFT_USERDATA_MAXLEN`, less type, length and NUL of a comment; nft(8) takes 128.
const LONGEST_COMMENT: usize = 128;
/// `NFTA_TABLE_USERDATA`: where nft(8) keeps a table's comment.
const NFTA_TABLE_USERDATA: u16 = 6;
/// `NFT_NAME_MAXLEN`, with its NUL.
const LONGEST_NAME: usize = 256;

/// Families of tables (`NFPROTO_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableFamily {
    /// IPv4 and IPv6 together.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Any other, by its number.
    Other(u8),
}

impl TableFamily {
    const fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Ip6 => 10,
            Self::Other(number) => number,
        }
    }

    const fn of(number: u8) -> Self {
        match number {
            1 => Self::Inet,
            2 => Self::Ip,
            10 => Self::Ip6,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for TableFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet => f.write_str("inet"),
            Self::Ip => f.write_str("ip"),
            Self::Ip6 => f.write_str("ip6"),
            Self::Other(number) => write!(f, "family {number}"),
        }
    }
}

/// A table: the name space of chains and rules, and what goes with one message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Table {
    /// Its family.
    pub family: TableFamily,
    /// Its name, 1 to 255 bytes.
    pub name: String,
}

impl Table {
    /// A table for both families.
    #[must_use]
    pub fn inet(name: impl Into<String>) -> Self {
        Self { family: TableFamily::Inet, name: name.into() }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {} {}", self.family, self.name)
    }
}

/// Where a base chain is called (`NF_INET_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Packets that came in, before they are routed.
    PreRouting,
    /// Packets for this host.
    Input,
    /// Packets that are passed on.
    Forward,
    /// Packets of this host's processes.
    Output,
    /// Packets that go out, after they were routed.
    PostRouting,
}

/// What a base chain is for (`NFTA_CHAIN_TYPE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainKind {
    /// Accepting and dropping.
    Filter,
    /// Address translation; sees the first packet of each connection.
    Nat,
    /// Marks that change the route.
    Route,
}

/// What makes a chain a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// Its type.
    pub kind: ChainKind,
    /// Its hook.
    pub hook: Hook,
    /// Its place among the chains of the hook, low ones first.
    pub priority: i32,
    /// Whether a packet goes on that no rule decided about.
    pub accept: bool,
}

/// A chain of rules; a base chain if the kernel calls it, else one that rules jump to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name, 1 to 255 bytes.
    pub name: String,
    /// What makes it a base chain.
    pub base: Option<Base>,
}

impl Chain {
    /// A chain to jump to.
    #[must_use]
    pub fn plain(name: impl Into<String>) -> Self {
        Self { name: name.into(), base: None }
    }

    /// A base chain for address translation, at the usual priority: -100 for destinations, 100 for sources.
    #[must_use]
    pub fn nat(name: impl Into<String>, hook: Hook) -> Self {
        let priority = if matches!(hook, Hook::PostRouting | Hook::Input) { 100 } else { -100 };
        let base = Base { kind: ChainKind::Nat, hook, priority, accept: true };
        Self { name: name.into(), base: Some(base) }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain {}", self.name)
    }
}

/// A rule: expressions that are evaluated in order until one does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The chain that it goes behind the rules of.
    pub chain: String,
    /// What it looks at and does.
    pub expressions: Vec<Expression>,
    /// Shown by `nft list`; at most 128 bytes.
    pub comment: Option<String>,
}

impl Rule {
    /// A rule without a comment.
    #[must_use]
    pub fn new(chain: impl Into<String>, expressions: Vec<Expression>) -> Self {
        Self { chain: chain.into(), expressions, comment: None }
    }

    /// The same with a comment.
    #[must_use]
    pub fn comment(self, text: impl Into<String>) -> Self {
        Self { comment: Some(text.into()), ..self }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule in chain {}", self.chain)?;
        self.comment.as_ref().map_or(Ok(()), |comment| write!(f, " ({comment})"))
    }
}

/// Writes a name, which must not be empty, too long or cut short by a NUL.
fn write_name(writer: &mut Writer<'_>, kind: u16, field: &'static str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() >= LONGEST_NAME || name.contains('\0') {
        return Err(Error::invalid(field, format!("{name:?}: must be 1 to 255 bytes without NUL")));
    }
    writer.text(kind, name.as_bytes())
}

/// A message type of nf_tables.
const fn kind(message: u8) -> u16 {
    u16::from_be_bytes([SUBSYSTEM, message])
}

/// `struct nfgenmsg`.
const fn fixed(family: TableFamily) -> [u8; FIXED] {
    [family.number(), 0, 0, 0]
}
