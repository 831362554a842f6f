//! Rules to eBPF: a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`, assembled by hand.
//!
//! The kernel gives a pointer to three 32-bit words (`struct bpf_cgroup_dev_ctx`): `access << 16 | type`, major, minor,
//! and lets the access pass when the program returns 1. Rules are tried from the last to the first. `r3` holds the
//! bits of the request that no rule has decided yet: an allow rule takes its bits out, and when none is left the answer
//! is yes; a deny rule answers no when one of its bits is still there. No jump leads backwards, so the program ends.

use std::fmt::Write as _;

use super::rules::{Access, Kind, Rule, simplify, validate};
use crate::error::{Error, Result};

/// `BPF_DEVCG_DEV_BLOCK` and `BPF_DEVCG_DEV_CHAR`.
const BLOCK: i32 = 1;
const CHAR: i32 = 2;

/// Registers: the answer, the context, then what the program keeps.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// Operation codes, of the table in `Documentation/bpf/standardization/instruction-set.rst`.
const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const SET: u8 = 0xb7;
const COPY: u8 = 0xbc;
const IF_EQUAL: u8 = 0x15;
const IF_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// The most instructions that a kernel before 5.2 takes (`BPF_MAXINSNS`); far beyond any sensible list.
const LONGEST: usize = 4096;

/// One eBPF instruction (`struct bpf_insn`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// The operation.
    pub code: u8,
    /// Target register in the low four bits, source register in the high four.
    pub registers: u8,
    /// Offset of a load or, in instructions from the next one, of a jump.
    pub offset: i16,
    /// The constant.
    pub immediate: i32,
}

impl Instruction {
    /// The eight bytes, in the order of this machine.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let ([o1, o2], [i1, i2, i3, i4]) = (self.offset.to_ne_bytes(), self.immediate.to_ne_bytes());
        [self.code, self.registers, o1, o2, i1, i2, i3, i4]
    }

    fn text(self) -> String {
        let (to, from) = (self.registers & 15, self.registers >> 4);
        let (offset, value) = (self.offset, self.immediate);
        match self.code {
            LOAD_WORD => format!("r{to} = *(u32 *)(r{from} + {offset})"),
            AND => format!("w{to} &= {value:#x}"),
            SHIFT_RIGHT => format!("w{to} >>= {value}"),
            SET => format!("r{to} = {value}"),
            COPY => format!("w{to} = w{from}"),
            IF_EQUAL => format!("if r{to} == {value} goto +{offset}"),
            IF_NOT_EQUAL => format!("if r{to} != {value} goto +{offset}"),
            EXIT => "exit".to_owned(),
            code => format!("?{code:#04x}"),
        }
    }
}

/// A device filter, ready for the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
    notes: Vec<(usize, String)>,
}

impl Program {
    /// Assembles the program for `rules` (later rules win, nothing is allowed at the start). Pure.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a rule that [`validate`] refuses, or for more rules than a program can hold.
    pub fn assemble(rules: &[Rule]) -> Result<Self> {
        validate(rules)?;
        let mut program = Self { instructions: Vec::new(), notes: Vec::new() };
        program.prologue();
        let rules = simplify(rules);
        for rule in rules.iter().rev() {
            program.rule(rule);
        }
        // The verifier refuses what can't be reached: no end after a rule that always answers.
        if !rules.first().is_some_and(Rule::is_everything) {
            program.note("deny the rest".to_owned());
            program.answer(false);
        }
        match program.instructions.len() {
            length if length > LONGEST => Err(Error::invalid(
                "linux.resources.devices",
                format!(
                    "{} rules make a filter of {length} instructions; the most is {LONGEST}",
                    rules.len()
                ),
            )),
            _ => Ok(program),
        }
    }

    /// The instructions.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The instructions as the bytes that bpf(2) takes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.instructions.iter().flat_map(|one| one.to_bytes()).collect()
    }

    /// The program as text: each rule, then its numbered instructions.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let mut notes = self.notes.iter().peekable();
        for (index, instruction) in self.instructions.iter().enumerate() {
            while let Some((_, note)) = notes.next_if(|(at, _)| *at == index) {
                let _ = writeln!(text, "; {note}");
            }
            let _ = writeln!(text, "{index:4}: {}", instruction.text());
        }
        text
    }

    fn prologue(&mut self) {
        self.note("r2 = type, r3 = access wanted (m 1, r 2, w 4), r4 = major, r5 = minor".to_owned());
        let load =
            |to, offset| Instruction { code: LOAD_WORD, registers: CONTEXT << 4 | to, offset, immediate: 0 };
        self.instructions.push(load(KIND, 0));
        self.instructions.push(Instruction {
            code: COPY,
            registers: KIND << 4 | WANTED,
            offset: 0,
            immediate: 0,
        });
        self.push(AND, KIND, 0, 0xffff);
        self.push(SHIFT_RIGHT, WANTED, 0, 16);
        self.instructions.push(load(MAJOR, 4));
        self.instructions.push(load(MINOR, 8));
    }

    fn rule(&mut self, rule: &Rule) {
        self.note(rule.to_string());
        let mut tests = self.device_tests(rule);
        let bits = i32::try_from(rule.access.bits()).unwrap_or_default();
        if rule.access != Access::all() {
            if rule.allow {
                self.push(AND, WANTED, 0, !bits);
                tests.push((self.instructions.len(), IF_NOT_EQUAL, WANTED, 0));
            } else {
                let copy =
                    Instruction { code: COPY, registers: WANTED << 4 | ANSWER, offset: 0, immediate: 0 };
                self.instructions.push(copy);
                self.push(AND, ANSWER, 0, bits);
                tests.push((self.instructions.len(), IF_EQUAL, ANSWER, 0));
            }
            self.push(EXIT, 0, 0, 0);
        }
        self.answer(rule.allow);
        self.resolve(&tests);
    }

    /// Reserves the places of the tests of kind, major and minor; [`Self::resolve`] fills them.
    fn device_tests(&mut self, rule: &Rule) -> Vec<(usize, u8, u8, i32)> {
        let kind = match rule.kind {
            Kind::All => None,
            Kind::Char => Some(CHAR),
            Kind::Block => Some(BLOCK),
        };
        // Within 20 bits, as `validate` has seen.
        let number = |value: Option<u32>| value.and_then(|value| i32::try_from(value).ok());
        let mut tests = Vec::new();
        for (register, value) in [(KIND, kind), (MAJOR, number(rule.major)), (MINOR, number(rule.minor))] {
            if let Some(value) = value {
                tests.push((self.instructions.len(), IF_NOT_EQUAL, register, value));
                self.push(EXIT, 0, 0, 0);
            }
        }
        tests
    }

    /// Puts a jump to the end of the program so far at each reserved place.
    fn resolve(&mut self, tests: &[(usize, u8, u8, i32)]) {
        let end = self.instructions.len();
        for &(at, code, registers, immediate) in tests {
            let offset = i16::try_from(end.saturating_sub(at + 1)).unwrap_or(i16::MAX);
            if let Some(place) = self.instructions.get_mut(at) {
                *place = Instruction { code, registers, offset, immediate };
            }
        }
    }

    fn answer(&mut self, allow: bool) {
        self.push(SET, ANSWER, 0, i32::from(allow));
        self.push(EXIT, 0, 0, 0);
    }

    fn push(&mut self, code: u8, registers: u8, offset: i16, immediate: i32) {
        self.instructions.push(Instruction { code, registers, offset, immediate });
    }

    fn note(&mut self, text: String) {
        self.notes.push((self.instructions.len(), text));
    }
}
