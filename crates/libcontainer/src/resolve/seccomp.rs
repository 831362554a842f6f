//! The filter of a program: compiled once for the same profile and capabilities.

use std::sync::{Arc, Mutex, PoisonError};

use libcontainer_security::CapSet;
use libcontainer_security::seccomp::notify::Knock;
use libcontainer_security::seccomp::{
    Action, Arch, CompileError, Filter, Kernel, Options, always, compile, default_filter,
};

use crate::config::Seccomp;
use crate::error::{Error, ErrorKind, Result};
use crate::setup::ListenerSetup;

/// The last filter that was compiled, and of what: containers of one program mostly have the same.
#[derive(Debug, Default)]
pub(crate) struct Filters(Mutex<Option<(Seccomp, u64, Arc<Filter>)>>);

impl Filters {
    /// The filter for a program with these capabilities in its bounding set; none if it is to have none.
    ///
    /// # Errors
    /// What is wrong with the profile.
    pub(super) fn get(
        &self,
        seccomp: &Seccomp,
        bounding: u64,
        kernel: Kernel,
    ) -> Result<Option<Arc<Filter>>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, capabilities, filter)) = &*last {
            if of == seccomp && *capabilities == bounding {
                return Ok(Some(Arc::clone(filter)));
            }
        }
        let filter = match seccomp {
            Seccomp::Unconfined => return Ok(None),
            Seccomp::Default => checked(default_filter(&CapSet::from_bits(bounding), kernel, &options()?)),
            Seccomp::Profile(profile) => checked(compile(profile, &options()?)),
        };
        let filter = Arc::new(filter?);
        *last = Some((seccomp.clone(), bounding, Arc::clone(&filter)));
        Ok(Some(filter))
    }
}

/// Where the listener of the filter goes to; none if it has none. `sent`: the init's descriptors are closed to this host.
///
/// # Errors
/// That of getrandom(2), and if the filter is too long to have the knock before it.
pub(super) fn listener(
    seccomp: &Seccomp,
    filter: Option<&Filter>,
    sent: bool,
) -> Result<Option<ListenerSetup>> {
    let (Seccomp::Profile(profile), Some(filter)) = (seccomp, filter.filter(|filter| filter.notifies()))
    else {
        return Ok(None);
    };
    // Without a path it was not compiled.
    let Some(path) = profile.listener_path.clone() else { return Ok(None) };
    let knock =
        Knock::new().map_err(|error| Error::io("make the knock of a seccomp listener", error.into()))?;
    let native = native()?;
    let program = if sent { knock.before_and_sending(filter, native) } else { knock.before(filter, native) };
    let program = program.map_err(|error| invalid(format!("/{error}")))?;
    Ok(Some(ListenerSetup { path, metadata: profile.listener_metadata.clone(), knock, program, sent }))
}

fn options() -> Result<Options> {
    native().map(Options::new)
}

fn checked(filter: std::result::Result<Filter, CompileError>) -> Result<Filter> {
    // Its pointers begin with "seccomp/".
    let filter = filter.map_err(|error| invalid(format!("/{error}")))?;
    match always(filter.instructions(), native()?, "execve") {
        Some(outcome) if is_the_end(outcome.action()) => {
            Err(invalid(format!("/seccomp: execve always {outcome}: no program can be run (allow execve)")))
        }
        _ => Ok(filter),
    }
}

/// What nobody outside can turn: a tracer can.
fn is_the_end(action: Action) -> bool {
    matches!(action, Action::KillProcess | Action::KillThread | Action::Trap | Action::Errno)
}

fn native() -> Result<Arch> {
    let text =
        "/seccomp: no filter can be made for the architecture of this program; \"unconfined\" has none";
    Arch::native().ok_or_else(|| invalid(text.to_owned()))
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use libcontainer_security::seccomp::{Profile, Rule};

    use super::*;

    const KERNEL: Kernel = (6, 1);

    fn refusing(name: &str) -> Seccomp {
        let mut profile = Profile::new(Action::Allow);
        profile.syscalls.push(Rule::new(&[name], Action::Errno));
        Seccomp::Profile(Box::new(profile))
    }

    #[test]
    #[cfg_attr(miri, ignore = "too long")]
    fn the_same_profile_is_compiled_once() {
        let filters = Filters::default();
        let first = filters.get(&refusing("reboot"), 1, KERNEL).unwrap().unwrap();
        let again = filters.get(&refusing("reboot"), 1, KERNEL).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let other = filters.get(&refusing("acct"), 1, KERNEL).unwrap().unwrap();
        assert_ne!(other, first);
        assert!(filters.get(&Seccomp::Unconfined, 1, KERNEL).unwrap().is_none());
        let few = filters.get(&Seccomp::Default, 0, KERNEL).unwrap().unwrap();
        let more = filters.get(&Seccomp::Default, 1 << 21, KERNEL).unwrap().unwrap();
        assert_ne!(few, more, "CAP_SYS_ADMIN comes with system calls of its own");
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let mut profile = Profile::new(Action::Errno);
        profile.syscalls.push(Rule::new(&["read"], Action::Notify));
        let error =
            Filters::default().get(&Seccomp::Profile(Box::new(profile)), 0, KERNEL).unwrap_err().to_string();
        assert!(error.starts_with("/seccomp/syscalls/0: SCMP_ACT_NOTIFY without listenerPath"), "{error}");
    }
}
