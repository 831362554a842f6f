//! Expressions: what a rule loads, compares and does. Numbers and attribute order as nft(8) sends them.
use std::net::IpAddr;

use super::wire::write_name;
use crate::Name;
use crate::attribute::Writer;
use crate::{Error, Result};

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;
/// `NFT_DATA_VALUE_MAXLEN`.
const LONGEST_VALUE: usize = 64;

/// A register of 16 bytes (`NFT_REG_1` to `NFT_REG_4`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Register {
    One,
    Two,
    Three,
    Four,
}

/// What is known about a packet besides its bytes (`NFT_META_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetaKey {
    /// Name of the interface that it came in by, 16 bytes.
    InName,
    /// Name of the interface that it goes out by, 16 bytes.
    OutName,
    /// Family, one byte: 2 or 10.
    Family,
    /// Transport protocol, one byte.
    Transport,
}

/// What is known about a packet's connection (`NFT_CT_*`); four bytes in the machine's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionKey {
    /// State bits: 2 established, 4 related, 8 new.
    State,
    /// Status bits (`IPS_*`): [`ConnectionKey::DESTINATION_CHANGED`] among them.
    Status,
}

impl ConnectionKey {
    /// `IPS_DST_NAT`, of the status: the destination was translated.
    pub const DESTINATION_CHANGED: u32 = 1 << 5;
}

/// The header of a packet that an offset counts from (`NFT_PAYLOAD_*_HEADER`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Header {
    /// Ethernet.
    Link,
    /// IPv4 or IPv6.
    Network,
    /// TCP, UDP, SCTP.
    Transport,
}

/// How a register is compared (`NFT_CMP_EQ`, `NFT_CMP_NEQ`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// The rule goes on if they are equal.
    Equal,
    /// The rule goes on if they differ.
    NotEqual,
}

/// Where a packet goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Past this chain's rules, to the next base chain.
    Accept,
    /// Nowhere.
    Drop,
    /// Back to the chain that jumped here.
    Return,
    /// To another chain of the table, and back.
    Jump(String),
}

/// One expression of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expression {
    /// Loads what is known about the packet.
    Meta(MetaKey, Register),
    /// Loads what is known about the connection.
    Connection(ConnectionKey, Register),
    /// Loads bytes of the packet.
    Payload {
        /// The header.
        header: Header,
        /// First byte, from the header's begin.
        offset: u32,
        /// How many bytes.
        length: u32,
        /// Where to.
        to: Register,
    },
    /// Loads the type of the destination address (`RTN_*`), four bytes in the machine's order: 2 is an address of this host.
    DestinationType(Register),
    /// Keeps the bits of a mask; up to 64 bytes.
    Mask(Register, Vec<u8>),
    /// Compares with up to 64 bytes.
    Compare(Register, Comparison, Vec<u8>),
    /// Loads a value of up to 64 bytes.
    Value(Register, Vec<u8>),
    /// Says where the packet goes on.
    Verdict(Verdict),
    /// Gives packets the address of the interface that they leave by.
    Masquerade,
    /// Gives packets another destination.
    Destination {
        /// Whether the address is one of IPv6.
        v6: bool,
        /// Register with the address.
        address: Register,
        /// Register with the port, two bytes in network order.
        port: Option<Register>,
    },
}

impl Expression {
    /// `RTN_LOCAL`, of [`Expression::DestinationType`].
    pub const LOCAL: u32 = 2;

    /// Compares for equality.
    #[must_use]
    pub fn equal(register: Register, value: &[u8]) -> Self {
        Self::Compare(register, Comparison::Equal, value.to_vec())
    }

    /// Compares an interface's name, padded with zeros as the kernel has it.
    #[must_use]
    pub fn name(register: Register, comparison: Comparison, name: &Name) -> Self {
        let mut value = name.as_bytes().to_vec();
        value.resize(16, 0);
        Self::Compare(register, comparison, value)
    }

    /// Loads an address.
    #[must_use]
    pub fn address(register: Register, address: IpAddr) -> Self {
        Self::Value(register, octets(address))
    }

    /// The name that the kernel knows it by; its module is `nft_` and this.
    pub(super) const fn kernel_name(&self) -> &'static str {
        match self {
            Self::Meta(..) => "meta",
            Self::Connection(..) => "ct",
            Self::Payload { .. } => "payload",
            Self::DestinationType(_) => "fib",
            Self::Mask(..) => "bitwise",
            Self::Compare(..) => "cmp",
            Self::Value(..) | Self::Verdict(_) => "immediate",
            Self::Masquerade => "masq",
            Self::Destination { .. } => "nat",
        }
    }

    /// Writes the element of a rule's list.
    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.nest_flagged(NFTA_LIST_ELEM, |element| {
            element.text(NFTA_EXPR_NAME, self.kernel_name().as_bytes())?;
            element.nest_flagged(NFTA_EXPR_DATA, |data| self.write_data(data))
        })
    }

    fn write_data(&self, data: &mut Writer<'_>) -> Result<()> {
        match self {
            Self::Meta(key, to) => {
                data.u32_be(2, key.number())?;
                data.u32_be(1, to.number())
            }
            Self::Connection(key, to) => {
                data.u32_be(2, u32::from(*key == ConnectionKey::Status) * 2)?;
                data.u32_be(1, to.number())
            }
            Self::Payload { header, offset, length, to } => {
                let fields = [to.number(), *header as u32, *offset, *length];
                (1..).zip(fields).try_for_each(|(kind, field)| data.u32_be(kind, field))
            }
            Self::DestinationType(to) => {
                // NFTA_FIB_F_DADDR, NFT_FIB_RESULT_ADDRTYPE.
                [(3, 2), (2, 3), (1, to.number())]
                    .into_iter()
                    .try_for_each(|(kind, field)| data.u32_be(kind, field))
            }
            Self::Mask(register, mask) => write_mask(data, *register, mask),
            Self::Compare(register, comparison, value) => {
                data.u32_be(1, register.number())?;
                data.u32_be(2, u32::from(*comparison == Comparison::NotEqual))?;
                write_value(data, 3, value)
            }
            Self::Value(register, value) => {
                data.u32_be(1, register.number())?;
                write_value(data, 2, value)
            }
            Self::Verdict(verdict) => verdict.write(data),
            Self::Masquerade => Ok(()),
            Self::Destination { v6, address, port } => write_destination(data, *v6, *address, *port),
        }
    }
}

fn write_mask(data: &mut Writer<'_>, register: Register, mask: &[u8]) -> Result<()> {
    let length = u32::try_from(mask.len()).map_err(|_| Error::invalid("mask", "too long"))?;
    data.u32_be(1, register.number())?;
    data.u32_be(2, register.number())?;
    data.u32_be(3, length)?;
    write_value(data, 4, mask)?;
    write_value(data, 5, &vec![0; mask.len()])
}

fn write_destination(
    data: &mut Writer<'_>,
    v6: bool,
    address: Register,
    port: Option<Register>,
) -> Result<()> {
    // NFT_NAT_DNAT.
    data.u32_be(1, 1)?;
    data.u32_be(2, if v6 { 10 } else { 2 })?;
    data.u32_be(3, address.number())?;
    if let Some(port) = port {
        data.u32_be(5, port.number())?;
        // NF_NAT_RANGE_PROTO_SPECIFIED.
        data.u32_be(7, 2)?;
    }
    Ok(())
}

fn write_value(data: &mut Writer<'_>, kind: u16, value: &[u8]) -> Result<()> {
    if value.is_empty() || value.len() > LONGEST_VALUE {
        return Err(Error::invalid("value", format!("{} bytes: must be 1 to 64", value.len())));
    }
    data.nest_flagged(kind, |inner| inner.bytes(NFTA_DATA_VALUE, value))
}

impl Verdict {
    fn write(&self, data: &mut Writer<'_>) -> Result<()> {
        // NF_DROP and NF_ACCEPT, NFT_JUMP and NFT_RETURN.
        let code: i32 = match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Jump(_) => -3,
            Self::Return => -5,
        };
        // NFT_REG_VERDICT.
        data.u32_be(1, 0)?;
        data.nest_flagged(2, |value| {
            value.nest_flagged(NFTA_DATA_VERDICT, |verdict| {
                verdict.bytes(NFTA_VERDICT_CODE, &code.to_be_bytes())?;
                match self {
                    Self::Jump(chain) => write_name(verdict, NFTA_VERDICT_CHAIN, "chain", chain),
                    _ => Ok(()),
                }
            })
        })
    }
}

impl Register {
    const fn number(self) -> u32 {
        self as u32 + 1
    }
}

impl MetaKey {
    const fn number(self) -> u32 {
        match self {
            Self::InName => 6,
            Self::OutName => 7,
            Self::Family => 15,
            Self::Transport => 16,
        }
    }
}

/// The bytes of an address, in network order.
fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
