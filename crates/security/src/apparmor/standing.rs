//! Whether AppArmor is in force, labels of processes, and whether a program may get under a profile.

use libcontainer_plan::Pid;

use super::error::{AppArmorError, Off};
use super::label::Label;
use super::name::Transition;
use crate::error::ThreadError;
use crate::procfs;

const CURRENT: &str = "thread-self/attr/apparmor/current";

/// Whether AppArmor is in force. That this can't be found out is an error, and not [`Standing::Off`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is not, and for that reason.
    Off(Off),
    /// It is.
    On,
}

impl Standing {
    /// Looks: `/proc/thread-self/attr/apparmor/current`, which every kernel has that was built with AppArmor, and which can be read if AppArmor is on.
    /// `/sys/module/apparmor/parameters/enabled` says the same, but is not shown in every container.
    ///
    /// # Errors
    /// A look that failed: nothing is known then.
    pub fn current() -> Result<Self, AppArmorError> {
        match procfs::read(CURRENT) {
            Ok(_) => Ok(Self::On),
            Err(error) if error.errno() == Some(libc::EINVAL) => Ok(Self::Off(Off::Boot)),
            Err(error) if error.errno() == Some(libc::ENOENT) => {
                // A procfs of other processes has not this thread at all.
                procfs::read("thread-self/status")?;
                Ok(Self::Off(Off::Kernel))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where a profile is asked for.
    ///
    /// # Errors
    /// [`AppArmorError::Off`].
    pub fn require(self) -> Result<(), AppArmorError> {
        match self {
            Self::Off(why) => Err(AppArmorError::Off(why)),
            Self::On => Ok(()),
        }
    }
}

/// The label of this thread.
///
/// # Errors
/// A read that failed (`ENOENT` or `EINVAL` where AppArmor is not in force), or what is no label.
pub fn current() -> Result<Label, AppArmorError> {
    read(CURRENT)
}

/// The label of a process.
///
/// # Errors
/// A read that failed: `ENOENT` too if there is no such process.
pub fn of_process(pid: Pid) -> Result<Label, AppArmorError> {
    read(&format!("{pid}/attr/apparmor/current"))
}

fn read(path: &str) -> Result<Label, AppArmorError> {
    let bytes = procfs::read(path)?;
    let none = || {
        AppArmorError::malformed(
            format!("/proc/{path}"),
            format!("{:?} is no label", bytes.escape_ascii().to_string()),
        )
    };
    Label::from_bytes(&bytes).ok_or_else(none)
}

/// Whether the profile is loaded, and this thread may start a program under it. The kernel is asked by `permprofile NAME`, which changes nothing and is
/// open to everyone, where the list of profiles is root's.
///
/// # Errors
/// [`AppArmorError::Off`], [`AppArmorError::NotLoaded`], [`AppArmorError::Refused`]; or a call that failed.
pub fn check(transition: &Transition) -> Result<(), AppArmorError> {
    let standing = Standing::current()?;
    let name = transition.name();
    if name.is_unconfined() && matches!(standing, Standing::Off(_)) {
        return Ok(());
    }
    standing.require()?;
    match procfs::write(CURRENT, &format!("permprofile {name}")) {
        Ok(()) => Ok(()),
        Err(error) => refused(transition, error),
    }
}

fn refused(transition: &Transition, error: ThreadError) -> Result<(), AppArmorError> {
    let name = transition.name().to_string();
    match (error.errno(), transition) {
        (Some(libc::ENOENT), _) => Err(AppArmorError::NotLoaded { name }),
        // It is looked up first. Whether it may be stacked, for which rules are others, only the write itself tells.
        (Some(libc::EACCES | libc::EPERM), Transition::Stack(_)) => Ok(()),
        (Some(libc::EACCES | libc::EPERM), Transition::Exec(_)) => {
            Err(AppArmorError::Refused { name, own: current()?.to_string() })
        }
        _ => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_where_there_are_none_is_an_error_with_its_reason() {
        let error = Standing::Off(Off::Kernel).require().unwrap_err().to_string();
        assert_eq!(error, "AppArmor is not enabled on this host: the kernel was built without it");
        assert_eq!(Standing::On.require(), Ok(()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn what_the_kernel_answers_has_a_meaning() {
        let failed = |errno| ThreadError::Call { call: "write".to_owned(), errno };
        let [exec, stack]: [Transition; 2] = ["a", "&a"].map(|text| text.parse().unwrap());
        let name = "a".to_owned();
        for transition in [&exec, &stack] {
            let missing = refused(transition, failed(libc::ENOENT));
            assert_eq!(missing, Err(AppArmorError::NotLoaded { name: name.clone() }));
            assert_eq!(refused(transition, failed(libc::EIO)).unwrap_err().errno(), Some(libc::EIO));
        }
        assert_eq!(refused(&stack, failed(libc::EACCES)), Ok(()));
        assert!(refused(&exec, failed(libc::EACCES)).is_err());
    }
}
