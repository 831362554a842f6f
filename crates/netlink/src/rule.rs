//! Rules: which routing table is looked at for which packets.
use std::fmt;

use libc::{RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE};

use crate::attribute::{Attribute, Attributes, keep};
use crate::message::sealed::Encode;
use crate::message::{Message, NLM_F_DUMP, NLM_F_REQUEST};
use crate::{Cidr, Error, Family, Name, Netlink, Result, Table, Verb};

/// Bytes of `struct fib_rule_hdr`.
const HEADER: usize = 12;
const DST: u16 = 1;
const SRC: u16 = 2;
const IIF: u16 = 3;
const PRIORITY: u16 = 6;
const MARK: u16 = 10;
const SUPPRESS_PREFIX: u16 = 14;
const TABLE: u16 = 15;
const MASK: u16 = 16;
const OIF: u16 = 17;
/// `FIB_RULE_INVERT`.
const INVERT: u32 = 2;

/// What a rule does (`FR_ACT_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RuleAction {
    /// Looks into the table.
    #[default]
    Lookup,
    /// Throws the packet away in silence.
    Blackhole,
    /// Refuses: unreachable.
    Unreachable,
    /// Refuses: prohibited.
    Prohibit,
    /// Any other.
    Other(u8),
}

impl RuleAction {
    const fn number(self) -> u8 {
        match self {
            Self::Lookup => 1,
            Self::Blackhole => 6,
            Self::Unreachable => 7,
            Self::Prohibit => 8,
            Self::Other(number) => number,
        }
    }

    const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Lookup,
            6 => Self::Blackhole,
            7 => Self::Unreachable,
            8 => Self::Prohibit,
            _ => Self::Other(number),
        }
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The family.
    pub family: Family,
    /// For packets from here.
    pub source: Option<Cidr>,
    /// For packets to there.
    pub destination: Option<Cidr>,
    /// For packets that came in by this link.
    pub input: Option<Name>,
    /// For packets of sockets bound to this link.
    pub output: Option<Name>,
    /// For packets with this mark, and the mask it is compared under.
    pub mark: Option<(u32, u32)>,
    /// Rules are looked at from 0 upwards; the kernel picks one if not given.
    pub priority: Option<u32>,
    /// The table.
    pub table: Table,
    /// What is done.
    pub action: RuleAction,
    /// For all packets but these.
    pub invert: bool,
    /// Routes with a prefix of this length or shorter are passed over.
    pub suppress_prefix: Option<u32>,
    unknown: Vec<u8>,
}

impl Rule {
    /// A rule for all packets of a family.
    #[must_use]
    pub const fn new(family: Family, table: Table) -> Self {
        Self {
            family,
            source: None,
            destination: None,
            input: None,
            output: None,
            mark: None,
            priority: None,
            table,
            action: RuleAction::Lookup,
            invert: false,
            suppress_prefix: None,
            unknown: Vec::new(),
        }
    }

    /// The attributes that no field holds.
    #[must_use]
    pub fn unknown(&self) -> Attributes<'_> {
        Attributes::new(&self.unknown)
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Option<Self>> {
        let header = payload.first_chunk::<HEADER>().ok_or(Error::Malformed { what: "rule header" })?;
        let [family, to, from, _, table, _, _, action, f0, f1, f2, f3] = *header;
        let Some(family) = Family::from_number(family) else { return Ok(None) };
        let mut rule = Self::new(family, Table(table.into()));
        rule.action = RuleAction::from_number(action);
        rule.invert = u32::from_ne_bytes([f0, f1, f2, f3]) & INVERT != 0;
        for attribute in Attributes::after(payload, HEADER) {
            rule.take(attribute, to, from)?;
        }
        // The kernel leaves out what is 0.
        rule.priority = rule.priority.or(Some(0));
        Ok(Some(rule))
    }

    fn take(&mut self, attribute: Attribute<'_>, to: u8, from: u8) -> Result<()> {
        let network = |prefix| attribute.ip().map(|ip| Cidr::new(ip, prefix)).transpose();
        match attribute.kind {
            DST => self.destination = network(to)?,
            SRC => self.source = network(from)?,
            IIF => self.input = attribute.name(),
            OIF => self.output = attribute.name(),
            PRIORITY => self.priority = attribute.u32(),
            TABLE => self.table = Table(attribute.u32().unwrap_or(self.table.0)),
            MARK => {
                let mask = self.mark.map_or(u32::MAX, |(_, mask)| mask);
                self.mark = attribute.u32().map(|mark| (mark, mask));
            }
            MASK => {
                let mark = self.mark.map_or(0, |(mark, _)| mark);
                self.mark = attribute.u32().map(|mask| (mark, mask));
            }
            SUPPRESS_PREFIX => {
                self.suppress_prefix = attribute.u32().filter(|length| *length != u32::MAX);
            }
            _ => keep(&mut self.unknown, attribute),
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        for (field, network) in [("source", self.source), ("destination", self.destination)] {
            if network.is_some_and(|network| network.family() != self.family) {
                return Err(Error::invalid(field, format!("not an {} network, as the rule is", self.family)));
            }
        }
        if self.action == RuleAction::Lookup && self.table.0 == 0 {
            return Err(Error::invalid("table", "0"));
        }
        Ok(())
    }
}

impl Encode for Rule {
    fn encode(&self, verb: Verb, message: &mut Message) -> Result<()> {
        self.check()?;
        let prefix = |network: Option<Cidr>| network.map_or(0, |network| network.prefix());
        // A table that does not fit stands in FRA_TABLE alone.
        let table = u8::try_from(self.table.0).unwrap_or(0);
        let [f0, f1, f2, f3] = if self.invert { INVERT } else { 0 }.to_ne_bytes();
        let (to, from) = (prefix(self.destination), prefix(self.source));
        let fixed = [self.family.number(), to, from, 0, table, 0, 0, self.action.number(), f0, f1, f2, f3];
        let mut writer = message.start(verb.pick(RTM_NEWRULE, RTM_DELRULE), verb.flags(), &fixed);
        for (kind, network) in [(SRC, self.source), (DST, self.destination)] {
            network.map_or(Ok(()), |network| writer.ip(kind, network.network().address()))?;
        }
        for (kind, name) in [(IIF, self.input), (OIF, self.output)] {
            name.map_or(Ok(()), |name| writer.text(kind, name.as_bytes()))?;
        }
        if let Some((mark, mask)) = self.mark {
            writer.u32(MARK, mark)?;
            writer.u32(MASK, mask)?;
        }
        self.suppress_prefix.map_or(Ok(()), |length| writer.u32(SUPPRESS_PREFIX, length))?;
        if self.table.0 > 255 {
            writer.u32(TABLE, self.table.0)?;
        }
        self.priority.map_or(Ok(()), |priority| writer.u32(PRIORITY, priority))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule", self.family)?;
        self.priority.map_or(Ok(()), |priority| write!(f, " {priority}"))?;
        self.source.map_or(Ok(()), |source| write!(f, " from {source}"))?;
        self.destination.map_or(Ok(()), |destination| write!(f, " to {destination}"))?;
        write!(f, " table {}", self.table.0)
    }
}

impl Netlink {
    /// The rules of a family, in the order they are looked at.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if they change again and again, and what the kernel or the socket say.
    pub fn rules(&mut self, family: Family) -> Result<Vec<Rule>> {
        let found = std::cell::RefCell::new(Vec::new());
        let write = |message: &mut Message| {
            let mut fixed = [0; HEADER];
            let [first, ..] = &mut fixed;
            *first = family.number();
            message.start(RTM_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, &fixed);
            Ok(())
        };
        let name = || format!("list {family} rules");
        self.query(&name, &write, &mut || found.borrow_mut().clear(), &mut |frame| {
            if frame.kind == RTM_NEWRULE {
                found.borrow_mut().extend(Rule::decode(frame.payload)?);
            }
            Ok(())
        })?;
        Ok(found.into_inner())
    }
}
