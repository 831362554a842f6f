//! The order of patterns.

use std::collections::{HashMap, HashSet};

use crate::map::Piece;

/// Bytes that a pattern may bring along without being set apart.
const LITTLE: u64 = 256;

/// Patterns of pieces that were called, in the order of their calls. Those that stand for much that was not called, such as a generic function's, come last, and of
/// these the small ones first.
pub(crate) fn of(pieces: &[Piece], called: &[usize]) -> Vec<String> {
    let all = sizes(pieces.iter());
    let (mut seen, mut first) = (HashSet::new(), Vec::new());
    let hit: HashSet<usize> = called.iter().copied().collect();
    let hot = sizes(hit.iter().filter_map(|index| pieces.get(*index)));
    let brought = |pattern: &str| all.get(pattern).unwrap_or(&0) - hot.get(pattern).unwrap_or(&0);
    for piece in called.iter().filter_map(|index| pieces.get(*index)) {
        if seen.insert(piece.pattern.as_str()) {
            first.push(piece.pattern.as_str());
        }
    }
    let (mut patterns, mut last): (Vec<&str>, Vec<&str>) =
        first.into_iter().partition(|pattern| brought(pattern) <= LITTLE);
    last.sort_by_key(|pattern| all.get(pattern));
    patterns.append(&mut last);
    patterns.into_iter().map(str::to_owned).collect()
}

fn sizes<'a>(pieces: impl Iterator<Item = &'a Piece>) -> HashMap<&'a str, u64> {
    let mut sizes = HashMap::new();
    for piece in pieces {
        *sizes.entry(piece.pattern.as_str()).or_default() += piece.size;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brings_much_along_comes_last() {
        let piece = |pattern: &str, size| Piece { pattern: pattern.to_owned(), size };
        let pieces = [
            piece("generic", 10),
            piece("generic", 5000),
            piece("early", 10),
            piece("never", 10),
            piece("late", 300),
            piece("small", 1),
            piece("small", 300),
        ];
        assert_eq!(of(&pieces, &[0, 4, 5, 2, 4]), ["late", "early", "small", "generic"]);
    }
}
