//! Values to bytes and back, little endian: each value stands at a multiple of its alignment, padded with zeros.

use super::value::{Array, Value, alignment, is_path, one, split};
use crate::error::{Error, Result};

/// How deep values may nest, variants included (D-Bus specification, "Message Protocol": 64 in total).
const DEEPEST: u8 = 64;

/// Bytes in the making. Offsets count from the start of the message (or of its body, which is aligned to 8).
#[derive(Debug, Default)]
pub(super) struct Encoder {
    pub(super) bytes: Vec<u8>,
}

impl Encoder {
    pub(super) fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    pub(super) fn put_u32(&mut self, number: u32) {
        self.align(4);
        self.bytes.extend(number.to_le_bytes());
    }

    pub(super) fn put(&mut self, value: &Value) -> Result<()> {
        self.value(value, 0)
    }

    fn value(&mut self, value: &Value, depth: u8) -> Result<()> {
        if depth > DEEPEST {
            return Err(Error::malformed("values nest too deep".to_owned()));
        }
        match value {
            Value::Byte(number) => self.bytes.push(*number),
            Value::Bool(flag) => self.put_u32(u32::from(*flag)),
            Value::I16(number) => self.number(number.to_le_bytes()),
            Value::U16(number) => self.number(number.to_le_bytes()),
            Value::I32(number) => self.number(number.to_le_bytes()),
            Value::U32(number) => self.put_u32(*number),
            Value::I64(number) => self.number(number.to_le_bytes()),
            Value::U64(number) => self.number(number.to_le_bytes()),
            Value::Double(number) => self.number(number.to_le_bytes()),
            Value::Text(text) => self.text(text)?,
            Value::Path(path) if !is_path(path) => {
                return Err(Error::malformed(format!("{path:?} is no object path")));
            }
            Value::Path(path) => self.text(path)?,
            Value::Signature(signature) => self.signature(signature)?,
            Value::Array(array) => self.array(array, depth)?,
            Value::Struct(fields) if fields.is_empty() => {
                return Err(Error::malformed("a struct without fields".to_owned()));
            }
            Value::Struct(fields) => {
                self.align(8);
                fields.iter().try_for_each(|field| self.value(field, depth + 1))?;
            }
            Value::Variant(inner) => {
                let signature = inner.signature();
                one(&signature)?;
                self.signature(&signature)?;
                self.value(inner, depth + 1)?;
            }
        }
        Ok(())
    }

    fn number<const N: usize>(&mut self, bytes: [u8; N]) {
        self.align(N);
        self.bytes.extend(bytes);
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if text.contains('\0') {
            return Err(Error::malformed(format!("text {text:?} has a NUL in it")));
        }
        self.put_u32(length(text.len())?);
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
        Ok(())
    }

    fn signature(&mut self, signature: &str) -> Result<()> {
        split(signature)?;
        // `split` takes at most 255 bytes.
        self.bytes.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.bytes.extend(signature.as_bytes());
        self.bytes.push(0);
        Ok(())
    }

    fn array(&mut self, array: &Array, depth: u8) -> Result<()> {
        self.put_u32(0);
        let at = self.bytes.len() - 4;
        // The padding before the first item doesn't count as part of the array.
        self.align(alignment(array.element()));
        let start = self.bytes.len();
        for item in array.items() {
            self.value(item, depth + 1)?;
        }
        let count = length(self.bytes.len() - start)?.to_le_bytes();
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&count);
        }
        Ok(())
    }
}

/// A length as it stands before what it counts. How large a whole message may be is the message's matter.
fn length(bytes: usize) -> Result<u32> {
    u32::try_from(bytes).map_err(|_| Error::malformed(format!("a length of {bytes} bytes")))
}

/// Reads values from bytes that nobody has checked.
#[derive(Debug)]
pub(super) struct Decoder<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Decoder<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn align(&mut self, to: usize) -> Result<()> {
        let padding = self.take(self.at.next_multiple_of(to) - self.at)?;
        match padding.iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err(Error::malformed("padding that is not zero".to_owned())),
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let end = self.at.checked_add(count);
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => Err(Error::malformed(format!("{count} bytes are missing at offset {}", self.at))),
        }
    }

    pub(super) fn value(&mut self, signature: &str) -> Result<Value> {
        one(signature)?;
        self.nested(signature, 0)
    }

    fn nested(&mut self, signature: &str, depth: u8) -> Result<Value> {
        if depth > DEEPEST {
            return Err(Error::malformed("values nest too deep".to_owned()));
        }
        let (letter, rest) = signature.split_at_checked(1).unwrap_or_default();
        Ok(match letter {
            "y" => Value::Byte(u8::from_le_bytes(self.number()?)),
            "b" => match self.number_u32()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                other => return Err(Error::malformed(format!("{other} for a boolean"))),
            },
            "n" => Value::I16(i16::from_le_bytes(self.number()?)),
            "q" => Value::U16(u16::from_le_bytes(self.number()?)),
            "i" => Value::I32(i32::from_le_bytes(self.number()?)),
            "u" => Value::U32(self.number_u32()?),
            "x" => Value::I64(i64::from_le_bytes(self.number()?)),
            "t" => Value::U64(u64::from_le_bytes(self.number()?)),
            "d" => Value::Double(f64::from_le_bytes(self.number()?)),
            "s" => Value::Text(self.text()?),
            "o" => Value::Path(self.path()?),
            "g" => Value::Signature(self.signature()?),
            "a" => Value::Array(self.array(rest, depth)?),
            "(" => self.fields(rest, depth)?,
            _ => {
                let signature = self.signature()?;
                one(&signature)?;
                Value::variant(self.nested(&signature, depth + 1)?)
            }
        })
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.align(N)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    pub(super) fn number_u32(&mut self) -> Result<u32> {
        self.number().map(u32::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize> {
        let length = self.number_u32()?;
        usize::try_from(length).map_err(|_| Error::malformed(format!("a length of {length}")))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        self.ended(bytes)
    }

    fn path(&mut self) -> Result<String> {
        match self.text()? {
            path if is_path(&path) => Ok(path),
            other => Err(Error::malformed(format!("{other:?} is no object path"))),
        }
    }

    fn signature(&mut self) -> Result<String> {
        let [length] = self.number()?;
        let bytes = self.take(usize::from(length))?;
        let text = self.ended(bytes)?;
        split(&text)?;
        Ok(text)
    }

    fn ended(&mut self, bytes: &[u8]) -> Result<String> {
        if self.take(1)? != [0] || bytes.contains(&0) {
            return Err(Error::malformed("a text that does not end with its only NUL".to_owned()));
        }
        let text =
            std::str::from_utf8(bytes).map_err(|_| Error::malformed("text that is not UTF-8".to_owned()))?;
        Ok(text.to_owned())
    }

    fn array(&mut self, element: &str, depth: u8) -> Result<Array> {
        let length = self.length()?;
        self.align(alignment(element))?;
        let end = self.at.saturating_add(length);
        if end > self.bytes.len() {
            return Err(Error::malformed(format!("an array of {length} bytes is cut off")));
        }
        let mut items = Vec::new();
        while self.at < end {
            items.push(self.nested(element, depth + 1)?);
        }
        match self.at == end {
            true => Ok(Array::known(element, items)),
            false => Err(Error::malformed("an item reaches beyond the end of its array".to_owned())),
        }
    }

    /// `rest` is the signature of the struct after its `(`.
    fn fields(&mut self, rest: &str, depth: u8) -> Result<Value> {
        self.align(8)?;
        let inner = rest.strip_suffix(')').unwrap_or(rest);
        let fields = split(inner)?.into_iter().map(|one| self.nested(one, depth + 1));
        Ok(Value::Struct(fields.collect::<Result<_>>()?))
    }
}
