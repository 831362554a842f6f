//! How a program is confined where nothing outside of it tells: Landlock, a memory policy, what a filter lets through.

use crate::bundle::Bundle;
use crate::scene::Scene;

/// An argument of a probe.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument {
    Number(u64),
    /// The address of a text.
    Text(&'static str),
    /// The address of four bytes, which are told.
    Word,
}

use Argument::{Number, Text, Word};

/// A call that is made in a program's stead at its first instruction. What it answers is how the program is confined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(crate) name: &'static str,
    pub(crate) call: i64,
    pub(crate) arguments: &'static [Argument],
}

const fn probe(name: &'static str, call: i64, arguments: &'static [Argument]) -> Probe {
    Probe { name, call, arguments }
}

/// `AT_FDCWD` as a register has it.
const HERE: Argument = Number(0xffff_ff9c);
const OPENED: Probe =
    probe("open what rules allow", libc::SYS_openat, &[HERE, Text("/etc/passwd"), Number(0)]);
const GROUPS: Probe =
    probe("open what rules do not allow", libc::SYS_openat, &[HERE, Text("/etc/group"), Number(0)]);
/// The id of the session keyring, which everyone may ask for.
const KEYRING: Probe = probe("keyctl", libc::SYS_keyctl, &[Number(0), Number(0xffff_fffd), Number(0)]);
const CLONE3: Probe = probe("clone3 of nothing", libc::SYS_clone3, &[Number(0), Number(0)]);
const MKDIR: Probe = probe("mkdir", libc::SYS_mkdir, &[Text("/tmp/probe"), Number(0o700)]);
const PRIORITY: Probe = probe("ioprio_get", libc::SYS_ioprio_get, &[Number(1), Number(0)]);
const MEMORY: Probe =
    probe("get_mempolicy", libc::SYS_get_mempolicy, &[Word, Number(0), Number(0), Number(0), Number(0)]);

/// What is asked of the programs of a scene.
pub(crate) fn probes(scene: &Scene) -> &'static [Probe] {
    match scene.bundle {
        _ if scene.watches => &[GROUPS, KEYRING, CLONE3],
        Bundle::Listened => &[MKDIR, PRIORITY],
        Bundle::Guarded => &[OPENED, GROUPS, KEYRING, CLONE3, PRIORITY, MEMORY],
        _ => &[KEYRING, CLONE3, PRIORITY],
    }
}
