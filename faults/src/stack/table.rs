//! The table of a program that says where each of its functions keeps what its caller needs: `.eh_frame`, and `.eh_frame_hdr` which finds a function in it. Their form is that of the
//! Linux Standard Base, "Exception Frames", and of DWARF 5, 6.4; what compilers do not write is not read.

use std::collections::BTreeMap;

use super::bytes::{Bytes, half};

/// How the caller's registers are found from those of a function at one of its instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// What the frame's address is counted from, and how far.
    pub(super) frame: Option<(usize, i64)>,
    /// Registers that are saved, each with its place beside the frame's address; the address to return to is one.
    pub(super) saved: BTreeMap<usize, i64>,
}

/// A part of the file, and the address at which it is loaded.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    pub(super) address: u64,
    pub(super) bytes: Vec<u8>,
}

/// What functions have in common.
struct Common<'a> {
    code: u64,
    data: i64,
    begin: Bytes<'a>,
}

/// Addresses are counted from their own place, or from the index, in four bytes.
const BESIDE: u8 = 0x1b;
const BESIDE_INDEX: u8 = 0x3b;
const COUNT: u8 = 0x03;

/// The rule of the instruction at an address.
pub(super) fn rule(frames: &Section, index: &Section, address: u64) -> Option<Rule> {
    let at = entry(index, address)?.checked_sub(frames.address)?;
    let at = usize::try_from(at).ok()?;
    let (mut bytes, number) = part(&frames.bytes, at)?;
    let common = common(&frames.bytes, (at + 4).checked_sub(number)?)?;
    let place = frames.address.checked_add(u64::try_from(at).ok()? + 8)?;
    let begin = place.checked_add_signed(bytes.signed_word()?)?;
    let length = u64::from(bytes.word()?);
    if address.checked_sub(begin)? >= length {
        return None;
    }
    let more = bytes.number()?;
    bytes.skip(usize::try_from(more).ok()?)?;
    let mut rows = Rows {
        common: &common,
        at: begin,
        wanted: address,
        rule: Rule::default(),
        begin: Rule::default(),
        kept: Vec::new(),
    };
    rows.run(Bytes(common.begin.0))?;
    rows.begin = rows.rule.clone();
    rows.run(bytes)?;
    Some(rows.rule)
}

/// The address of a function's entry, by the sorted table.
fn entry(index: &Section, address: u64) -> Option<u64> {
    const HEAD: usize = 12;
    const ROW: usize = 8;
    let [_, _, COUNT, BESIDE_INDEX] = index.bytes.first_chunk::<4>()? else { return None };
    let count = half(&index.bytes, 8)?;
    let beside = |row: usize, column: usize| {
        let offset = Bytes(index.bytes.get(HEAD + row * ROW + column..)?).signed_word()?;
        index.address.checked_add_signed(offset)
    };
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if beside(middle, 0)? <= address { low = middle + 1 } else { high = middle }
    }
    beside(low.checked_sub(1)?, 4)
}

/// An entry behind its length and its second word.
fn part(all: &[u8], at: usize) -> Option<(Bytes<'_>, usize)> {
    let length = half(all, at)?;
    let body = all.get(at + 4..)?.get(..length)?;
    Some((Bytes(body.get(4..)?), half(body, 0)?))
}

fn common(all: &[u8], at: usize) -> Option<Common<'_>> {
    let (mut bytes, 0) = part(all, at)? else { return None };
    let version = bytes.byte()?;
    let words = bytes.text()?;
    let (code, data) = (bytes.number()?, bytes.signed()?);
    // The register that has the address to return to.
    if version == 1 {
        bytes.byte().map(u64::from)?
    } else {
        bytes.number()?
    };
    let words = words.strip_prefix(b"z")?;
    let length = bytes.number()?;
    let mut more = Bytes(bytes.skip(usize::try_from(length).ok()?)?);
    for word in words {
        match word {
            b'R' if more.byte()? != BESIDE => return None,
            b'P' => more.byte().and_then(|_| more.word()).map(|_| ())?,
            b'L' => more.byte().map(|_| ())?,
            _ => {}
        }
    }
    Some(Common { code, data, begin: bytes })
}

/// The rows of a function's table, as the steps from one to the next.
struct Rows<'a> {
    common: &'a Common<'a>,
    at: u64,
    wanted: u64,
    rule: Rule,
    begin: Rule,
    kept: Vec<Rule>,
}

impl Rows<'_> {
    /// As far as the wanted address.
    fn run(&mut self, mut steps: Bytes<'_>) -> Option<()> {
        while let Some(step) = steps.byte() {
            let low = step & 0x3f;
            match step >> 6 {
                0 => self.step(low, &mut steps)?,
                1 => self.at += u64::from(low) * self.common.code,
                2 => self.save(u64::from(low), i64::try_from(steps.number()?).ok()?)?,
                _ => self.restore(usize::from(low)),
            }
            if self.at > self.wanted {
                // The step before was the last that counts, and it changes nothing but the place.
                return Some(());
            }
        }
        Some(())
    }

    fn step(&mut self, step: u8, steps: &mut Bytes<'_>) -> Option<()> {
        let number = |steps: &mut Bytes<'_>| usize::try_from(steps.number()?).ok();
        match step {
            // Nothing, the size of arguments, and the same value: what is not saved is the same.
            0x00 => {}
            0x2e => drop(steps.number()?),
            0x02 => self.at += u64::from(steps.byte()?) * self.common.code,
            0x03 => self.at += (u64::from(steps.byte()?) | u64::from(steps.byte()?) << 8) * self.common.code,
            0x04 => self.at += u64::from(steps.word()?) * self.common.code,
            0x05 => {
                let register = steps.number()?;
                self.save(register, i64::try_from(steps.number()?).ok()?)?;
            }
            0x11 => {
                let register = steps.number()?;
                self.save(register, steps.signed()?)?;
            }
            0x06 => self.restore(number(steps)?),
            0x07 | 0x08 => drop(self.rule.saved.remove(&number(steps)?)),
            0x0a => self.kept.push(self.rule.clone()),
            0x0b => self.rule = self.kept.pop()?,
            0x0c => self.rule.frame = Some((number(steps)?, i64::try_from(steps.number()?).ok()?)),
            0x0d => self.rule.frame = Some((number(steps)?, self.rule.frame?.1)),
            0x0e => self.rule.frame = Some((self.rule.frame?.0, i64::try_from(steps.number()?).ok()?)),
            // By an expression: not to be known here.
            0x0f => {
                self.rule.frame = None;
                let length = number(steps)?;
                steps.skip(length)?;
            }
            0x10 | 0x16 => {
                self.rule.saved.remove(&number(steps)?);
                let length = number(steps)?;
                steps.skip(length)?;
            }
            _ => return None,
        }
        Some(())
    }

    fn save(&mut self, register: u64, times: i64) -> Option<()> {
        self.rule.saved.insert(usize::try_from(register).ok()?, times.checked_mul(self.common.data)?);
        Some(())
    }

    fn restore(&mut self, register: usize) {
        match self.begin.saved.get(&register) {
            Some(place) => self.rule.saved.insert(register, *place),
            None => self.rule.saved.remove(&register),
        };
    }
}
