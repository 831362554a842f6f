//! Numbers that the kernel may not tell: the messages have no word for that but 0.

use libcontainer::cgroups::stats::Limit;

/// A limit as a number: none is the largest.
pub(super) fn limit(limit: Option<Limit>) -> u64 {
    match limit {
        Some(Limit::At(value)) => value,
        Some(Limit::Max) => u64::MAX,
        None => 0,
    }
}

pub(super) fn number(value: Option<u64>) -> u64 {
    value.unwrap_or(0)
}
