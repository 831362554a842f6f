//! Requests that the kernel does together or not at all.
use super::objects::{Base, Chain, ChainKind, Rule, Table};
use super::wire::{FIXED, LONGEST_COMMENT, NFTA_TABLE_USERDATA, SUBSYSTEM, kind, write_name};
use crate::attribute::{Attributes, Writer, align, located};
use crate::message::{Message, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use crate::{Error, Result};

const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFNL_BATCH_GENID: u16 = 1;
const NFT_MSG_NEWTABLE: u8 = 0;
const NFT_MSG_DELTABLE: u8 = 2;
const NFT_MSG_NEWCHAIN: u8 = 3;
const NFT_MSG_DELCHAIN: u8 = 5;
const NFT_MSG_NEWRULE: u8 = 6;
const NFT_MSG_DELRULE: u8 = 8;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_HANDLE: u16 = 3;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_RULE_USERDATA: u16 = 7;

/// Requests for [`Nft::commit`](super::Nft::commit), in order. Adding what is there already is an error, as deleting what isn't.
#[derive(Debug, Default)]
pub struct Transaction {
    requests: Vec<Request>,
    message: Message,
}

/// One request as it will be sent, but for sequence and port.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) bytes: Vec<u8>,
    pub(super) name: String,
}

impl Transaction {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it holds no request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// How many requests it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Makes a table.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that can't be; the transaction stays as it was.
    pub fn add_table(&mut self, table: &Table) -> Result<()> {
        self.add_table_with(table, None)
    }

    /// Makes a table with a comment, by which it can be found again.
    ///
    /// # Errors
    /// As of [`Transaction::add_table`]; also for a comment of more than 128 bytes.
    pub fn add_table_with(&mut self, table: &Table, comment: Option<&str>) -> Result<()> {
        self.push(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table, format!("add {table}"), |writer| {
            write_name(writer, NFTA_TABLE_NAME, "table", &table.name)?;
            writer.u32_be(NFTA_TABLE_FLAGS, 0)?;
            comment.map_or(Ok(()), |comment| write_comment(writer, NFTA_TABLE_USERDATA, comment))
        })
    }

    /// Deletes a table with all that is in it.
    ///
    /// # Errors
    /// As of [`Transaction::add_table`].
    pub fn delete_table(&mut self, table: &Table) -> Result<()> {
        self.push(NFT_MSG_DELTABLE, 0, table, format!("delete {table}"), |writer| {
            write_name(writer, NFTA_TABLE_NAME, "table", &table.name)
        })
    }

    /// Makes a chain in a table.
    ///
    /// # Errors
    /// As of [`Transaction::add_table`].
    pub fn add_chain(&mut self, table: &Table, chain: &Chain) -> Result<()> {
        let name = format!("add {chain} to {table}");
        self.push(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, table, name, |writer| {
            write_name(writer, NFTA_CHAIN_TABLE, "table", &table.name)?;
            write_name(writer, NFTA_CHAIN_NAME, "chain", &chain.name)?;
            chain.base.map_or(Ok(()), |base| write_base(writer, base))
        })
    }

    /// Deletes a chain that no rule jumps to, with its rules.
    ///
    /// # Errors
    /// As of [`Transaction::add_table`].
    pub fn delete_chain(&mut self, table: &Table, chain: &str) -> Result<()> {
        let name = format!("delete chain {chain} of {table}");
        self.push(NFT_MSG_DELCHAIN, 0, table, name, |writer| {
            write_name(writer, NFTA_CHAIN_TABLE, "table", &table.name)?;
            write_name(writer, NFTA_CHAIN_NAME, "chain", chain)
        })
    }

    /// Adds a rule behind those of its chain.
    ///
    /// # Errors
    /// As of [`Transaction::add_table`]; also for a comment of more than 128 bytes.
    pub fn add_rule(&mut self, table: &Table, rule: &Rule) -> Result<()> {
        let name = format!("add {rule} to {table}");
        self.push(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, table, name, |writer| {
            write_name(writer, NFTA_RULE_TABLE, "table", &table.name)?;
            write_name(writer, NFTA_RULE_CHAIN, "chain", &rule.chain)?;
            writer.nest_flagged(NFTA_RULE_EXPRESSIONS, |list| {
                rule.expressions.iter().try_for_each(|expression| expression.write(list))
            })?;
            let comment = rule.comment.as_deref();
            comment.map_or(Ok(()), |comment| write_comment(writer, NFTA_RULE_USERDATA, comment))
        })
    }

    /// Deletes a rule by its handle.
    ///
    /// # Errors
    /// As of [`Transaction::add_table`].
    pub fn delete_rule(&mut self, table: &Table, chain: &str, handle: u64) -> Result<()> {
        let name = format!("delete rule {handle} of chain {chain} of {table}");
        self.push(NFT_MSG_DELRULE, 0, table, name, |writer| {
            write_name(writer, NFTA_RULE_TABLE, "table", &table.name)?;
            write_name(writer, NFTA_RULE_CHAIN, "chain", chain)?;
            writer.bytes(NFTA_RULE_HANDLE, &handle.to_be_bytes())
        })
    }

    fn push(
        &mut self,
        message: u8,
        flags: u16,
        table: &Table,
        name: String,
        write: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> Result<()> {
        write(&mut self.message.start(kind(message), NLM_F_REQUEST | flags, &table.family.header()))?;
        let bytes = self.message.seal(0, 0)?.to_vec();
        self.requests.push(Request { bytes, name });
        Ok(())
    }

    pub(super) fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Everything for one send(2): begin, the requests, end, with sequence numbers from `first` on. `generation` is the one that
    /// the rules must still have.
    pub(super) fn sealed(&self, first: u32, port: u32, generation: Option<u32>) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut message = Message::default();
        let mut writer = message.start(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, &[0, 0, 0, SUBSYSTEM]);
        if let Some(generation) = generation {
            writer.u32_be(NFNL_BATCH_GENID, generation)?;
        }
        all.extend_from_slice(message.seal(first, port)?);
        let mut sequence = first;
        for (place, request) in self.requests.iter().enumerate() {
            sequence = sequence.wrapping_add(1);
            let start = all.len();
            all.extend_from_slice(&request.bytes);
            all.resize(align(all.len()), 0);
            // Only the last one is acknowledged: when it is, all were understood.
            let last = place + 1 == self.requests.len();
            stamp(all.get_mut(start..).unwrap_or_default(), sequence, port, last);
        }
        message.start(NFNL_MSG_BATCH_END, NLM_F_REQUEST, &[0, 0, 0, SUBSYSTEM]);
        all.extend_from_slice(message.seal(sequence.wrapping_add(1), port)?);
        Ok(all)
    }
}

/// Fills in sequence and port, and asks for an acknowledgement.
fn stamp(message: &mut [u8], sequence: u32, port: u32, acknowledged: bool) {
    if let Some(field) = message.get_mut(6..8) {
        let flags = field.first_chunk().map_or(0, |field| u16::from_ne_bytes(*field));
        field.copy_from_slice(&(flags | if acknowledged { NLM_F_ACK } else { 0 }).to_ne_bytes());
    }
    for (start, number) in [(8, sequence), (12, port)] {
        if let Some(field) = message.get_mut(start..start + 4) {
            field.copy_from_slice(&number.to_ne_bytes());
        }
    }
}

fn write_base(writer: &mut Writer<'_>, base: Base) -> Result<()> {
    let kind: &[u8] = match base.kind {
        ChainKind::Filter => b"filter",
        ChainKind::Nat => b"nat",
        ChainKind::Route => b"route",
    };
    writer.text(NFTA_CHAIN_TYPE, kind)?;
    writer.u32_be(NFTA_CHAIN_POLICY, u32::from(base.accept))?;
    writer.nest_flagged(NFTA_CHAIN_HOOK, |hook| {
        hook.u32_be(NFTA_HOOK_HOOKNUM, base.hook as u32)?;
        hook.bytes(NFTA_HOOK_PRIORITY, &base.priority.to_be_bytes())
    })
}

/// `NFTNL_UDATA_TABLE_COMMENT` and `NFTNL_UDATA_RULE_COMMENT`, as nft(8) keeps them: type 0, length, text, NUL.
fn write_comment(writer: &mut Writer<'_>, place: u16, comment: &str) -> Result<()> {
    if comment.len() > LONGEST_COMMENT || comment.contains('\0') {
        return Err(Error::invalid("comment", format!("{comment:?}: at most 128 bytes without NUL")));
    }
    let length = u8::try_from(comment.len() + 1).unwrap_or(u8::MAX);
    let mut value = vec![0, length];
    value.extend_from_slice(comment.as_bytes());
    value.push(0);
    writer.bytes(place, &value)
}

/// The name of the expression whose list element begins at `offset` of a request for a rule.
pub(super) fn expression_at(request: &[u8], offset: u32) -> Option<&[u8]> {
    let offset = usize::try_from(offset).ok()?;
    let rule = crate::message::HEADER + FIXED;
    let (start, list) = located(request, rule).find(|(_, found)| found.kind == NFTA_RULE_EXPRESSIONS)?;
    let end = start + 4 + list.value.len();
    let (_, element) = located(request.get(..end)?, start + 4).find(|(at, _)| *at == offset)?;
    Attributes::new(element.value).find(1).map(|name| name.strip_suffix(&[0]).unwrap_or(name))
}
