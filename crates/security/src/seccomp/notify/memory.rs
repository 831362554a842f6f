//! What a caller's arguments point to.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicI32, Ordering};

use super::error::NotifyError;
use super::listener::{Listener, Notification};

const PAGE: u64 = 4096;

/// The memory of a process whose call waits: `/proc/PID/mem`. What is read may change before the kernel reads it: good for looking on, not for
/// deciding. Needs the rights of ptrace(2) over the process.
#[derive(Debug)]
pub struct Memory {
    file: File,
    /// Error number of the last read that failed, or 0.
    failed: AtomicI32,
}

impl Memory {
    /// Opens it, and makes sure afterwards that the call still waits, so that it is not another process's of the same number. `None` if it does not.
    ///
    /// # Errors
    /// That of open(2), with the path, or of [`Listener::is_valid`].
    pub fn open(listener: &Listener, call: &Notification) -> Result<Option<Self>, NotifyError> {
        let path = format!("/proc/{}/mem", call.pid);
        let opened = File::open(&path);
        // ORDER: behind the open: as long as the call waits, the number is its caller's.
        if !listener.is_valid(call.id)? {
            return Ok(None);
        }
        let memory = |file| Some(Self { file, failed: AtomicI32::new(0) });
        opened.map(memory).map_err(|error| NotifyError::call(format!("open {path}"), &error))
    }

    /// Reads up to `into.len()` bytes at that address; fewer at the end of what is mapped. `None` if nothing is there.
    #[must_use]
    pub fn read(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        let mut again = true;
        loop {
            match self.file.read_at(into, address) {
                // The kernel's word for an address where nothing is, and for a read that has failed by itself.
                Err(error) if error.raw_os_error() == Some(libc::EIO) && again => again = false,
                Ok(len) => return Some(len).filter(|len| *len > 0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed.store(error.raw_os_error().unwrap_or(libc::EIO), Ordering::Relaxed);
                    return None;
                }
            }
        }
    }

    /// The error number of the last read that failed. `EIO` is the kernel's word for an address where nothing is.
    #[must_use]
    pub fn failed(&self) -> Option<i32> {
        Some(self.failed.load(Ordering::Relaxed)).filter(|errno| *errno != 0)
    }

    /// A word of 64 bits.
    #[must_use]
    pub fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes).filter(|len| *len == 8).map(|_| u64::from_ne_bytes(bytes))
    }

    /// A text up to its NUL. `None` if there is none within `limit` bytes, or it can't be read.
    #[must_use]
    pub fn text(&self, address: u64, limit: usize) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        while text.len() < limit {
            let at = address.checked_add(u64::try_from(text.len()).ok()?)?;
            // To the end of a page: the next one may not be there.
            let room = usize::try_from(PAGE - at % PAGE).ok()?.min(limit - text.len());
            let mut bytes = vec![0; room];
            let len = self.read(at, &mut bytes)?;
            let read = bytes.get(..len)?;
            if let Some(end) = read.iter().position(|byte| *byte == 0) {
                text.extend_from_slice(read.get(..end)?);
                return Some(text);
            }
            text.extend_from_slice(read);
        }
        None
    }
}
