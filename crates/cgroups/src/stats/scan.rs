//! Reading the kernel's text byte by byte: no UTF-8 check, no copy, no panic on any input.

use super::Limit;

/// Why a text is not what the file's format says. Costs an allocation, so it's made only on the way out.
#[derive(Debug)]
pub(crate) struct Malformed(pub(crate) String);

/// Outcome of a parser.
pub(crate) type Parsed = Result<(), Malformed>;

/// The most that a message quotes of an offending text.
const QUOTED: usize = 80;

impl Malformed {
    #[cold]
    pub(super) fn new(expected: &str, text: &[u8]) -> Self {
        let quoted = text.get(..QUOTED).unwrap_or(text);
        Self(format!("expected {expected}, found {:?}", String::from_utf8_lossy(quoted)))
    }
}

/// The lines that hold anything.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Splits at the first `by`.
pub(super) fn split(text: &[u8], by: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == by)?;
    let (head, tail) = text.split_at_checked(at)?;
    Some((head, tail.get(1..)?))
}

/// So many digits always fit into 64 bits.
const SURE: usize = 19;

/// The decimal number that `text` starts with, and what follows it. None without a digit, or beyond 64 bits.
pub(super) fn leading_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits).filter(|(digits, _)| !digits.is_empty())?;
    let (sure, more) = digits.split_at_checked(SURE).unwrap_or((digits, &[]));
    let mut value = sure.iter().fold(0_u64, |value, byte| value * 10 + u64::from(byte - b'0'));
    for byte in more {
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    Some((value, rest))
}

/// A word that is a decimal number and nothing else.
pub(super) fn number(word: &[u8]) -> Result<u64, Malformed> {
    match leading_number(word) {
        Some((value, [])) => Ok(value),
        _ => Err(Malformed::new("a number", word)),
    }
}

/// The two words `key value` of a line.
pub(super) fn pair(line: &[u8]) -> Result<(&[u8], u64), Malformed> {
    // As the kernel writes it: one space, and nothing around.
    if let Some((key, Some((value, [])))) = split(line, b' ').map(|(key, value)| (key, leading_number(value)))
    {
        if !key.trim_ascii().is_empty() {
            return Ok((key, value));
        }
    }
    let mut words = words(line);
    match (words.next(), words.next(), words.next()) {
        (Some(key), Some(value), None) => Ok((key, number(value)?)),
        _ => Err(Malformed::new("`key value`", line)),
    }
}

/// Calls `each` with every `key value` line.
pub(crate) fn pairs(text: &[u8], mut each: impl FnMut(&[u8], u64)) -> Parsed {
    for line in lines(text) {
        let (key, value) = pair(line)?;
        each(key, value);
    }
    Ok(())
}

/// A file that holds one number.
pub(super) fn value(text: &[u8], field: &mut Option<u64>) -> Parsed {
    *field = Some(number(text.trim_ascii())?);
    Ok(())
}

/// A file that holds one switch, 0 or 1.
pub(super) fn switch(text: &[u8], field: &mut Option<bool>) -> Parsed {
    *field = Some(number(text.trim_ascii())? != 0);
    Ok(())
}

/// A file that holds one limit: a number, `max`, or version 1's largest number.
pub(super) fn limit(text: &[u8], field: &mut Option<Limit>) -> Parsed {
    *field = Some(limit_of(text.trim_ascii())?);
    Ok(())
}

/// Version 1 has no word for "no limit": it shows the largest count of pages that a `long` holds, in bytes, and huge pages
/// count too. None is above 16 GiB, so all that is nearer to the top than that means the same.
const V1_UNLIMITED: u64 = (1 << 63) - (1 << 34);

pub(super) fn limit_of(word: &[u8]) -> Result<Limit, Malformed> {
    if word == b"max" {
        return Ok(Limit::Max);
    }
    match number(word) {
        Ok(value) if value >= V1_UNLIMITED => Ok(Limit::Max),
        Ok(value) => Ok(Limit::At(value)),
        Err(_) => Err(Malformed::new("a number or `max`", word)),
    }
}

/// Nanoseconds of a count of microseconds.
pub(super) fn nanoseconds(microseconds: u64) -> u64 {
    microseconds.saturating_mul(1000)
}
