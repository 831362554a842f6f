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
mod objects;
mod socket;
#[cfg(test)]
mod tests;
mod transaction;
mod wire;

pub use expression::{Comparison, ConnectionKey, Expression, Header, MetaKey, Register, Verdict};
pub use listing::{ListedChain, ListedRule, ListedTable};
pub use objects::{Base, Chain, ChainKind, Hook, Rule, Table, TableFamily};
pub use socket::Nft;
pub use transaction::Transaction;
