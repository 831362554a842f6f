//! Messages of D-Bus: the header and the body, as the D-Bus specification lays them out ("Message Protocol").
//!
//! Only little endian is spoken, the order of every machine that this library runs on. Reading never panics and never
//! takes more memory than a small multiple of what was received; messages are at most [`LARGEST`] bytes.

use super::marshal::{Decoder, Encoder};
use super::value::{Array, Value, split};
use crate::error::{Error, Result};

/// The largest message taken and sent, in bytes. D-Bus would allow 128 MiB; nothing here is near that.
pub const LARGEST: usize = 1 << 20;

/// What stands before the header fields: order, kind, flags, version, body length, serial.
const FIXED: usize = 12;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A method call.
    #[default]
    Call,
    /// The answer to one.
    Return,
    /// The error that answers one.
    Error,
    /// A signal.
    Signal,
    /// A kind that the specification does not have yet; to be ignored.
    Other(u8),
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Call => 1,
            Self::Return => 2,
            Self::Error => 3,
            Self::Signal => 4,
            Self::Other(number) => number,
        }
    }

    fn of(number: u8) -> Self {
        match number {
            1 => Self::Call,
            2 => Self::Return,
            3 => Self::Error,
            4 => Self::Signal,
            other => Self::Other(other),
        }
    }
}

/// One message. The body stays bytes until [`Self::arguments`] reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// `NO_REPLY_EXPECTED` is 1, `NO_AUTO_START` is 2.
    pub flags: u8,
    /// The sender's number for this message, never zero on the wire.
    pub serial: u32,
    /// The object.
    pub path: Option<String>,
    /// The interface of the member.
    pub interface: Option<String>,
    /// The method or signal.
    pub member: Option<String>,
    /// The name of the error.
    pub error: Option<String>,
    /// The serial of the call that this answers.
    pub reply_to: Option<u32>,
    /// Whom it is for.
    pub destination: Option<String>,
    /// Whom it is from, as the bus says.
    pub sender: Option<String>,
    /// The types of the arguments; [`Self::with`] sets it.
    pub signature: String,
    /// The arguments as bytes; [`Self::with`] sets them.
    pub body: Vec<u8>,
}

impl Message {
    /// A call of `member` of `interface` on the object `path` of the peer `destination`.
    #[must_use]
    pub fn call(destination: &str, path: &str, interface: &str, member: &str) -> Self {
        Self {
            kind: Kind::Call,
            path: Some(path.to_owned()),
            interface: Some(interface.to_owned()),
            member: Some(member.to_owned()),
            destination: Some(destination.to_owned()),
            ..Self::default()
        }
    }

    /// This message with `arguments` for its body.
    ///
    /// # Errors
    /// [`Error::Systemd`] for a value that can't be on the wire: NUL in a text, no object path, too large, too deep.
    pub fn with(mut self, arguments: &[Value]) -> Result<Self> {
        let mut encoder = Encoder::default();
        arguments.iter().try_for_each(|argument| encoder.put(argument))?;
        length(encoder.bytes.len())?;
        self.signature = arguments.iter().map(Value::signature).collect();
        split(&self.signature)?;
        self.body = encoder.bytes;
        Ok(self)
    }

    /// The body, read.
    ///
    /// # Errors
    /// [`Error::Systemd`] when it isn't what its signature says, or has a type that [`Value`] lacks.
    pub fn arguments(&self) -> Result<Vec<Value>> {
        let mut decoder = Decoder::new(&self.body);
        let arguments: Vec<Value> =
            split(&self.signature)?.into_iter().map(|one| decoder.value(one)).collect::<Result<_>>()?;
        match decoder.is_done() {
            true => Ok(arguments),
            false => Err(Error::malformed("bytes after the last argument".to_owned())),
        }
    }

    /// The bytes of the message.
    ///
    /// # Errors
    /// [`Error::Systemd`] when a field can't be on the wire.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut encoder = Encoder::default();
        encoder.bytes.extend([b'l', self.kind.number(), self.flags, 1]);
        encoder.put_u32(length(self.body.len())?);
        encoder.put_u32(self.serial);
        encoder.put(&Value::Array(Array::known("(yv)", self.fields())))?;
        encoder.align(8);
        encoder.bytes.extend(&self.body);
        length(encoder.bytes.len())?;
        Ok(encoder.bytes)
    }

    fn fields(&self) -> Vec<Value> {
        let text = |of: &Option<String>| of.clone().map(Value::Text);
        let all = [
            (1, self.path.clone().map(Value::Path)),
            (2, text(&self.interface)),
            (3, text(&self.member)),
            (4, text(&self.error)),
            (5, self.reply_to.map(Value::U32)),
            (6, text(&self.destination)),
            (7, text(&self.sender)),
            (8, Some(self.signature.clone()).filter(|own| !own.is_empty()).map(Value::Signature)),
        ];
        let set = all.into_iter().filter_map(|(code, value)| value.map(|value| (code, value)));
        set.map(|(code, value)| Value::Struct(vec![Value::Byte(code), Value::variant(value)])).collect()
    }

    /// Reads the first message of `bytes` and says how many bytes it took. None: there must be more bytes.
    ///
    /// # Errors
    /// [`Error::Systemd`] for what is no message of this protocol; the connection is of no more use then.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let mut head = Decoder::new(bytes);
        let (Ok(&[order, kind, flags, version]), Ok(body), Ok(serial), Ok(fields)) =
            (head.take(4), head.number_u32(), head.number_u32(), head.number_u32())
        else {
            return Ok(None);
        };
        if (order, version) != (b'l', 1) || kind == 0 || serial == 0 {
            return Err(Error::malformed(format!(
                "no message: order {order}, kind {kind}, version {version}, serial {serial}"
            )));
        }
        let size = |number: u32| usize::try_from(number).unwrap_or(LARGEST + 1).min(LARGEST + 1);
        let start = (FIXED + 4 + size(fields)).next_multiple_of(8);
        let end = start + size(body);
        if end > LARGEST {
            return Err(Error::malformed(format!("a message of {body} bytes and {fields} bytes of header")));
        }
        let (Some(header), Some(body)) = (bytes.get(..start), bytes.get(start..end)) else {
            return Ok(None);
        };
        let empty = Self { kind: Kind::of(kind), flags, serial, body: body.to_vec(), ..Self::default() };
        Ok(Some((empty.read_fields(header)?, end)))
    }

    fn read_fields(mut self, header: &[u8]) -> Result<Self> {
        let mut decoder = Decoder::new(header);
        decoder.take(FIXED)?;
        let Value::Array(fields) = decoder.value("a(yv)")? else {
            return Err(Error::malformed("header fields that are no array".to_owned()));
        };
        decoder.align(8)?;
        for field in fields.items() {
            if let Value::Struct(pair) = field {
                if let [Value::Byte(code), Value::Variant(value)] = pair.as_slice() {
                    self.set_field(*code, value)?;
                }
            }
        }
        Ok(self)
    }

    fn set_field(&mut self, code: u8, value: &Value) -> Result<()> {
        match (code, value) {
            (1, Value::Path(text)) => self.path = Some(text.clone()),
            (2, Value::Text(text)) => self.interface = Some(text.clone()),
            (3, Value::Text(text)) => self.member = Some(text.clone()),
            (4, Value::Text(text)) => self.error = Some(text.clone()),
            (5, Value::U32(serial)) => self.reply_to = Some(*serial),
            (6, Value::Text(text)) => self.destination = Some(text.clone()),
            (7, Value::Text(text)) => self.sender = Some(text.clone()),
            (8, Value::Signature(text)) => self.signature.clone_from(text),
            (1..=8, other) => {
                return Err(Error::malformed(format!("header field {code} of type {}", other.signature())));
            }
            // The specification asks that unknown fields are ignored.
            _ => {}
        }
        Ok(())
    }
}

/// The length of a message or of its body.
fn length(bytes: usize) -> Result<u32> {
    match u32::try_from(bytes) {
        Ok(length) if bytes <= LARGEST => Ok(length),
        _ => Err(Error::malformed(format!("{bytes} bytes where {LARGEST} are the most"))),
    }
}
