//! A program that says when it began: `clock_gettime(CLOCK_MONOTONIC)`, `write(1, …, 16)`, `exit(0)`, and nothing before them. Whoever starts it may
//! learn of its start later than it runs, where the kernel gives it the processor first.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use libcontainer::Stdio;
use nix::fcntl::OFlag;
use nix::time::{ClockId, clock_gettime};

use crate::failure::Failure;

/// Where it lies in the rootfs.
pub(crate) const PROGRAM: &str = "/bin/stamped";

const BASE: u64 = 0x40_0000;
/// Length of the headers of the file and of its one segment.
const HEADERS: u64 = 64 + 56;

/// Its code, for x86_64.
const CODE: [u8; 46] = [
    0x48, 0x83, 0xec, 0x10, // sub rsp, 16
    0xb8, 0xe4, 0, 0, 0, // mov eax, SYS_clock_gettime
    0xbf, 1, 0, 0, 0, // mov edi, CLOCK_MONOTONIC
    0x48, 0x89, 0xe6, // mov rsi, rsp
    0x0f, 0x05, // syscall
    0xb8, 1, 0, 0, 0, // mov eax, SYS_write
    0xbf, 1, 0, 0, 0, // mov edi, 1
    0xba, 0x10, 0, 0, 0, // mov edx, 16
    0x0f, 0x05, // syscall: rsi still has the buffer
    0xb8, 0x3c, 0, 0, 0, // mov eax, SYS_exit
    0x31, 0xff, // xor edi, edi
    0x0f, 0x05, // syscall
    0xf4, // hlt: not reached
];

/// Writes it into the rootfs; why not, if this machine is another.
pub(crate) fn install(rootfs: &Path) -> Result<Result<(), String>, Failure> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(Err("its code is that of x86_64".to_owned()));
    }
    let path = rootfs.join(PROGRAM.trim_start_matches('/'));
    fs::write(&path, file())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(Ok(()))
}

/// The ELF file: elf(5).
fn file() -> Vec<u8> {
    let length = HEADERS + CODE.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // ET_EXEC, EM_X86_64, EV_CURRENT.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [BASE + HEADERS, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    // Flags; sizes and numbers of headers.
    file.extend([0; 4]);
    file.extend([64_u16, 56, 1, 0, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    // PT_LOAD, to be read and executed.
    file.extend([1_u32, 5].into_iter().flat_map(u32::to_le_bytes));
    file.extend([0, BASE, BASE, length, length, 0x1000].into_iter().flat_map(u64::to_le_bytes));
    file.extend(CODE);
    file
}

/// Where it tells its time.
pub(crate) struct Told {
    read: File,
    write: OwnedFd,
}

impl Told {
    pub(crate) fn new() -> Result<Self, Failure> {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        Ok(Self { read: read.into(), write })
    }

    /// For its standard output.
    pub(crate) fn output(&self) -> Result<Stdio, Failure> {
        Ok(Stdio::Fd(self.write.try_clone()?))
    }

    /// The time from `begin` until it began.
    pub(crate) fn since(&mut self, begin: Duration) -> Result<Duration, Failure> {
        let mut stamp = [0; 16];
        self.read.read_exact(&mut stamp)?;
        let (seconds, nanos) = stamp.split_at(8);
        let began = Duration::from_secs(word(seconds)?) + Duration::from_nanos(word(nanos)?);
        began.checked_sub(begin).ok_or_else(|| "it began before it was started".into())
    }
}

fn word(bytes: &[u8]) -> Result<u64, Failure> {
    Ok(u64::from_le_bytes(bytes.try_into()?))
}

/// What the program's clock says now.
pub(crate) fn now() -> Result<Duration, Failure> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?))
}
