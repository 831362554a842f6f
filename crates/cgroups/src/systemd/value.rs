//! Values of D-Bus and their signatures.

use std::fmt;

use crate::error::{Error, Result};

/// How deep arrays may stand in arrays, and structs in structs (each; D-Bus specification, "Valid Signatures").
const DEEPEST: u8 = 32;
/// The longest signature, in bytes.
const LONGEST: usize = 255;

/// One value of D-Bus. What systemd's interface does not use (dictionaries, descriptors) is left out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `y`
    Byte(u8),
    /// `b`
    Bool(bool),
    /// `n`
    I16(i16),
    /// `q`
    U16(u16),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `d`
    Double(f64),
    /// `s`: text without NUL.
    Text(String),
    /// `o`: the path of an object.
    Path(String),
    /// `g`: zero or more complete types.
    Signature(String),
    /// `a`: values of one type.
    Array(Array),
    /// `(`…`)`: one or more values.
    Struct(Vec<Value>),
    /// `v`: a value that brings its type along.
    Variant(Box<Value>),
}

/// Values of one type, which is known even when there are none.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    element: String,
    items: Vec<Value>,
}

impl Array {
    /// An array of `items`, each of the one complete type `element` (`s`, `(sv)`).
    ///
    /// # Errors
    /// [`Error::Systemd`] when `element` is not one type, or an item is of another.
    pub fn new(element: &str, items: Vec<Value>) -> Result<Self> {
        one(element)?;
        match items.iter().find(|item| item.signature() != element) {
            Some(item) => Err(Error::malformed(format!("a {} in an array of {element}", item.signature()))),
            None => Ok(Self { element: element.to_owned(), items }),
        }
    }

    pub(super) fn known(element: &str, items: Vec<Value>) -> Self {
        Self { element: element.to_owned(), items }
    }

    /// The signature of each item.
    #[must_use]
    pub fn element(&self) -> &str {
        &self.element
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Value {
    /// An array of texts.
    #[must_use]
    pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Array(Array::known("s", texts.into_iter().map(|text| Self::Text(text.to_owned())).collect()))
    }

    /// An array of bytes.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Array(Array::known("y", bytes.iter().map(|byte| Self::Byte(*byte)).collect()))
    }

    /// An array of 32-bit numbers.
    #[must_use]
    pub fn numbers(numbers: &[u32]) -> Self {
        Self::Array(Array::known("u", numbers.iter().map(|number| Self::U32(*number)).collect()))
    }

    /// The value in a variant.
    #[must_use]
    pub fn variant(value: Self) -> Self {
        Self::Variant(Box::new(value))
    }

    /// The type of this value, as one complete type.
    #[must_use]
    pub fn signature(&self) -> String {
        let letter = match self {
            Self::Byte(_) => "y",
            Self::Bool(_) => "b",
            Self::I16(_) => "n",
            Self::U16(_) => "q",
            Self::I32(_) => "i",
            Self::U32(_) => "u",
            Self::I64(_) => "x",
            Self::U64(_) => "t",
            Self::Double(_) => "d",
            Self::Text(_) => "s",
            Self::Path(_) => "o",
            Self::Signature(_) => "g",
            Self::Variant(_) => "v",
            Self::Array(array) => return format!("a{}", array.element),
            Self::Struct(fields) => {
                return format!("({})", fields.iter().map(Self::signature).collect::<String>());
            }
        };
        letter.to_owned()
    }

    /// The text of an `s`, `o` or `g`.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Path(text) | Self::Signature(text) => Some(text),
            _ => None,
        }
    }

    /// What is in the variant, and in the variant in that.
    #[must_use]
    pub fn inner(&self) -> &Self {
        let mut value = self;
        while let Self::Variant(inner) = value {
            value = inner;
        }
        value
    }
}

/// Numbers as they are, texts quoted, `[..]` and `(..)` around several: for messages.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(number) => write!(f, "{number:#04x}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::I16(number) => write!(f, "{number}"),
            Self::U16(number) => write!(f, "{number}"),
            Self::I32(number) => write!(f, "{number}"),
            Self::U32(number) => write!(f, "{number}"),
            Self::I64(number) => write!(f, "{number}"),
            Self::U64(u64::MAX) => f.write_str("infinity"),
            Self::U64(number) => write!(f, "{number}"),
            Self::Double(number) => write!(f, "{number}"),
            Self::Text(text) | Self::Path(text) | Self::Signature(text) => write!(f, "{text:?}"),
            Self::Array(array) => list(f, '[', &array.items, ']'),
            Self::Struct(fields) => list(f, '(', fields, ')'),
            Self::Variant(value) => write!(f, "{value}"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, open: char, items: &[Value], close: char) -> fmt::Result {
    write!(f, "{open}")?;
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    write!(f, "{close}")
}

/// Splits a signature into its complete types.
pub(super) fn split(signature: &str) -> Result<Vec<&str>> {
    if signature.len() > LONGEST {
        return Err(Error::malformed(format!("a signature of {} bytes", signature.len())));
    }
    let mut types = Vec::new();
    let mut rest = signature;
    while !rest.is_empty() {
        let length = complete(rest.as_bytes(), 0, 0);
        let (first, others) = length.and_then(|length| rest.split_at_checked(length)).ok_or_else(|| {
            Error::malformed(format!("signature {signature:?} is not valid or not supported"))
        })?;
        types.push(first);
        rest = others;
    }
    Ok(types)
}

/// Checks that a signature is one complete type.
pub(super) fn one(signature: &str) -> Result<()> {
    match split(signature)?.len() {
        1 => Ok(()),
        count => {
            Err(Error::malformed(format!("signature {signature:?} has {count} types where one is needed")))
        }
    }
}

/// The length of the first complete type of `signature`. Recursion ends at [`DEEPEST`] arrays and structs.
fn complete(signature: &[u8], arrays: u8, structs: u8) -> Option<usize> {
    match signature.first()? {
        b'a' if arrays < DEEPEST => Some(1 + complete(signature.get(1..)?, arrays + 1, structs)?),
        b'(' if structs < DEEPEST => {
            let mut at = 1;
            while *signature.get(at)? != b')' {
                at += complete(signature.get(at..)?, arrays, structs + 1)?;
            }
            (at > 1).then_some(at + 1)
        }
        b'y' | b'b' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b's' | b'o' | b'g' | b'v' => Some(1),
        _ => None,
    }
}

/// The alignment of a type by the first letter of its signature.
pub(super) fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'n' | b'q') => 2,
        Some(b'b' | b'i' | b'u' | b's' | b'o' | b'a') => 4,
        Some(b'x' | b't' | b'd' | b'(') => 8,
        _ => 1,
    }
}

/// True for `/` and for `/a/b_1`: the rules of the specification for object paths.
pub(super) fn is_path(path: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    path == "/" || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(word))
}
