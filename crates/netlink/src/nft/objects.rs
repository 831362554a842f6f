//! Tables, chains and rules, as they are to be made.
use std::fmt;

use super::expression::Expression;
use super::wire::FIXED;

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

    /// `struct nfgenmsg`.
    pub(super) const fn header(self) -> [u8; FIXED] {
        [self.number(), 0, 0, 0]
    }

    pub(super) const fn of(number: u8) -> Self {
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
