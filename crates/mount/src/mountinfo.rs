//! `/proc/PID/mountinfo` (proc_pid_mountinfo(5)), parsed from bytes: pure, without allocation where nothing is escaped.

use std::borrow::Cow;

/// One line: a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Id of the mount.
    pub id: u32,
    /// Id of the mount in which it lies; its own id for the root.
    pub parent: u32,
    /// Major and minor number of the filesystem's device.
    pub device: (u32, u32),
    /// Which directory of the filesystem is mounted.
    pub root: Cow<'a, [u8]>,
    /// Where it is mounted, seen from the process's root.
    pub target: Cow<'a, [u8]>,
    /// Options of the mount, such as `rw,nosuid`.
    pub options: &'a [u8],
    /// Optional fields such as `shared:1`, separated by spaces; may be empty.
    pub fields: &'a [u8],
    /// Type of the filesystem, with its subtype.
    pub fstype: Cow<'a, [u8]>,
    /// Source as the filesystem tells it.
    pub source: Cow<'a, [u8]>,
    /// Options of the filesystem.
    pub super_options: &'a [u8],
}

/// A line that is no mount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mountinfo line {line}: {what}")]
pub struct ParseError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is missing or wrong.
    pub what: &'static str,
}

/// The mounts in `text`, in order. Empty lines are passed over.
pub fn parse(text: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, ParseError>> {
    let lines = text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(index, line)| entry(line).map_err(|what| ParseError { line: index + 1, what }))
}

fn entry(line: &[u8]) -> Result<Entry<'_>, &'static str> {
    let mut rest = line;
    let id = number(word(&mut rest)?)?;
    let parent = number(word(&mut rest)?)?;
    let device = word(&mut rest)?;
    let colon = device.iter().position(|byte| *byte == b':').ok_or("no device number")?;
    let (major, minor) = device.split_at(colon);
    let device = (number(major)?, number(minor.get(1..).unwrap_or_default())?);
    let (root, target) = (unescape(word(&mut rest)?), unescape(word(&mut rest)?));
    let options = word(&mut rest)?;
    let fields = optional(&mut rest)?;
    let (fstype, source) = (unescape(word(&mut rest)?), unescape(word(&mut rest)?));
    Ok(Entry { id, parent, device, root, target, options, fields, fstype, source, super_options: rest })
}

/// Takes the text up to the next space. A word may be empty: some filesystems have an empty source.
fn word<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    let end = rest.iter().position(|byte| *byte == b' ').ok_or("too few fields")?;
    let (word, after) = rest.split_at(end);
    *rest = after.get(1..).unwrap_or_default();
    Ok(word)
}

/// Takes the optional fields and the lone `-` behind them.
fn optional<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    let whole = *rest;
    loop {
        let before = whole.len() - rest.len();
        if word(rest)? == b"-" {
            return Ok(whole.get(..before.saturating_sub(1)).unwrap_or_default());
        }
    }
}

fn number(text: &[u8]) -> Result<u32, &'static str> {
    let digit = |value: u32, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    };
    let parsed = text.iter().try_fold(0, digit);
    parsed.filter(|_| !text.is_empty()).ok_or("not a number")
}

/// Resolves `\040` and the like: the kernel writes space, tab, newline, backslash and `#` so. Other backslashes stay.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = text.iter().position(|byte| *byte == b'\\') else { return Cow::Borrowed(text) };
    let (plain, mut rest) = text.split_at(first);
    let mut all = plain.to_vec();
    while let Some((byte, after)) = rest.split_first() {
        if let (b'\\', Some(value)) = (*byte, after.get(..3).and_then(octal)) {
            all.push(value);
            rest = after.get(3..).unwrap_or_default();
        } else {
            all.push(*byte);
            rest = after;
        }
    }
    Cow::Owned(all)
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digit =
        |value: u32, byte: &u8| (b'0'..=b'7').contains(byte).then(|| value * 8 + u32::from(byte - b'0'));
    u8::try_from(digits.iter().try_fold(0, digit)?).ok()
}

/// The mounts of a namespace as a tree: children of each mount, by its id.
#[derive(Clone, Debug, Default)]
pub struct MountTable<'a> {
    entries: Vec<Entry<'a>>,
}

impl<'a> MountTable<'a> {
    /// Reads all of `text`.
    ///
    /// # Errors
    /// The first line that is no mount.
    pub fn parse(text: &'a [u8]) -> Result<Self, ParseError> {
        Ok(Self { entries: parse(text).collect::<Result<_, _>>()? })
    }

    /// All mounts, in the kernel's order.
    #[must_use]
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// Mounts whose parent is not in the table: the roots of the tree.
    pub fn roots(&self) -> impl Iterator<Item = &Entry<'a>> {
        let known: std::collections::BTreeSet<u32> = self.entries.iter().map(|entry| entry.id).collect();
        self.entries.iter().filter(move |entry| entry.parent == entry.id || !known.contains(&entry.parent))
    }

    /// The mounts that lie directly in `id`.
    pub fn children(&self, id: u32) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter().filter(move |entry| entry.parent == id && entry.id != id)
    }

    /// The topmost mount at exactly `target`.
    #[must_use]
    pub fn at(&self, target: &[u8]) -> Option<&Entry<'a>> {
        self.entries.iter().rev().find(|entry| *entry.target == *target)
    }
}

#[cfg(test)]
#[path = "mountinfo_tests.rs"]
mod tests;
