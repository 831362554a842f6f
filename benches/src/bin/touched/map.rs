//! What lies where in the text of a program: the linker's map, as LLVM's linker writes it.

use std::collections::HashMap;

/// A part of the text that the linker puts wherever it is told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// What stands for it in `order.txt`; several pieces may have the same.
    pub(crate) pattern: String,
    pub(crate) size: u64,
}

/// The pieces, and which of them each function is in, by its place in the program.
#[derive(Debug, Default)]
pub(crate) struct Map {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) functions: HashMap<u64, usize>,
}

impl Map {
    pub(crate) fn parse(text: &str) -> Self {
        let mut map = Self::default();
        let mut current = None;
        for (address, size, what) in text.lines().filter_map(columns) {
            if let Some((file, section)) = input(what) {
                current = pattern(file, section).map(|pattern| (address..=address + size, pattern));
                if let Some((_, pattern)) = &current {
                    map.functions.insert(address, map.pieces.len());
                    map.pieces.push(Piece { pattern: pattern.clone(), size });
                }
            } else if current.as_ref().is_some_and(|(range, _)| range.contains(&address)) {
                map.functions.insert(address, map.pieces.len() - 1);
            }
        }
        map
    }
}

/// Address, size, and what is there. The second column is the address in the file's own terms, the fourth the alignment.
fn columns(line: &str) -> Option<(u64, u64, &str)> {
    let mut rest = line;
    let mut next = || {
        rest = rest.trim_start();
        let (column, behind) = rest.split_once(' ')?;
        rest = behind;
        Some(column)
    };
    let (address, _, size, _) = (next()?, next()?, next()?, next()?);
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some((hex(address)?, hex(size)?, rest.trim()))
}

/// A section of an object file: `file:(section)`.
fn input(what: &str) -> Option<(&str, &str)> {
    what.strip_suffix(')')?.rsplit_once(":(")
}

/// Functions of Rust have a section each; a member of a C library is taken as a whole.
fn pattern(file: &str, section: &str) -> Option<String> {
    if section != ".text" && !section.starts_with(".text.") {
        return None;
    }
    if section.contains("._ZN") || section.contains("._R") {
        return Some(plain(&any_hash(section)));
    }
    let (archive, member) = file.strip_suffix(')')?.split_once('(')?;
    let archive = archive.rsplit('/').next()?;
    // One with a version in its name: libm-2.36.a.
    let archive = archive.split_once('-').map_or(archive.to_owned(), |(name, _)| format!("{name}-*.a"));
    Some(plain(&format!("{archive}:{member}")))
}

/// Without what differs from one compiler to the next: hashes of functions (`17h…E`) and of crates (`Cs…_`), numbers of copies.
fn any_hash(section: &str) -> String {
    let (section, copy) = match section.rsplit_once('.') {
        Some((section, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => (section, ".*"),
        _ => (section, ""),
    };
    let mut name = String::new();
    let mut rest = section.strip_suffix(".llvm").unwrap_or(section);
    while let Some((at, length, short)) = first_hash(rest) {
        name.push_str(rest.get(..at).unwrap_or_default());
        name.push_str(short);
        rest = rest.get(at + length..).unwrap_or_default();
    }
    name + rest + copy
}

/// The first hash: where, how long, what stands in its place.
fn first_hash(text: &str) -> Option<(usize, usize, &'static str)> {
    if text.contains("_ZN") {
        return text.rfind("17h").filter(|at| text.len() == at + 20).map(|at| (at, 20, "17h*E"));
    }
    text.match_indices("Cs").find_map(|(at, _)| {
        let hash = text.get(at + 2..)?.split_once('_')?.0;
        let is_one = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_one.then_some((at, hash.len() + 3, "Cs*_"))
    })
}

/// As all linkers read it.
fn plain(pattern: &str) -> String {
    let known = |letter: char| letter.is_ascii_alphanumeric() || "_.:*-".contains(letter);
    pattern.chars().map(|letter| if known(letter) { letter } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
             VMA              LMA     Size Align Out     In      Symbol
          428f70           428f70      1000     4 .text
          428f70           428f70       16     1         /a/b.o:(.text._ZN3nix5a$LT$b17h4f9d31278e52004fE)
          428f70           428f70       16     1                 nix::a
          428f90           428f90       20    16         /usr/lib/libc.a(malloc.o):(.text)
          428f90           428f90       15     1                 one
          428fa0           428fa0       14     1                 other
          428fc0           428fc0       14     1         /a/b.o:(.text.unlikely._RNvCs4Xt_4core1aCsq_3std)
          428fd0           428fd0       14     1         /a/b.o:(.text._RNvCs4Xt_4core1a.637)
          428fe0           428fe0       14     1         /usr/lib/libm-2.36.a(pow.o):(.text)
          428ff0           428ff0       14     1         /a/b.o:(.rodata._ZN1a)
          428ff0           428ff0       14     1                 data
";

    #[test]
    fn functions_are_told_apart_by_section_or_member() {
        let map = Map::parse(TEXT);
        let patterns: Vec<&str> = map.pieces.iter().map(|piece| piece.pattern.as_str()).collect();
        let wanted = [
            ".text._ZN3nix5a?LT?b17h*E",
            "libc.a:malloc.o",
            ".text.unlikely._RNvCs*_4core1aCs*_3std",
            ".text._RNvCs*_4core1a.*",
            "libm-*.a:pow.o",
        ];
        assert_eq!(patterns, wanted);
        let mut functions: Vec<_> = map.functions.into_iter().collect();
        functions.sort_unstable();
        assert_eq!(
            functions,
            [(0x42_8f70, 0), (0x42_8f90, 1), (0x42_8fa0, 1), (0x42_8fc0, 2), (0x42_8fd0, 3), (0x42_8fe0, 4)]
        );
    }
}
