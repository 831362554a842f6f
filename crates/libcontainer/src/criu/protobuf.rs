//! Protocol Buffers on the wire, as far as criu's messages need them: numbers, texts and messages in messages.

/// A message that is being written: its fields in the order of the calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(low(value) | 0x80);
            value >>= 7;
        }
        self.bytes.push(low(value));
    }

    /// A field of type `uint32`, `uint64`, `bool` or an enum.
    pub(super) fn number(&mut self, field: u32, value: u64) -> &mut Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    /// A field of type `int32`: a negative one is as long as one of 64 bits.
    pub(super) fn signed(&mut self, field: u32, value: i32) -> &mut Self {
        self.number(field, u64::from_ne_bytes(i64::from(value).to_ne_bytes()))
    }

    /// A field of type `bool`, if it is set: all that we have are false if they are absent.
    pub(super) fn flag(&mut self, field: u32, value: bool) -> &mut Self {
        if value { self.number(field, 1) } else { self }
    }

    /// A field of type `string`, which for criu is one of bytes.
    pub(super) fn text(&mut self, field: u32, value: impl AsRef<[u8]>) -> &mut Self {
        let value = value.as_ref();
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    /// A message in this one.
    pub(super) fn message(&mut self, field: u32, value: &Self) -> &mut Self {
        self.text(field, &value.bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The lowest seven bits.
fn low(value: u64) -> u8 {
    let [first, ..] = value.to_le_bytes();
    first & 0x7f
}

/// The value of a field, as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Bytes(_) => None,
        }
    }

    /// A number of type `int32`: of a negative one the upper bits are set.
    pub(super) fn signed(self) -> Option<i32> {
        i32::try_from(i64::from_ne_bytes(self.number()?.to_ne_bytes())).ok()
    }

    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Number(_) => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

/// What is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of Protocol Buffers")]
pub(super) struct Malformed;

/// The fields of a message, in their order. Ends behind the first that is malformed.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(count).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = self.varint()?;
        let field = u32::try_from(tag >> 3).ok()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            // Numbers of fixed length, of which criu has none that we read.
            1 => Value::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((field, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Malformed);
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the encoding guide of Protocol Buffers, and a negative number.
    #[test]
    fn messages_are_written_as_the_guide_has_them() {
        let mut inner = Message::default();
        inner.number(1, 150);
        assert_eq!(inner.as_bytes(), [0x08, 0x96, 0x01]);
        let mut outer = Message::default();
        outer.text(2, "testing");
        assert_eq!(outer.as_bytes(), b"\x12\x07testing");
        let mut holder = Message::default();
        holder.message(3, &inner).flag(4, false).flag(20, true);
        assert_eq!(holder.as_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01, 0xa0, 0x01, 0x01]);
        let mut negative = Message::default();
        negative.signed(1, -2);
        assert_eq!(negative.as_bytes(), [8, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    }

    #[test]
    fn what_was_written_is_read() {
        let mut message = Message::default();
        message.number(1, u64::MAX).signed(2, -7).text(1000, [0xff, 0]);
        let fields: Result<Vec<_>, _> = Fields::of(message.as_bytes()).collect();
        let fields = fields.unwrap();
        assert_eq!(fields[0], (1, Value::Number(u64::MAX)));
        assert_eq!((fields[1].0, fields[1].1.signed()), (2, Some(-7)));
        assert_eq!(fields[2], (1000, Value::Bytes(&[0xff, 0])));
        assert_eq!(fields[0].1.signed(), Some(-1));
        assert_eq!(Value::Number(1 << 31).signed(), None);
    }

    #[test]
    fn rubbish_ends() {
        let mut message = Message::default();
        message.number(1, 300).text(2, "text");
        let bytes = message.as_bytes();
        for end in 0..bytes.len() {
            let fields: Vec<_> = Fields::of(&bytes[..end]).collect();
            assert!(fields.len() <= 2, "{end}");
        }
        for bytes in [&[0x0b][..], &[0x80; 12], b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", &[0x09, 1]] {
            assert!(Fields::of(bytes).any(|field| field.is_err()), "{bytes:?}");
        }
    }
}
