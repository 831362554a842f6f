//! Names and numbers of system calls, by the kernel's own headers.

use std::cmp::Ordering;

/// A number that the table says is none.
const N: u16 = u16::MAX;
const COLUMNS: usize = 18;
/// The table as it was written; what is kept in the program is made of it below, without a pointer per name.
const ROWS: &[(&str, [u16; COLUMNS])] = &include!("syscalls.in");
const COUNT: usize = ROWS.len();
const LETTERS: usize = letters();
const _: () = assert!(LETTERS < 0x1_0000);

/// All names behind one another, in order.
static NAMES: [u8; LETTERS] = names();
/// Where each name begins in `NAMES`, and where the last one ends.
static STARTS: [u16; COUNT + 1] = starts();
static NUMBERS: [[u16; COLUMNS]; COUNT] = numbers();

/// ARM's own calls: their numbers, and where the table has them.
pub(super) const ARM_PRIVATE: u32 = 0xf_0000;
const ARM_PRIVATE_HERE: u32 = 0xf000;

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn letters() -> usize {
    let (mut row, mut sum) = (0, 0);
    while row < COUNT {
        sum += ROWS[row].0.len();
        row += 1;
    }
    sum
}

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn names() -> [u8; LETTERS] {
    let mut all = [0; LETTERS];
    let (mut row, mut end) = (0, 0);
    while row < COUNT {
        let name = ROWS[row].0.as_bytes();
        let mut letter = 0;
        while letter < name.len() {
            all[end] = name[letter];
            letter += 1;
            end += 1;
        }
        row += 1;
    }
    all
}

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "the compiler evaluates it")]
const fn starts() -> [u16; COUNT + 1] {
    let mut all = [0; COUNT + 1];
    let (mut row, mut end) = (0, 0);
    while row < COUNT {
        all[row] = end as u16;
        end += ROWS[row].0.len();
        row += 1;
    }
    all[COUNT] = end as u16;
    all
}

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn numbers() -> [[u16; COLUMNS]; COUNT] {
    let mut all = [[N; COLUMNS]; COUNT];
    let mut row = 0;
    while row < COUNT {
        all[row] = ROWS[row].1;
        row += 1;
    }
    all
}

/// A system call that some architecture has; in the order of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(usize);

impl Name {
    /// The name as the kernel writes it.
    pub(super) fn find(name: &str) -> Option<Self> {
        let (mut low, mut high) = (0, COUNT);
        while low < high {
            let middle = low.midpoint(high);
            match letters_of(middle)?.cmp(name.as_bytes()) {
                Ordering::Equal => return Some(Self(middle)),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    pub(super) fn text(self) -> &'static str {
        // The table is ASCII.
        letters_of(self.0).and_then(|letters| std::str::from_utf8(letters).ok()).unwrap_or_default()
    }

    /// Its number in a column.
    pub(super) fn number(self, column: usize) -> Option<u32> {
        full(*NUMBERS.get(self.0)?.get(column)?)
    }
}

fn letters_of(row: usize) -> Option<&'static [u8]> {
    let (start, end) = (STARTS.get(row)?, STARTS.get(row + 1)?);
    NAMES.get(usize::from(*start)..usize::from(*end))
}

/// A number of the table in full.
fn full(number: u16) -> Option<u32> {
    let wide = u32::from(number);
    let private = wide >= ARM_PRIVATE_HERE;
    (number != N).then(|| if private { wide - ARM_PRIVATE_HERE + ARM_PRIVATE } else { wide })
}

/// All of a column, by name.
pub(super) fn all(column: usize) -> impl Iterator<Item = (Name, u32)> {
    (0..COUNT).map(Name).filter_map(move |name| Some((name, name.number(column)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        let names: Vec<_> = (0..COUNT).map(|row| Name(row).text()).collect();
        assert!(names.is_sorted() && names.len() > 500);
        assert!(names.iter().all(|name| Name::find(name).is_some_and(|found| found.text() == *name)));
        assert!(["", "rea", "readz", "zz"].iter().all(|name| Name::find(name).is_none()));
    }
}
