//! What all messages to nf_tables have in common.
use crate::attribute::Writer;
use crate::{Error, Result};

/// `NFNL_SUBSYS_NFTABLES`, the upper byte of every message type.
pub(super) const SUBSYSTEM: u8 = 10;
/// Bytes of `struct nfgenmsg`.
pub(super) const FIXED: usize = 4;
/// `NFT_USERDATA_MAXLEN`, less type, length and NUL of a comment; nft(8) takes 128.
pub(super) const LONGEST_COMMENT: usize = 128;
/// `NFTA_TABLE_USERDATA`: where nft(8) keeps a table's comment.
pub(super) const NFTA_TABLE_USERDATA: u16 = 6;
/// `NFT_NAME_MAXLEN`, with its NUL.
pub(super) const LONGEST_NAME: usize = 256;

/// Writes a name, which must not be empty, too long or cut short by a NUL.
pub(super) fn write_name(writer: &mut Writer<'_>, kind: u16, field: &'static str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() >= LONGEST_NAME || name.contains('\0') {
        return Err(Error::invalid(field, format!("{name:?}: must be 1 to 255 bytes without NUL")));
    }
    writer.text(kind, name.as_bytes())
}

/// A message type of nf_tables.
pub(super) const fn kind(message: u8) -> u16 {
    u16::from_be_bytes([SUBSYSTEM, message])
}
