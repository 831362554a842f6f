//! A program's file, as far as a walk over its stacks wants it: the names of its functions, and where each of them keeps what its caller needs.
//!
//! By the tables that panics and debuggers go by (`.eh_frame`), not by frame pointers: those are there for the C library too, and for programs as they are always built.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::bytes::{field, half, place, word};
use super::table::{self, Rule, Section};

/// One program or library.
#[derive(Debug)]
pub(super) struct Image {
    name: String,
    frames: Section,
    index: Section,
    /// Of functions, by their first address: how long, and the name.
    functions: BTreeMap<u64, (u64, String)>,
    rules: RefCell<BTreeMap<u64, Option<Rule>>>,
}

impl Image {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let sections = sections(&bytes).with_context(|| format!("{}: no ELF file", path.display()))?;
        let of = |name: &str| sections.get(name).cloned().unwrap_or_default();
        let names = of(".strtab");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            name,
            frames: of(".eh_frame"),
            index: of(".eh_frame_hdr"),
            functions: of(".symtab")
                .bytes
                .chunks_exact(SYMBOL)
                .filter_map(|symbol| function(symbol, &names.bytes))
                .collect(),
            rules: RefCell::default(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The function of an address, and how far in it that is.
    pub(super) fn function(&self, address: u64) -> Option<(&str, u64)> {
        let (first, (length, name)) = self.functions.range(..=address).next_back()?;
        let within = address - first;
        (within < *length).then_some((name, within))
    }

    /// The rule of the instruction at an address.
    pub(super) fn rule(&self, address: u64) -> Option<Rule> {
        let mut rules = self.rules.borrow_mut();
        rules.entry(address).or_insert_with(|| table::rule(&self.frames, &self.index, address)).clone()
    }
}

/// Bytes of an entry of the tables of sections and symbols.
const HEADER: usize = 64;
const SYMBOL: usize = 24;

/// The sections by their names: elf(5), `Elf64_Ehdr` and `Elf64_Shdr`.
fn sections(bytes: &[u8]) -> Option<BTreeMap<String, Section>> {
    let (first, count) = (place(bytes, 40)?, field(bytes, 60).map(u16::from_le_bytes)?);
    let names = usize::from(field(bytes, 62).map(u16::from_le_bytes)?);
    let headers: Vec<_> = bytes.get(first..)?.chunks_exact(HEADER).take(usize::from(count)).collect();
    let content = |header: &[u8]| {
        let from = place(header, 24)?;
        bytes.get(from..from.checked_add(place(header, 32)?)?)
    };
    let names = content(headers.get(names)?)?;
    let one = |header: &&[u8]| {
        let section = Section { address: word(header, 16)?, bytes: content(header)?.to_vec() };
        Some((text(names, half(header, 0)?)?, section))
    };
    let wanted = [".eh_frame", ".eh_frame_hdr", ".symtab", ".strtab"];
    let is = |header: &&&[u8]| {
        half(header, 0).and_then(|at| text(names, at)).is_some_and(|name| wanted.contains(&name.as_str()))
    };
    Some(headers.iter().filter(is).filter_map(one).collect())
}

fn text(bytes: &[u8], at: usize) -> Option<String> {
    let bytes = bytes.get(at..)?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
}

/// A function of the table of symbols: `Elf64_Sym`.
fn function(symbol: &[u8], names: &[u8]) -> Option<(u64, (u64, String))> {
    const KIND: u8 = 0xf;
    const FUNCTION: u8 = 2;
    let [kind] = field(symbol, 4)?;
    let (address, length) = (word(symbol, 8)?, word(symbol, 16)?);
    let is = kind & KIND == FUNCTION && length > 0;
    is.then(|| Some((address, (length, text(names, half(symbol, 0)?)?)))).flatten()
}
