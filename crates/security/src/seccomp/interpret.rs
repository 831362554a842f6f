//! Runs a program as the kernel does, without a kernel: what seccomp(2) accepts of classic BPF.

use super::action::Outcome;
use super::arch::{Arch, LITTLE};
use super::instruction::{ARGUMENTS, DATA_SIZE, Instruction, MOST};

/// What a filter sees of a call: `struct seccomp_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// The number.
    pub number: u32,
    /// `AUDIT_ARCH_*`; it says also in which order the halves of arguments lie.
    pub arch: u32,
    /// Where the call was made.
    pub instruction_pointer: u64,
    /// All six, whatever the call takes.
    pub args: [u64; 6],
}

/// What a program said, and what it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What happens to the call.
    pub outcome: Outcome,
    /// How many instructions were executed, the return included.
    pub executed: usize,
}

/// Why bytes are no program: the kernel would say EINVAL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// None, or more than 4096.
    #[error("{0} instructions: the kernel takes 1 to 4096")]
    Length(usize),
    /// Not a whole number of instructions.
    #[error("{0} bytes: instructions have 8")]
    Bytes(usize),
    /// An instruction that filters of system calls can't have.
    #[error("instruction {place}: code {code:#06x} with {k:#x}: not for seccomp")]
    Instruction {
        /// Its place, from 0.
        place: usize,
        /// Its code.
        code: u16,
        /// Its constant.
        k: u32,
    },
    /// A jump out of the program, or an end without a return.
    #[error("instruction {place}: leads out of the program")]
    Outside {
        /// Its place, from 0.
        place: usize,
    },
}

impl Data {
    /// A call on an architecture.
    #[must_use]
    pub fn new(arch: Arch, number: u32, args: [u64; 6]) -> Self {
        Self { number, arch: arch.token(), instruction_pointer: 0, args }
    }

    /// The 32 bits at an offset that `load` has checked.
    fn word(&self, offset: u32) -> u32 {
        let (place, second) = (offset / 8, offset % 8 != 0);
        let long = match offset {
            0 => return self.number,
            4 => return self.arch,
            8..ARGUMENTS => self.instruction_pointer,
            _ => self.args.get(place.saturating_sub(2) as usize).copied().unwrap_or(0),
        };
        let little = self.arch & LITTLE != 0;
        let half = if second == little { long >> 32 } else { long & u64::from(u32::MAX) };
        u32::try_from(half).unwrap_or(0)
    }
}

/// Instructions of a program in bytes of this machine.
///
/// # Errors
/// [`ProgramError`] for bytes that are none, as [`check`] says.
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<Instruction>, ProgramError> {
    let chunks = bytes.chunks_exact(8);
    if !chunks.remainder().is_empty() {
        return Err(ProgramError::Bytes(bytes.len()));
    }
    let whole = |chunk: &[u8]| chunk.first_chunk::<8>().map(|bytes| Instruction::from_bytes(*bytes));
    let program: Vec<_> = chunks.filter_map(whole).collect();
    check(&program)?;
    Ok(program)
}

/// Whether the kernel would take the program: `bpf_check_classic` and `seccomp_check_filter`.
///
/// # Errors
/// [`ProgramError`] with the first instruction that it would refuse.
pub fn check(program: &[Instruction]) -> Result<(), ProgramError> {
    if program.is_empty() || program.len() > MOST {
        return Err(ProgramError::Length(program.len()));
    }
    for (place, instruction) in program.iter().enumerate() {
        let Instruction { code, jt, jf, k } = *instruction;
        let fits = match code {
            LD_ABS => k < DATA_SIZE && k % 4 == 0,
            LD_MEM | LDX_MEM | ST | STX => k < MEMORY,
            DIV_K => k != 0,
            LSH_K | RSH_K => k < 32,
            _ => KNOWN.contains(&code),
        };
        if !fits {
            return Err(ProgramError::Instruction { place, code, k });
        }
        let left = program.len() - place - 1;
        let leads_out = match code {
            JA => usize::try_from(k).is_ok_and(|k| k >= left),
            code if code & CLASS == JMP => usize::from(jt.max(jf)) >= left,
            _ => false,
        };
        if leads_out {
            return Err(ProgramError::Outside { place });
        }
    }
    match program.last() {
        Some(Instruction { code: RET_K | RET_A, .. }) => Ok(()),
        _ => Err(ProgramError::Outside { place: program.len() - 1 }),
    }
}

const MEMORY: u32 = 16;
pub(super) const CLASS: u16 = 7;
pub(super) const JMP: u16 = 5;
/// Whether the operand is X instead of k.
pub(super) const X: u16 = 8;

pub(super) const LD_ABS: u16 = 0x20;
pub(super) const LD_IMM: u16 = 0x00;
pub(super) const LD_LEN: u16 = 0x80;
pub(super) const LD_MEM: u16 = 0x60;
pub(super) const LDX_IMM: u16 = 0x01;
pub(super) const LDX_LEN: u16 = 0x81;
pub(super) const LDX_MEM: u16 = 0x61;
pub(super) const ST: u16 = 0x02;
pub(super) const STX: u16 = 0x03;
const DIV_K: u16 = 0x34;
const LSH_K: u16 = 0x64;
const RSH_K: u16 = 0x74;
const NEG: u16 = 0x84;
pub(super) const JA: u16 = 0x05;
pub(super) const RET_K: u16 = 0x06;
pub(super) const RET_A: u16 = 0x16;
pub(super) const TAX: u16 = 0x07;
pub(super) const TXA: u16 = 0x87;

/// All that seccomp takes, beside those with limits of their own: loads, moves, arithmetic, jumps, returns.
#[rustfmt::skip]
const KNOWN: [u16; 33] = [
    LD_IMM, LD_LEN, LDX_IMM, LDX_LEN, TAX, TXA, RET_K, RET_A,
    0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x6c, 0x7c, NEG, 0xa4, 0xac,
    JA, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d,
];

#[derive(Debug, Default)]
struct Machine {
    a: u32,
    x: u32,
    memory: [u32; MEMORY as usize],
}

/// Runs a program on a call.
///
/// # Errors
/// As [`check`], which comes first.
pub fn run(program: &[Instruction], data: &Data) -> Result<Verdict, ProgramError> {
    check(program)?;
    let mut machine = Machine::default();
    let (mut place, mut executed) = (0, 0);
    while let Some(instruction) = program.get(place) {
        executed += 1;
        match instruction.code {
            RET_K => return Ok(Verdict { outcome: Outcome::from_code(instruction.k), executed }),
            RET_A => return Ok(Verdict { outcome: Outcome::from_code(machine.a), executed }),
            _ => place += 1 + machine.step(instruction, data),
        }
    }
    Err(ProgramError::Outside { place: program.len() - 1 })
}

impl Machine {
    /// Does one instruction; how many to skip.
    fn step(&mut self, instruction: &Instruction, data: &Data) -> usize {
        let Instruction { code, jt, jf, k } = *instruction;
        match code {
            JA => return usize::try_from(k).unwrap_or(usize::MAX),
            code if code & CLASS == JMP => {
                return usize::from(if compare(code, self.a, self.operand(code, k)) { jt } else { jf });
            }
            LD_ABS => self.a = data.word(k),
            LD_IMM => self.a = k,
            LD_LEN => self.a = DATA_SIZE,
            LD_MEM => self.a = self.cell(k),
            LDX_IMM => self.x = k,
            LDX_LEN => self.x = DATA_SIZE,
            LDX_MEM => self.x = self.cell(k),
            ST => self.store(k, self.a),
            STX => self.store(k, self.x),
            TAX => self.x = self.a,
            TXA => self.a = self.x,
            _ => self.a = compute(code, self.a, self.operand(code, k)),
        }
        0
    }

    fn cell(&self, k: u32) -> u32 {
        self.memory.get(k as usize).copied().unwrap_or(0)
    }

    fn store(&mut self, k: u32, value: u32) {
        if let Some(cell) = self.memory.get_mut(k as usize) {
            *cell = value;
        }
    }

    fn operand(&self, code: u16, k: u32) -> u32 {
        if code & X == 0 { k } else { self.x }
    }
}

/// Whether a conditional jump is taken.
pub(super) fn compare(code: u16, a: u32, other: u32) -> bool {
    match code & !X {
        0x15 => a == other,
        0x25 => a > other,
        0x35 => a >= other,
        _ => a & other != 0,
    }
}

/// What an instruction of arithmetic makes of A.
pub(super) fn compute(code: u16, a: u32, other: u32) -> u32 {
    match code & 0xf0 {
        0x00 => a.wrapping_add(other),
        0x10 => a.wrapping_sub(other),
        0x20 => a.wrapping_mul(other),
        // The kernel's division by nothing is nothing.
        0x30 => a.checked_div(other).unwrap_or(0),
        0x40 => a | other,
        0x50 => a & other,
        // The kernel shifts by the low five bits.
        0x60 => a.wrapping_shl(other),
        0x70 => a.wrapping_shr(other),
        0x80 => a.wrapping_neg(),
        _ => a ^ other,
    }
}
