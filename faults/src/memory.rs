//! The memory of a thread that stands still.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;

/// Bytes of a thread's memory, as many as are there.
pub(crate) fn of(thread: Pid, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let Ok(file) = File::open(format!("/proc/{thread}/mem")) else { return Vec::new() };
    // A page's end: what lies behind may not be there.
    let read = file.read_at(&mut bytes, address).unwrap_or(0);
    bytes.truncate(read);
    bytes
}
