//! Lists that keep the memory of their elements, so that filling one again allocates nothing.

use std::fmt;
use std::ops::Deref;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scan::{self, Malformed, Parsed, leading_number, pair};

/// A list of which [`Reader::read_into`](super::Reader::read_into) fills the elements anew, names included, in the memory of the last time.
///
/// Behaves as a slice of the live elements.
#[derive(Clone)]
pub struct List<T> {
    slots: Vec<T>,
    live: usize,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), live: 0 }
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.slots.get(..self.live).unwrap_or_default()
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let slots: Vec<T> = items.into_iter().collect();
        Self { live: slots.len(), slots }
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from_iter)
    }
}

impl<T: Default> List<T> {
    /// Empties the list; the elements stay behind as memory to fill again.
    pub(super) fn clear(&mut self) {
        self.live = 0;
    }

    /// The element after the last, which now lives; it still holds what it held before.
    pub(super) fn grow(&mut self) -> Option<&mut T> {
        if self.live == self.slots.len() {
            self.slots.push(T::default());
        }
        self.live += 1;
        self.slots.get_mut(self.live - 1)
    }
}

/// An element that has a name.
pub(super) trait Named: Default {
    fn name(&self) -> &str;
    /// Makes this the element `name`, with nothing else in it.
    fn restart(&mut self, name: &str);

    /// The element `name` of `list`, made when there is none.
    fn of<'l>(list: &'l mut List<Self>, name: &[u8]) -> Result<&'l mut Self, Malformed> {
        match list.iter().position(|item| item.name().as_bytes() == name) {
            Some(at) => list.slots.get_mut(at).ok_or_else(|| Malformed::new("a name", name)),
            None => Self::next_of(list, name),
        }
    }

    /// The element after the last of `list`, which gets `name`.
    fn next_of<'l>(list: &'l mut List<Self>, name: &[u8]) -> Result<&'l mut Self, Malformed> {
        let text = std::str::from_utf8(name).map_err(|_| Malformed::new("a name", name))?;
        let item = list.grow().ok_or_else(|| Malformed::new("a name", name))?;
        item.restart(text);
        Ok(item)
    }
}

/// Puts `name` into `target` without a new allocation where the old one suffices.
pub(super) fn rename(target: &mut String, name: &str) {
    if target != name {
        target.clear();
        target.push_str(name);
    }
}

/// The table of a file of `key value` lines, in the kernel's order. JSON: an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters(List<Counter>);

#[derive(Debug, Clone, Default, PartialEq)]
struct Counter {
    name: String,
    value: u64,
}

impl Counters {
    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|counter| counter.name == name).map(|counter| counter.value)
    }

    /// Names and values, in the kernel's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|counter| (counter.name.as_str(), counter.value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn parse(&mut self, mut text: &[u8]) -> Parsed {
        self.clear();
        while !text.is_empty() {
            let Some(counter) = self.0.grow() else { return Ok(()) };
            // A kernel shows the same names in the same order each time: mostly the line need not be searched for its parts.
            if let Some((value, rest)) = expected(text, &counter.name) {
                counter.value = value;
                text = rest;
                continue;
            }
            let (line, rest) = scan::split(text, b'\n').unwrap_or((text, &[]));
            text = rest;
            let (name, value) = pair(line)?;
            let name = std::str::from_utf8(name).map_err(|_| Malformed::new("a name", name))?;
            rename(&mut counter.name, name);
            counter.value = value;
        }
        Ok(())
    }
}

/// The value of a line that starts with `name`, and what follows the line.
fn expected<'a>(text: &'a [u8], name: &str) -> Option<(u64, &'a [u8])> {
    if name.is_empty() {
        return None;
    }
    let value = text.strip_prefix(name.as_bytes())?.strip_prefix(b" ")?;
    match leading_number(value)? {
        (value, [b'\n', rest @ ..]) => Some((value, rest)),
        _ => None,
    }
}

impl<'a> FromIterator<(&'a str, u64)> for Counters {
    fn from_iter<I: IntoIterator<Item = (&'a str, u64)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| Counter { name: name.to_owned(), value }).collect())
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Counters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = Counters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Counters, A::Error> {
                let mut all = Vec::new();
                while let Some((name, value)) = map.next_entry()? {
                    all.push(Counter { name, value });
                }
                Ok(Counters(all.into_iter().collect()))
            }
        }
        deserializer.deserialize_map(Table)
    }
}
