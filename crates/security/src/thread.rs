//! The calling thread: its capabilities, ids, flags and keyring.
//!
//! Every function here acts on the thread that calls it and on no other. The kernel keeps credentials for each thread; the wrappers of
//! libc(3) change those of all threads of the process (nptl(7)), so the bare system calls are made instead (rustix). What a thread has given up
//! it passes on to the threads and processes that it makes afterwards. A thread of a pool should therefore not be confined: make one
//! for the purpose.
//!
//! Two things that a change of credentials does to the whole process: its dumpable flag is reset to `fs.suid_dumpable`
//! (PR_SET_DUMPABLE(2const)), so that the files in `/proc/PID` belong to root until the next exec; and no thread of other ids may
//! share a new session keyring with it. What exists once for all threads is in [`crate::process`]; the umask is not offered, as a
//! change would hit the files that other threads are making.

mod capabilities;
mod credentials;
mod flags;

pub use capabilities::{
    capabilities, clear_ambient, confine, drop_bounding, keep_bounding, last_capability, lower_ambient,
    raise_ambient, set_capabilities,
};
pub use credentials::{
    become_identity, group_ids, groups, set_group_ids, set_groups, set_user_ids, status, user_ids,
};
pub use flags::{
    Key, SecureBits, join_session_keyring, keep_capabilities, keeps_capabilities, no_new_privs,
    parent_death_signal, secure_bits, set_no_new_privs, set_parent_death_signal, set_secure_bits,
};
