//! Numbers in the files of programs.

/// What is still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn skip(&mut self, length: usize) -> Option<&'a [u8]> {
        let (skipped, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(skipped)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.skip(1)?.first().copied()
    }

    pub(super) fn word(&mut self) -> Option<u32> {
        self.skip(4)?.first_chunk().copied().map(u32::from_le_bytes)
    }

    pub(super) fn signed_word(&mut self) -> Option<i64> {
        self.skip(4)?.first_chunk().copied().map(i32::from_le_bytes).map(i64::from)
    }

    /// A text up to its zero.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.skip(end)?;
        self.skip(1)?;
        Some(text)
    }

    /// Seven bits in each byte, the lowest first.
    pub(super) fn number(&mut self) -> Option<u64> {
        self.seven().map(|(number, ..)| number)
    }

    /// The same with a sign.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let (number, bits, last) = self.seven()?;
        let sign = if last & 0x40 != 0 && bits < u64::BITS { u64::MAX << bits } else { 0 };
        Some(i64::from_ne_bytes((number | sign).to_ne_bytes()))
    }

    fn seven(&mut self) -> Option<(u64, u32, u8)> {
        let (mut number, mut bits) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(bits)?;
            bits += 7;
            if byte & 0x80 == 0 {
                return Some((number, bits, byte));
            }
        }
    }
}

pub(super) fn field<const BYTES: usize>(bytes: &[u8], at: usize) -> Option<[u8; BYTES]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u64::from_le_bytes)
}

/// The same, of what counts bytes of a file.
pub(super) fn place(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(word(bytes, at)?).ok()
}

/// A number of four bytes.
pub(super) fn half(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(field(bytes, at).map(u32::from_le_bytes)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_their_sign() {
        let mut bytes = Bytes(&[0xe5, 0x8e, 0x26, 0x78, 0x80, 0x7f, 0x3f]);
        assert_eq!((bytes.number(), bytes.signed()), (Some(624_485), Some(-8)));
        assert_eq!((bytes.signed(), bytes.signed(), bytes.number()), (Some(-128), Some(63), None));
        assert_eq!(Bytes(b"zR\0x").text(), Some(&b"zR"[..]));
        assert_eq!(Bytes(b"zR").text(), None);
    }
}
