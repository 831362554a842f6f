//! Properties that a bundle asks for by annotations: `org.systemd.property.TimeoutStopUSec: uint64 123000000`.
//!
//! The values are texts of GVariant (its "Text Format"), of which the part is read that systemd's properties have use for.

use super::property::Property;
use super::value::{Array, Value};
use crate::error::{Error, Result};

/// What the names of these annotations begin with.
pub const PREFIX: &str = "org.systemd.property.";
/// How deep lists may nest.
const DEEPEST: u8 = 8;

/// The property of one annotation; None when its name doesn't begin with [`PREFIX`].
///
/// As in runc, a name that ends in `Sec` (but not in `USec`) is the one of unit files: its number of seconds becomes
/// microseconds, and its name ends in `USec`.
///
/// # Errors
/// [`Error::Invalid`] for a name that is no property's, and for a value that isn't understood.
pub fn annotated(annotation: &str, text: &str) -> Result<Option<Property>> {
    let Some(name) = annotation.strip_prefix(PREFIX) else { return Ok(None) };
    let invalid = |problem: String| Error::invalid(format!("annotations[{annotation}]"), problem);
    let sound = name.len() >= 3 && name.starts_with(|first: char| first.is_ascii_uppercase());
    if !sound || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(invalid(format!("{name:?} is no name of a property")));
    }
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value(0).filter(|_| reader.rest.is_empty());
    let value = value.ok_or_else(|| invalid(format!("{text:?} is no value that is understood")))?;
    Ok(Some(match name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
        None => Property::new(name, value),
        Some(stem) => {
            let micros =
                micros(&value).ok_or_else(|| invalid(format!("{text:?} is no number of seconds")))?;
            Property::new(&format!("{stem}USec"), Value::U64(micros))
        }
    }))
}

fn micros(seconds: &Value) -> Option<u64> {
    let whole = match seconds {
        Value::Byte(number) => u64::from(*number),
        Value::U16(number) => u64::from(*number),
        Value::U32(number) => u64::from(*number),
        Value::U64(u64::MAX) => return Some(u64::MAX),
        Value::U64(number) => *number,
        Value::I16(number) => u64::try_from(*number).ok()?,
        Value::I32(number) => u64::try_from(*number).ok()?,
        Value::I64(number) => u64::try_from(*number).ok()?,
        // A duration is checked to be finite, not negative and in range, which a cast is not.
        Value::Double(number) => {
            let time = std::time::Duration::try_from_secs_f64(*number).ok()?;
            return u64::try_from(time.as_micros()).ok();
        }
        _ => return None,
    };
    whole.checked_mul(1_000_000)
}

/// Reads a value from the front of the text.
struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn value(&mut self, depth: u8) -> Option<Value> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            _ if depth > DEEPEST => None,
            '[' => {
                let items = self.list('[', ']', depth)?;
                // Without an item nothing says of which type they would be.
                let element = items.first()?.signature();
                Array::new(&element, items).ok().map(Value::Array)
            }
            '(' => self.list('(', ')', depth).filter(|fields| !fields.is_empty()).map(Value::Struct),
            '<' => self.list('<', '>', depth)?.into_iter().next().map(Value::variant),
            quote @ ('\'' | '"') => self.text(quote).map(Value::Text),
            _ => self.scalar(),
        }
    }

    fn list(&mut self, open: char, close: char, depth: u8) -> Option<Vec<Value>> {
        self.rest = self.rest.strip_prefix(open)?.trim_start();
        let mut items = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest.trim_start();
                return Some(items);
            }
            items.push(self.value(depth + 1)?);
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest.trim_start(),
                None if self.rest.starts_with(close) => {}
                None => return None,
            }
        }
    }

    fn text(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => text.push(match letters.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    other @ ('\\' | '\'' | '"') => other,
                    _ => return None,
                }),
                _ if letter == quote => {
                    self.rest = self.rest.get(at + 1..)?.trim_start();
                    return Some(text);
                }
                other => text.push(other),
            }
        }
        None
    }

    /// A word, or two: a number alone is an `int32` or a `double`, `uint64 5` and `@t 5` say of which type it is.
    fn scalar(&mut self) -> Option<Value> {
        let word = self.word()?;
        match word {
            "true" => return Some(Value::Bool(true)),
            "false" => return Some(Value::Bool(false)),
            _ => {}
        }
        if let Ok(number) = word.parse() {
            return Some(Value::I32(number));
        }
        let letter = match word {
            "string" | "@s" => return self.quoted().map(Value::Text),
            "objectpath" | "@o" => return self.quoted().map(Value::Path),
            "signature" | "@g" => return self.quoted().map(Value::Signature),
            "boolean" | "@b" => return self.word()?.parse().ok().map(Value::Bool),
            other if other.contains('.') => return other.parse().ok().map(Value::Double),
            other => other,
        };
        let number = self.word()?;
        Some(match letter {
            "byte" | "@y" => Value::Byte(number.parse().ok()?),
            "int16" | "@n" => Value::I16(number.parse().ok()?),
            "uint16" | "@q" => Value::U16(number.parse().ok()?),
            "int32" | "@i" => Value::I32(number.parse().ok()?),
            "uint32" | "@u" => Value::U32(number.parse().ok()?),
            "int64" | "@x" => Value::I64(number.parse().ok()?),
            "uint64" | "@t" => Value::U64(number.parse().ok()?),
            "double" | "@d" => Value::Double(number.parse().ok()?),
            _ => return None,
        })
    }

    fn quoted(&mut self) -> Option<String> {
        let quote = self.rest.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
        self.text(quote)
    }
}

impl<'t> Reader<'t> {
    fn word(&mut self) -> Option<&'t str> {
        let ends = |letter: char| letter.is_whitespace() || "[]()<>,'\"".contains(letter);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.trim_start();
        (!word.is_empty()).then_some(word)
    }
}
