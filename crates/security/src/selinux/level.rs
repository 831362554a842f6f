//! Levels of MCS and MLS: a sensitivity and a set of categories.

use std::fmt;
use std::str::FromStr;

use super::malformed::ContextError;

/// How many categories there are: `c0` to `c1023`, in every policy that is shipped.
pub const CATEGORIES: u16 = 1024;

const WORDS: usize = CATEGORIES as usize / 64;

/// A set of categories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Categories([u64; WORDS]);

impl Categories {
    /// The set of these; `None` if one is above `c1023`.
    #[must_use]
    pub fn of(categories: impl IntoIterator<Item = u16>) -> Option<Self> {
        let mut set = Self::default();
        categories.into_iter().all(|category| set.insert(category)).then_some(set)
    }

    /// Whether it was one of the 1024.
    fn insert(&mut self, category: u16) -> bool {
        let word = self.0.get_mut(usize::from(category / 64));
        word.map(|word| *word |= 1 << (category % 64)).is_some()
    }

    /// Whether this one is in it.
    #[must_use]
    pub fn contains(&self, category: u16) -> bool {
        let word = self.0.get(usize::from(category / 64));
        word.is_some_and(|word| word & (1 << (category % 64)) != 0)
    }

    /// Whether all of `other` are in it.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).all(|(own, other)| own & other == other)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..CATEGORIES).filter(|category| self.contains(*category))
    }

    /// Runs of neighbours: first and last.
    fn runs(&self) -> Vec<(u16, u16)> {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for category in self.iter() {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == category => *last = category,
                _ => runs.push((category, category)),
            }
        }
        runs
    }
}

impl fmt::Display for Categories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.runs().into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}c{first}")?;
            // The kernel writes two neighbours one by one: mls_sid_to_context().
            match last - first {
                0 => {}
                1 => write!(f, ",c{last}")?,
                _ => write!(f, ".c{last}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Categories {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, ContextError> {
        let mut set = Self::default();
        for piece in text.split(',') {
            let (first, last) = piece.split_once('.').unwrap_or((piece, piece));
            let range = (category(first)?, category(last)?);
            // As the kernel: `c1.c1` is no range.
            if piece.contains('.') && range.0 >= range.1 {
                return Err(ContextError::new("categories", piece, "the range goes backward"));
            }
            (range.0..=range.1).for_each(|category| {
                set.insert(category);
            });
        }
        Ok(set)
    }
}

fn category(text: &str) -> Result<u16, ContextError> {
    let found = text.strip_prefix('c').and_then(number).filter(|found| *found < CATEGORIES);
    found.ok_or_else(|| ContextError::new("category", text, "not one of c0 to c1023"))
}

/// Decimal digits without a leading zero, as the names of sensitivities and categories have them.
fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| digits && plain)
}

/// A sensitivity and a set of categories: `s0`, `s0:c1,c2`, `s15:c0.c1023`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Level {
    /// The number of the sensitivity; 0 where only MCS is used.
    pub sensitivity: u16,
    /// The categories.
    pub categories: Categories,
}

impl Level {
    /// Sensitivity 0 and two categories, as a container has them; `None` if they are one, or there is no such category.
    #[must_use]
    pub fn pair(one: u16, other: u16) -> Option<Self> {
        let categories = Categories::of([one, other]).filter(|_| one != other)?;
        Some(Self { sensitivity: 0, categories })
    }

    /// Whether who has this level may have the other too: no less a sensitivity, and all of its categories.
    #[must_use]
    pub fn dominates(&self, other: &Self) -> bool {
        self.sensitivity >= other.sensitivity && self.categories.includes(&other.categories)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.sensitivity)?;
        if self.categories.is_empty() { Ok(()) } else { write!(f, ":{}", self.categories) }
    }
}

impl FromStr for Level {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, ContextError> {
        let (sensitivity, categories) = match text.split_once(':') {
            Some((sensitivity, categories)) => (sensitivity, categories.parse()?),
            None => (text, Categories::default()),
        };
        let found = sensitivity.strip_prefix('s').and_then(number);
        let sensitivity =
            found.ok_or_else(|| ContextError::new("sensitivity", sensitivity, "not s and a number"))?;
        Ok(Self { sensitivity, categories })
    }
}

/// From a low level to a high one that dominates it: `s0-s0:c0.c1023`; one level is written once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Range {
    low: Level,
    high: Level,
}

impl Range {
    /// `None` if `high` does not dominate `low`.
    #[must_use]
    pub fn new(low: Level, high: Level) -> Option<Self> {
        high.dominates(&low).then_some(Self { low, high })
    }

    /// What it has.
    #[must_use]
    pub fn low(&self) -> Level {
        self.low
    }

    /// What it may have at most.
    #[must_use]
    pub fn high(&self) -> Level {
        self.high
    }
}

impl From<Level> for Range {
    fn from(level: Level) -> Self {
        Self { low: level, high: level }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high { self.low.fmt(f) } else { write!(f, "{}-{}", self.low, self.high) }
    }
}

impl FromStr for Range {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, ContextError> {
        let Some((low, high)) = text.split_once('-') else { return Ok(text.parse::<Level>()?.into()) };
        let range = Self::new(low.parse()?, high.parse()?);
        range.ok_or_else(|| ContextError::new("range", text, "the high level does not dominate the low one"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_written_as_the_kernel_writes_them() {
        for (text, wanted) in [
            ("s0", "s0"),
            ("s0-s0", "s0"),
            ("s0-s0:c0.c1023", "s0-s0:c0.c1023"),
            ("s0:c475,c164", "s0:c164,c475"),
            ("s0:c1,c0", "s0:c0,c1"),
            ("s0:c0.c1", "s0:c0,c1"),
            ("s0:c0.c2", "s0:c0.c2"),
            ("s0:c2,c0,c1,c7,c6", "s0:c0.c2,c6,c7"),
            ("s0:c63,c64,c1023", "s0:c63,c64,c1023"),
            ("s0:c5,c5", "s0:c5"),
            ("s1:c3-s15:c0.c9,c20", "s1:c3-s15:c0.c9,c20"),
        ] {
            assert_eq!(text.parse::<Range>().map(|range| range.to_string()), Ok(wanted.to_owned()));
        }
    }

    #[test]
    fn domination_takes_sensitivity_and_categories() {
        let level = |text: &str| text.parse::<Level>().unwrap();
        for (high, low, wanted) in [
            ("s0", "s0", true),
            ("s1", "s0", true),
            ("s0", "s1", false),
            ("s0:c0.c1023", "s0:c5,c9", true),
            ("s0:c5", "s0:c5,c9", false),
            ("s5", "s0:c0", false),
        ] {
            assert_eq!(level(high).dominates(&level(low)), wanted, "{high} {low}");
        }
        assert_eq!(Range::new(level("s1"), level("s0")), None);
    }

    #[test]
    fn pairs_have_two_categories() {
        assert_eq!(Level::pair(475, 164).map(|level| level.to_string()), Some("s0:c164,c475".to_owned()));
        assert_eq!((Level::pair(3, 3), Level::pair(0, 1024)), (None, None));
    }

    #[test]
    fn sets_are_sets() {
        let set = Categories::of([7, 1023, 0, 7]).unwrap();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 7, 1023]);
        assert!(set.includes(&Categories::of([7]).unwrap()) && !set.includes(&Categories::of([8]).unwrap()));
        assert!(!set.contains(u16::MAX));
        assert!(Categories::default().is_empty() && !set.is_empty());
    }
}
