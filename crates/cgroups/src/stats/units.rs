//! The two units that version 1 counts in and that the machine decides: pages and clock ticks.

use std::sync::OnceLock;

/// Of the auxiliary vector, getauxval(3).
const AT_PAGESZ: usize = 6;
const AT_CLKTCK: usize = 17;

/// What one page and one clock tick are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units {
    /// Bytes of a page.
    pub(super) page: u64,
    /// Nanoseconds of a tick of `USER_HZ`.
    pub(super) tick: u64,
}

impl Default for Units {
    fn default() -> Self {
        Self { page: 4096, tick: 10_000_000 }
    }
}

impl Units {
    /// This machine's, out of `/proc/self/auxv`; 4 KiB and 10 ms where it can't be read.
    pub(super) fn of_this_machine() -> Self {
        static UNITS: OnceLock<Units> = OnceLock::new();
        *UNITS.get_or_init(|| {
            std::fs::read("/proc/self/auxv").map_or_else(|_| Self::default(), |vector| parse(&vector))
        })
    }
}

fn parse(vector: &[u8]) -> Units {
    let mut units = Units::default();
    let mut words = vector
        .chunks_exact(size_of::<usize>())
        .map(|word| usize::from_ne_bytes(word.try_into().unwrap_or_default()));
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        let value = u64::try_from(value).unwrap_or_default();
        match key {
            AT_PAGESZ if value > 0 => units.page = value,
            AT_CLKTCK if value > 0 => units.tick = 1_000_000_000 / value,
            _ => {}
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_auxiliary_vector_says_page_and_tick() {
        let vector: Vec<u8> = [33_usize, 7, AT_PAGESZ, 65536, AT_CLKTCK, 250, 0, 0]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        assert_eq!(parse(&vector), Units { page: 65536, tick: 4_000_000 });
        assert_eq!(parse(&vector[..5]), Units::default());
        assert_eq!(parse(&[0; 64]), Units::default());
    }

    #[test]
    fn this_machine_has_both() {
        let units = Units::of_this_machine();
        assert!(units.page.is_power_of_two() && units.tick > 0, "{units:?}");
    }
}
