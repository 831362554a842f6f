//! Lists of small numbers, CPUs or memory nodes, in the kernel's list format: cpuset(7), "List format".

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Numbers that a list may hold: 0 to 8191, the most CPUs that Linux can be built for.
const LIMIT: usize = 8192;

/// A set of CPUs or of memory nodes; in JSON a text such as `0-3,8`. Not empty if it was read from text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NumberList {
    /// Bit *n* of byte *n* / 8, without zero bytes at the end.
    bytes: Vec<u8>,
}

/// Text that is no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: no list of numbers below {LIMIT} such as \"0-3,8\"")]
pub struct NumberListError {
    /// The text as given.
    pub text: String,
}

impl NumberList {
    /// The set as a mask: bit *n* of byte *n* / 8, as sched_setaffinity(2) takes it on machines that are little endian.
    #[must_use]
    pub fn mask(&self) -> &[u8] {
        &self.bytes
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        let bit =
            |number: &usize| self.bytes.get(number / 8).is_some_and(|byte| byte & (1 << (number % 8)) != 0);
        (0..self.bytes.len() * 8).filter(bit)
    }

    fn add(&mut self, number: usize) {
        if self.bytes.len() <= number / 8 {
            self.bytes.resize(number / 8 + 1, 0);
        }
        if let Some(byte) = self.bytes.get_mut(number / 8) {
            *byte |= 1 << (number % 8);
        }
    }
}

impl FromIterator<u16> for NumberList {
    /// Numbers of 8192 and more are left out: no kernel has them.
    fn from_iter<I: IntoIterator<Item = u16>>(numbers: I) -> Self {
        let mut list = Self::default();
        numbers
            .into_iter()
            .map(usize::from)
            .filter(|number| *number < LIMIT)
            .for_each(|number| list.add(number));
        list
    }
}

impl FromStr for NumberList {
    type Err = NumberListError;

    fn from_str(text: &str) -> Result<Self, NumberListError> {
        let wrong = || NumberListError { text: text.to_owned() };
        let mut list = Self::default();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = number(first).zip(number(last)).ok_or_else(wrong)?;
            if first > last {
                return Err(wrong());
            }
            (first..=last).for_each(|number| list.add(number));
        }
        Ok(list)
    }
}

/// Digits only: no sign, no blank.
fn number(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number < LIMIT)
}

impl fmt::Display for NumberList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for number in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        for (index, (first, last)) in ranges.into_iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

impl Serialize for NumberList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NumberList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written() {
        for (text, wanted, mask) in [
            ("0", "0", &[1_u8][..]),
            ("0-3,8", "0-3,8", &[15, 1]),
            ("8,0,1,3,2", "0-3,8", &[15, 1]),
            ("3-3,2", "2-3", &[12]),
        ] {
            let list: NumberList = text.parse().unwrap();
            assert_eq!((list.to_string().as_str(), list.mask()), (wanted, mask), "{text}");
        }
        let last: NumberList = "8191".parse().unwrap();
        assert_eq!(last.mask().len(), 1024);
        assert_eq!(last, NumberList::from_iter([8191, 8192]));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            ",",
            "0,",
            "3-1",
            "8192",
            "-1",
            "+1",
            " 1",
            "1-",
            "a",
            "0-3-5",
            "99999999999999999999",
            "0x1",
        ] {
            assert!(text.parse::<NumberList>().is_err(), "{text:?}");
        }
        let error = "x".parse::<NumberList>().unwrap_err();
        assert_eq!(error.to_string(), r#""x": no list of numbers below 8192 such as "0-3,8""#);
    }
}
