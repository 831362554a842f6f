//! What a compiler has to know beside the profile.

use super::action::Outcome;
use super::arch::Arch;

/// How a profile is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The architecture of the kernel that the filter is for; it may always call.
    pub native: Arch,
    /// What happens to calls of architectures that the profile does not name. `KillThread` is what runc and crun do.
    pub bad_arch: Outcome,
    /// Whether calls that are newer than all that the profile names fail with ENOSYS, so that programs try an older one, as with runc.
    /// Without effect where the profile's default lets calls happen.
    pub enosys: bool,
    /// Whether somebody takes the notification descriptor though the profile has no `listenerPath`.
    pub listener: bool,
}

impl Options {
    /// As runc does it, for a kernel of this architecture.
    #[must_use]
    pub fn new(native: Arch) -> Self {
        Self { native, bad_arch: Outcome::from_code(0), enosys: true, listener: false }
    }
}
