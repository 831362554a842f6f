//! Flags of the calling thread that go with its credentials, and its session keyring.

use std::ffi::CString;
use std::io;

use rustix::thread::{self, CapabilitiesSecureBits};

use crate::error::{Named, ThreadError};

bitflags::bitflags! {
    /// The securebits of capabilities(7). Each has a lock, which holds until the thread and all that comes from it are gone.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SecureBits: u32 {
        /// User id 0 gets no capabilities at exec.
        const NOROOT = 1;
        /// Lock of `NOROOT`.
        const NOROOT_LOCKED = 1 << 1;
        /// A change of user ids leaves the capability sets alone.
        const NO_SETUID_FIXUP = 1 << 2;
        /// Lock of `NO_SETUID_FIXUP`.
        const NO_SETUID_FIXUP_LOCKED = 1 << 3;
        /// The permitted set survives a change of all user ids away from 0; cleared at exec. The same flag as [`keep_capabilities`].
        const KEEP_CAPS = 1 << 4;
        /// Lock of `KEEP_CAPS`.
        const KEEP_CAPS_LOCKED = 1 << 5;
        /// Nothing can be added to the ambient set.
        const NO_CAP_AMBIENT_RAISE = 1 << 6;
        /// Lock of `NO_CAP_AMBIENT_RAISE`.
        const NO_CAP_AMBIENT_RAISE_LOCKED = 1 << 7;
    }
}

impl SecureBits {
    /// The bit of that name, in upper or lower case, with or without `SECBIT_`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        Self::from_name(upper.strip_prefix("SECBIT_").unwrap_or(&upper))
    }
}

/// The securebits: `prctl(PR_GET_SECUREBITS)`. Bits of newer kernels that have no name here are kept.
///
/// # Errors
/// None that a supported kernel has; a seccomp filter may deny the call.
pub fn secure_bits() -> Result<SecureBits, ThreadError> {
    let bits = named(thread::capabilities_secure_bits(), || "prctl(PR_GET_SECUREBITS)".to_owned())?;
    Ok(SecureBits::from_bits_retain(bits.bits()))
}

/// Sets the securebits: `prctl(PR_SET_SECUREBITS)`.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`, for a bit that is locked, and for one that the kernel doesn't know.
pub fn set_secure_bits(bits: SecureBits) -> Result<(), ThreadError> {
    let set = thread::set_capabilities_secure_bits(CapabilitiesSecureBits::from_bits_retain(bits.bits()));
    named(set, || format!("prctl(PR_SET_SECUREBITS, {:#x})", bits.bits()))
}

/// Whether the permitted set survives a change of all user ids away from 0: `prctl(PR_GET_KEEPCAPS)`.
///
/// # Errors
/// None that a supported kernel has; a seccomp filter may deny the call.
pub fn keeps_capabilities() -> Result<bool, ThreadError> {
    named(thread::get_keep_capabilities(), || "prctl(PR_GET_KEEPCAPS)".to_owned())
}

/// Says whether the permitted set survives a change of all user ids away from 0: `prctl(PR_SET_KEEPCAPS)`. Exec clears it.
///
/// # Errors
/// `EPERM` if [`SecureBits::KEEP_CAPS_LOCKED`] is set.
pub fn keep_capabilities(yes: bool) -> Result<(), ThreadError> {
    named(thread::set_keep_capabilities(yes), || format!("prctl(PR_SET_KEEPCAPS, {})", u32::from(yes)))
}

/// Whether exec can no longer add privileges: `prctl(PR_GET_NO_NEW_PRIVS)`.
///
/// # Errors
/// None that a supported kernel has; a seccomp filter may deny the call.
pub fn no_new_privs() -> Result<bool, ThreadError> {
    named(thread::no_new_privs(), || "prctl(PR_GET_NO_NEW_PRIVS)".to_owned())
}

/// From here on exec adds no privileges (set-user-id bits, file capabilities) to this thread and all that comes from it, for
/// good: `prctl(PR_SET_NO_NEW_PRIVS, 1)`. Needs no privilege.
///
/// # Errors
/// None that a supported kernel has; a seccomp filter may deny the call.
pub fn set_no_new_privs() -> Result<(), ThreadError> {
    named(thread::set_no_new_privs(true), || "prctl(PR_SET_NO_NEW_PRIVS, 1)".to_owned())
}

/// The signal that this thread gets when the thread that made its process ends: `prctl(PR_GET_PDEATHSIG)`.
///
/// # Errors
/// None that a supported kernel has; a seccomp filter may deny the call.
pub fn parent_death_signal() -> Result<Option<u32>, ThreadError> {
    let text = || "prctl(PR_GET_PDEATHSIG)".to_owned();
    let signal = libcontainer_plan::parent_death_signal().named(text)?;
    let signal = u32::try_from(signal).map_err(|_| ThreadError::invalid(text()))?;
    Ok(Some(signal).filter(|signal| *signal != 0))
}

/// Sets that signal, 1 to 64, or none: `prctl(PR_SET_PDEATHSIG)`. It is the end of the parent's *thread* that counts, not that of its
/// process. A later change of ids or gain of capabilities clears it, so this comes last; the parent may be gone already, so look at
/// getppid(2) behind it.
///
/// # Errors
/// `EINVAL` for a number that is no signal.
pub fn set_parent_death_signal(signal: Option<u32>) -> Result<(), ThreadError> {
    // The kernel's number for none.
    let number = signal.unwrap_or(0);
    libcontainer_plan::set_parent_death_signal(number).named(|| format!("prctl(PR_SET_PDEATHSIG, {number})"))
}

/// Serial number of a key or keyring: keyrings(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(i32);

impl Key {
    /// The number, as `/proc/keys` prints it in hexadecimal.
    #[must_use]
    pub fn serial(self) -> i32 {
        self.0
    }
}

/// Leaves the session keyring of this thread for a new one called `name`, or `_ses`: `keyctl(KEYCTL_JOIN_SESSION_KEYRING)`. The keys of
/// the old one are out of reach then; the new one goes with the last thread that has it.
///
/// If there is a keyring of that name already whose owner lets this user search it (the kernel's default does not), the thread joins
/// that one instead: keyctl_join_session_keyring(3).
///
/// # Errors
/// `EINVAL` for a name with a NUL byte; `EPERM` for a name that begins with a dot; `ENOSYS` on a kernel without keyrings, which has none
/// to leave; `EDQUOT` if the user has too many keys; `EACCES` if a keyring of that name exists and may not be searched.
pub fn join_session_keyring(name: Option<&[u8]>) -> Result<Key, ThreadError> {
    let text = || {
        let shown = name.map_or("NULL".to_owned(), |name| format!("\"{}\"", name.escape_ascii()));
        format!("keyctl(KEYCTL_JOIN_SESSION_KEYRING, {shown})")
    };
    let name = name.map(CString::new).transpose().map_err(|_| ThreadError::invalid(text()))?;
    libcontainer_plan::join_session_keyring(name.as_deref()).named(text).map(Key)
}

fn named<T>(result: rustix::io::Result<T>, call: impl FnOnce() -> String) -> Result<T, ThreadError> {
    result.map_err(io::Error::from).named(call)
}
