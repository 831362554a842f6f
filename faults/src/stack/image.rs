//! A program's file, as far as a walk over its stacks wants it: the names of its functions, and where each of them keeps what its caller needs.
//!
//! By the tables that panics and debuggers go by (`.eh_frame`), not by frame pointers: those are there for the C library too, and for programs as they are always built.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, LittleEndian, RegisterRule, UnwindContext, UnwindSection,
};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

/// How the caller's registers are found from those of a function at one of its instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// What the frame's address is counted from, and how far; nothing where that takes an expression.
    pub(super) frame: Option<(usize, i64)>,
    /// Registers that are saved, each with its place beside the frame's address; the address to return to is one.
    pub(super) saved: BTreeMap<usize, i64>,
}

/// A part of the file, and the address at which it is loaded.
#[derive(Debug, Default)]
struct Section {
    address: u64,
    bytes: Vec<u8>,
}

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
        let file = object::File::parse(bytes.as_slice()).with_context(|| path.display().to_string())?;
        let section = |name: &str| {
            let section = file.section_by_name(name)?;
            Some(Section { address: section.address(), bytes: section.data().ok()?.to_vec() })
        };
        // Without its tables a file has functions, and no rule for any.
        let of = |name: &str| section(name).unwrap_or_default();
        let functions =
            file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
        let named = |symbol: object::Symbol<'_, '_>| {
            Some((symbol.address(), (symbol.size(), symbol.name().ok()?.to_owned())))
        };
        Ok(Self {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            frames: of(".eh_frame"),
            index: of(".eh_frame_hdr"),
            functions: functions.filter_map(named).collect(),
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
        rules.entry(address).or_insert_with(|| self.read_rule(address)).clone()
    }

    fn read_rule(&self, address: u64) -> Option<Rule> {
        let bases =
            BaseAddresses::default().set_eh_frame(self.frames.address).set_eh_frame_hdr(self.index.address);
        let frames = EhFrame::new(&self.frames.bytes, LittleEndian);
        let index = EhFrameHdr::new(&self.index.bytes, LittleEndian).parse(&bases, 8).ok()?;
        let mut context = UnwindContext::new();
        let of_entry = EhFrame::cie_from_offset;
        let row = index.table()?.unwind_info_for_address(&frames, &bases, &mut context, address, of_entry);
        let row = row.ok()?;
        let frame = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => Some((usize::from(register.0), *offset)),
            CfaRule::Expression(_) => None,
        };
        let saved = row.registers().filter_map(|(register, rule)| match rule {
            RegisterRule::Offset(place) => Some((usize::from(register.0), *place)),
            _ => None,
        });
        Some(Rule { frame, saved: saved.collect() })
    }
}
