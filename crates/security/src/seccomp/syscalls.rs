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
/// By column: what is asked about one architecture lies close together.
static NUMBERS: [[u16; COUNT]; COLUMNS] = numbers();
/// The rows of each column in order of their numbers, those of one number in order of the names; behind the last `N`.
static IN_ORDER: [[u16; COUNT]; COLUMNS] = sorted();
/// Where each name is found: at its hash or behind that, before the next `N`.
static SLOTS: [u16; SLOT_COUNT] = slots();
/// A power of two, and twice as many as there are names, so that few share a place.
const SLOT_COUNT: usize = 1024;
const _: () = assert!(SLOT_COUNT.is_power_of_two() && COUNT < SLOT_COUNT * 3 / 4);

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
const fn numbers() -> [[u16; COUNT]; COLUMNS] {
    let mut all = [[N; COUNT]; COLUMNS];
    let mut row = 0;
    while row < COUNT {
        let mut column = 0;
        while column < COLUMNS {
            all[column][row] = ROWS[row].1[column];
            column += 1;
        }
        row += 1;
    }
    all
}

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn sorted() -> [[u16; COUNT]; COLUMNS] {
    let (numbers, mut all) = (numbers(), [[N; COUNT]; COLUMNS]);
    let mut column = 0;
    while column < COLUMNS {
        all[column] = ordered(&numbers[column]);
        column += 1;
    }
    all
}

/// More than any number, ARM's own among the last.
const PLACES: u32 = 1024;

const fn place(number: u16) -> usize {
    let wide = number as u32;
    let private = wide >= ARM_PRIVATE_HERE;
    (if private { wide - ARM_PRIVATE_HERE + PLACES - 64 } else { wide }) as usize
}

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "the compiler evaluates it")]
const fn ordered(numbers: &[u16; COUNT]) -> [u16; COUNT] {
    let (mut all, mut next, mut row) = ([N; COUNT], [0; PLACES as usize + 1], 0);
    while row < COUNT {
        if numbers[row] != N {
            next[place(numbers[row]) + 1] += 1;
        }
        row += 1;
    }
    let mut number = 0;
    while number < PLACES as usize {
        next[number + 1] += next[number];
        number += 1;
    }
    row = 0;
    while row < COUNT {
        if numbers[row] != N {
            let at = &mut next[place(numbers[row])];
            all[*at] = row as u16;
            *at += 1;
        }
        row += 1;
    }
    all
}

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "the compiler evaluates it")]
const fn slots() -> [u16; SLOT_COUNT] {
    let mut all = [N; SLOT_COUNT];
    let mut row = 0;
    while row < COUNT {
        let mut slot = hash(ROWS[row].0.as_bytes());
        while all[slot] != N {
            slot = (slot + 1) % SLOT_COUNT;
        }
        all[slot] = row as u16;
        row += 1;
    }
    all
}

/// The place in `SLOTS` to begin at: FNV-1a, folded.
const fn hash(name: &[u8]) -> usize {
    let (mut hash, mut rest) = (0x811c_9dc5_u32, name);
    while let [letter, behind @ ..] = rest {
        hash = (hash ^ *letter as u32).wrapping_mul(0x0100_0193);
        rest = behind;
    }
    (hash ^ (hash >> 15)) as usize % SLOT_COUNT
}

/// A system call that some architecture has; in the order of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(u16);

impl Name {
    /// How many there are.
    pub(super) const COUNT: usize = COUNT;

    /// The name as the kernel writes it.
    pub(super) fn find(name: &str) -> Option<Self> {
        let (before, from) = SLOTS.split_at_checked(hash(name.as_bytes()))?;
        let taken = from.iter().chain(before).copied().take_while(|row| *row != N);
        taken.map(Self).find(|row| row.letters() == Some(name.as_bytes()))
    }

    /// A name that is there, or else this is not compiled.
    #[allow(clippy::indexing_slicing, clippy::panic, reason = "the compiler evaluates it")]
    pub(super) const fn known(name: &[u8]) -> Self {
        let slots = &const { slots() };
        let mut slot = hash(name);
        while slots[slot] != N {
            if is_same(ROWS[slots[slot] as usize].0.as_bytes(), name) {
                return Self(slots[slot]);
            }
            slot = (slot + 1) % SLOT_COUNT;
        }
        panic!("a system call that no architecture has")
    }

    /// Its place among all names.
    pub(super) fn place(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn text(self) -> &'static str {
        // The table is ASCII.
        self.letters().and_then(|letters| std::str::from_utf8(letters).ok()).unwrap_or_default()
    }

    fn letters(self) -> Option<&'static [u8]> {
        let (start, end) = (STARTS.get(self.place())?, STARTS.get(self.place() + 1)?);
        NAMES.get(usize::from(*start)..usize::from(*end))
    }

    /// Its number in a column.
    pub(super) fn number(self, column: usize) -> Option<u32> {
        full(*NUMBERS.get(column)?.get(self.place())?)
    }
}

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut letter = 0;
    while letter < one.len() && letter < other.len() && one[letter] == other[letter] {
        letter += 1;
    }
    letter == one.len() && letter == other.len()
}

/// A number of the table in full.
fn full(number: u16) -> Option<u32> {
    let wide = u32::from(number);
    let private = wide >= ARM_PRIVATE_HERE;
    (number != N).then(|| if private { wide - ARM_PRIVATE_HERE + ARM_PRIVATE } else { wide })
}

/// All of a column, by name.
pub(super) fn all(column: usize) -> impl Iterator<Item = (Name, u32)> {
    (0..).map(Name).take(COUNT).filter_map(move |name| Some((name, name.number(column)?)))
}

/// All of a column, by number.
pub(super) fn in_order(column: usize) -> impl Iterator<Item = (Name, u32)> {
    let rows = IN_ORDER.get(column).into_iter().flatten().copied().take_while(|row| *row != N);
    rows.map(Name).filter_map(move |name| Some((name, name.number(column)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        let names: Vec<_> = (0..).take(COUNT).map(|row| Name(row).text()).collect();
        assert!(names.is_sorted() && names.len() > 500);
        assert!(names.iter().all(|name| Name::find(name).is_some_and(|found| found.text() == *name)));
        assert!(["", "rea", "readz", "zz"].iter().all(|name| Name::find(name).is_none()));
    }

    #[test]
    fn each_column_is_in_order_of_its_numbers() {
        for column in (0..COLUMNS).step_by(if cfg!(miri) { 9 } else { 1 }) {
            let mut sorted: Vec<_> = all(column).map(|(name, number)| (number, name)).collect();
            sorted.sort_unstable();
            assert!(in_order(column).map(|(name, number)| (number, name)).eq(sorted), "{column}");
        }
    }

    #[test]
    fn a_name_is_known_to_the_compiler() {
        const READ: Name = Name::known(b"read");
        assert_eq!((READ.text(), Name::find("read")), ("read", Some(READ)));
    }
}
