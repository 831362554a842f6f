//! Plan fragments: limits, keyring, and the way from root to what the program may be.

mod attribute;
mod landlock;
mod scheduling;

pub use landlock::{landlock_enforce, landlock_rules};
pub use scheduling::{Attributes, affinity, attributes, limits};

use libcontainer_plan::{Builder, CapMasks};

pub use attribute::{apparmor_profile, label, open_attribute, open_proc};

/// Who the program runs as: credentials(7). Real, effective, saved and filesystem ids are all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User id, in the container's user namespace.
    pub uid: u32,
    /// Group id, likewise.
    pub gid: u32,
    /// Supplementary groups, likewise; at most 65536, in any order.
    pub groups: Vec<u32>,
    /// Whether setgroups(2) is denied (a user namespace mapped without privileges), or not called, so that the caller's stay; then `groups` must be empty.
    pub setgroups_denied: bool,
}

/// What the program may do: bit masks of capabilities, bit 0 is `CAP_CHOWN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Bounding set: what is not in it is dropped.
    pub bounding: u64,
    /// Effective set, part of the permitted set.
    pub effective: u64,
    /// Permitted set.
    pub permitted: u64,
    /// Inheritable set.
    pub inheritable: u64,
    /// Ambient set, part of the permitted and of the inheritable set.
    pub ambient: u64,
    /// Number of the last capability of the running kernel (`Probe::last_cap`): all up to it are dropped unless kept.
    pub last_cap: u32,
    /// Set `no_new_privs`.
    pub no_new_privs: bool,
    /// Signal, 1 to 64, that the process gets when the thread that made it ends: PR_SET_PDEATHSIG(2const).
    pub parent_death_signal: Option<u32>,
    /// A seccomp filter follows without `no_new_privs`: `CAP_SYS_ADMIN` stays permitted and effective until exec, so that nothing needs
    /// to be allowed by the filter but exec itself. Exec does not look at these two sets: it makes new ones of the inheritable, bounding and ambient
    /// sets and of the file's (capabilities(7), "Transformation of capabilities during execve()").
    pub admin_until_exec: bool,
    /// Bits of `SecureBits` of [`crate::thread`] to be set, all others cleared; none leaves them as they are. Needs `CAP_SETPCAP`.
    pub securebits: Option<u32>,
}

const CAP_SETPCAP: u64 = 1 << 8;
const CAP_SYS_ADMIN: u64 = 1 << 21;

impl Confinement {
    /// The sets of the process from the drop until exec.
    #[must_use]
    pub fn until_exec(&self) -> CapMasks {
        let kept = if self.admin_until_exec { CAP_SYS_ADMIN } else { 0 };
        CapMasks {
            effective: self.effective | kept,
            permitted: self.permitted | kept,
            inheritable: self.inheritable,
        }
    }
}

const PR_CAPBSET_READ: i32 = 23;
const PR_CAP_AMBIENT: i32 = 47;
const PR_CAP_AMBIENT_IS_SET: u32 = 1;

/// Joins a new session keyring called `name`, so that the host's is not inherited: one step, `keyctl(KEYCTL_JOIN_SESSION_KEYRING)` of
/// keyctl(2). A kernel without keyrings (`ENOSYS`) has none to inherit; any other error number ends the plan.
pub fn session_keyring(plan: &mut Builder, name: &str) {
    plan.purpose("join a session keyring");
    plan.join_session_keyring(name).tolerate(libc::ENOSYS);
}

/// Drops what is not in `bounding` from the bounding set, of capabilities up to `last_cap`, and reads the set back: `PR_CAPBSET_DROP` for each that is
/// not kept, then `PR_CAPBSET_READ` for all. None of them may fail; a difference ends the plan with `EBADE`. It needs `CAP_SETPCAP`, and takes nothing
/// from the process itself but what it could gain by exec.
pub fn bound(plan: &mut Builder, bounding: u64, last_cap: u32) {
    plan.purpose("drop capabilities from the bounding set");
    for capability in set_bits(!bounding, last_cap) {
        plan.drop_bounding(capability);
    }
    plan.purpose("read back the bounding set");
    for capability in 0..=last_cap {
        let kept = bounding & (1 << capability) != 0;
        plan.expect_prctl(PR_CAPBSET_READ, capability, 0, u32::from(kept));
    }
}

/// Gives up everything that `confinement` does not grant and becomes `identity`, then reads all of it back.
///
/// [`bound`], then [`drop_within_bounds`].
pub fn drop_privileges(plan: &mut Builder, identity: &Identity, confinement: &Confinement) {
    // ORDER: before the ids change, which takes CAP_SETPCAP away.
    bound(plan, confinement.bounding, confinement.last_cap);
    drop_within_bounds(plan, identity, confinement);
}

/// As [`drop_privileges`], of a process whose bounding set is what it is to be.
///
/// Steps, in this order: `PR_CAP_AMBIENT_CLEAR_ALL`, `PR_SET_KEEPCAPS`, setgroups(2) unless
/// denied, setresgid(2), setresuid(2), capset(2), `PR_CAP_AMBIENT_RAISE`, `PR_SET_NO_NEW_PRIVS`, `PR_SET_PDEATHSIG`; then getresuid(2),
/// getresgid(2), getgroups(2), capget(2), `PR_CAP_AMBIENT_IS_SET`, `PR_GET_SECUREBITS`, `PR_GET_NO_NEW_PRIVS` and `PR_GET_PDEATHSIG`,
/// each compared with what was asked for. If securebits are asked for, `CAP_SETPCAP` is kept until they are set, by a capset(2) more.
/// None of them may fail; a difference ends the plan with `EBADE`. Behind it the verifier lets no privileged step pass.
///
/// RACE: the thread that made the process may end before `PR_SET_PDEATHSIG`, which getppid(2) can't tell in a pid namespace of its own, where it is always
/// 0. So whoever uses this waits for a message of that thread afterwards: one that is gone sends none, and the end of its socket ends the plan.
pub fn drop_within_bounds(plan: &mut Builder, identity: &Identity, confinement: &Confinement) {
    plan.purpose("clear the ambient set").clear_ambient();
    become_user(plan, identity);
    plan.purpose("set capabilities");
    let masks = confinement.until_exec();
    if let Some(bits) = confinement.securebits {
        set_securebits(plan, confinement, masks, bits);
    } else {
        plan.capset(masks);
        raise_ambient(plan, confinement);
    }
    if confinement.no_new_privs {
        plan.purpose("set no_new_privs").no_new_privs();
    }
    // ORDER: behind the change of ids, which clears it.
    if let Some(signal) = confinement.parent_death_signal {
        plan.purpose("set the parent death signal").parent_death_signal(signal);
    }
    read_back(plan, identity, confinement, masks);
}

// ORDER: behind capset: only what is permitted and inheritable can be ambient.
fn raise_ambient(plan: &mut Builder, confinement: &Confinement) {
    for capability in set_bits(confinement.ambient, confinement.last_cap) {
        plan.raise_ambient(capability);
    }
}

/// ORDER: behind the change of ids, which a bit could hinder, and behind the ambient set, which one can close; so `CAP_SETPCAP` is there until then. What
/// is permitted and inheritable stays so, and the ambient set with it.
fn set_securebits(plan: &mut Builder, confinement: &Confinement, masks: CapMasks, bits: u32) {
    let permitted = masks.permitted | CAP_SETPCAP;
    plan.capset(CapMasks { effective: permitted, permitted, ..masks });
    raise_ambient(plan, confinement);
    plan.purpose("set securebits").securebits(bits);
    plan.purpose("set capabilities").capset(masks);
}

fn become_user(plan: &mut Builder, identity: &Identity) {
    plan.purpose(format!("become user {}:{}", identity.uid, identity.gid));
    // ORDER: keep the permitted set over the change of uid, so that capset can shape it afterwards.
    plan.keep_capabilities(true);
    if !identity.setgroups_denied {
        plan.setgroups(&identity.groups);
    }
    plan.setresgid(identity.gid);
    plan.setresuid(identity.uid);
    plan.keep_capabilities(false);
}

fn read_back(plan: &mut Builder, identity: &Identity, confinement: &Confinement, masks: CapMasks) {
    plan.purpose("read back ids and capabilities");
    plan.expect_ids(identity.uid, identity.gid);
    if !identity.setgroups_denied {
        let mut groups = identity.groups.clone();
        groups.sort_unstable();
        plan.expect_groups(&groups);
    }
    plan.expect_capabilities(masks);
    // No other can be: what is ambient is permitted and inheritable.
    let possible = confinement.ambient | masks.permitted & masks.inheritable;
    for capability in set_bits(possible, confinement.last_cap) {
        let raised = confinement.ambient & (1 << capability) != 0;
        plan.expect_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, u32::from(raised));
    }
    if let Some(bits) = confinement.securebits {
        plan.expect_securebits(bits);
    }
    plan.expect_no_new_privs(confinement.no_new_privs);
    if let Some(signal) = confinement.parent_death_signal {
        plan.expect_parent_death_signal(signal);
    }
}

fn set_bits(mask: u64, last: u32) -> impl Iterator<Item = u32> {
    (0..=last.min(63)).filter(move |bit| mask & (1 << bit) != 0)
}
