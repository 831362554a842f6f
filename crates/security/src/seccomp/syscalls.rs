//! Names and numbers of system calls, by the kernel's own headers.

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

/// The name in a row.
fn row(row: usize) -> Option<&'static str> {
    let (start, end) = (STARTS.get(row)?, STARTS.get(row + 1)?);
    std::str::from_utf8(NAMES.get(usize::from(*start)..usize::from(*end))?).ok()
}

fn find(name: &str) -> Option<usize> {
    let (mut low, mut high) = (0, COUNT);
    while low < high {
        let middle = low.midpoint(high);
        match row(middle)?.cmp(name) {
            std::cmp::Ordering::Equal => return Some(middle),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

/// A number of the table in full.
fn full(number: u16) -> Option<u32> {
    let wide = u32::from(number);
    let private = wide >= ARM_PRIVATE_HERE;
    (number != N).then(|| if private { wide - ARM_PRIVATE_HERE + ARM_PRIVATE } else { wide })
}

/// The number of a name in a column.
pub(super) fn number(column: usize, name: &str) -> Option<u32> {
    full(*NUMBERS.get(find(name)?)?.get(column)?)
}

/// The first name that has this number.
pub(super) fn name(column: usize, number: u32) -> Option<&'static str> {
    all(column).find(|(_, found)| *found == number).map(|(name, _)| name)
}

/// Whether some architecture has a call of that name.
pub(super) fn is_known(name: &str) -> bool {
    find(name).is_some()
}

/// All of a column, by name.
pub(super) fn all(column: usize) -> impl Iterator<Item = (&'static str, u32)> {
    let cell = move |index: usize| full(*NUMBERS.get(index)?.get(column)?);
    (0..COUNT).filter_map(move |index| Some((row(index)?, cell(index)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        let names: Vec<_> = (0..COUNT).map(|index| row(index).unwrap()).collect();
        assert!(names.is_sorted() && names.len() > 500);
        assert!(names.iter().all(|name| find(name).is_some()));
        assert!(["", "rea", "readz", "zz"].iter().all(|name| !is_known(name)));
    }
}
