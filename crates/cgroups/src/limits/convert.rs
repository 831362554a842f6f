//! From version 1's units to version 2's, as runc converts them.

use crate::error::{Error, Result};

/// `cpu.weight` (1 to 10000) for `cpu.shares`.
///
/// The curve of runc 1.4 and crun 1.23: 2 gives 1, 1024 gives 100 (both defaults), 262144 gives 10000, and in between
/// `10^((log2(shares)^2 + 125 log2(shares)) / 612 - 7/34)`, rounded up. (runc up to 1.3 had a line from 1 to 10000, which
/// made 39 of 1024.)
///
/// ```
/// assert_eq!([2, 512, 1024, 262_144].map(libcontainer_cgroups::limits::weight_of_shares), [1, 59, 100, 10_000]);
/// ```
#[must_use]
pub fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = f64::from(u32::try_from(shares).unwrap_or(u32::MAX)).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            // What is whole up to the last bits of the calculation must not be rounded up.
            let weight = (10_f64.powf(exponent) - 1e-9).ceil();
            u64::from((1..=10_000_u32).find(|whole| f64::from(*whole) >= weight).unwrap_or(10_000))
        }
    }
}

/// `io.weight` (1 to 10000) for a weight of `blkio` (10 to 1000): a straight line.
///
/// ```
/// assert_eq!([10, 500, 1000].map(libcontainer_cgroups::limits::io_weight), [1, 4950, 10_000]);
/// ```
#[must_use]
pub fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight.clamp(10, 1000)) - 10) * 9999 / 990
}

/// Version 2's limit of swap alone, for a limit of memory and swap together. -1 is unlimited.
///
/// # Errors
/// [`Error::Invalid`] when the memory is unlimited or above the sum.
pub fn swap_alone(memory_and_swap: i64, memory: Option<i64>) -> Result<i64> {
    let wrong = |problem: String| Err(Error::invalid("memory.swap", problem));
    match (memory_and_swap, memory) {
        (-1, _) => Ok(-1),
        (sum, None | Some(-1 | 0)) => wrong(format!("{sum} can't hold while memory.limit is unlimited")),
        (sum, Some(memory)) if sum < memory => {
            wrong(format!("{sum} is below memory.limit {memory}; it counts memory and swap together"))
        }
        (sum, Some(memory)) => Ok(sum - memory),
    }
}
