//! The filter of a program: compiled once for the same profile and capabilities.

use std::sync::{Arc, Mutex, PoisonError};

use libcontainer_security::seccomp::{Arch, Filter, Options, Profile, compile};

use crate::config::Seccomp;
use crate::error::{Error, ErrorKind, Result};

/// The last filter that was compiled, and of what: containers of one program mostly have the same.
#[derive(Debug, Default)]
pub(crate) struct Filters(Mutex<Option<(Seccomp, u64, Arc<Filter>)>>);

impl Filters {
    /// The filter for a program with these capabilities in its bounding set; none if it is to have none.
    ///
    /// # Errors
    /// What is wrong with the profile.
    pub(super) fn get(&self, seccomp: &Seccomp, bounding: u64) -> Result<Option<Arc<Filter>>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, capabilities, filter)) = &*last {
            if of == seccomp && *capabilities == bounding {
                return Ok(Some(Arc::clone(filter)));
            }
        }
        let filter = match seccomp {
            // Until there is a default profile.
            Seccomp::Default | Seccomp::Unconfined => return Ok(None),
            Seccomp::Profile(profile) => Arc::new(compiled(profile)?),
        };
        *last = Some((seccomp.clone(), bounding, Arc::clone(&filter)));
        Ok(Some(filter))
    }
}

fn compiled(profile: &Profile) -> Result<Filter> {
    let invalid = |text: String| Error::new(ErrorKind::InvalidConfig, text);
    let native = Arch::native().ok_or_else(|| {
        invalid("seccomp: no filter can be compiled for the architecture of this program".to_owned())
    })?;
    // Its pointers begin with "seccomp/".
    compile(profile, &Options::new(native)).map_err(|error| invalid(format!("/{error}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use libcontainer_security::seccomp::{Action, Rule};

    use super::*;

    fn refusing(name: &str) -> Seccomp {
        let mut profile = Profile::new(Action::Allow);
        profile.syscalls.push(Rule::new(&[name], Action::Errno));
        Seccomp::Profile(Box::new(profile))
    }

    #[test]
    fn the_same_profile_is_compiled_once() {
        let filters = Filters::default();
        let first = filters.get(&refusing("reboot"), 1).unwrap().unwrap();
        let again = filters.get(&refusing("reboot"), 1).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let other = filters.get(&refusing("acct"), 1).unwrap().unwrap();
        assert_ne!(other, first);
        assert!(filters.get(&Seccomp::Unconfined, 1).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let mut profile = Profile::new(Action::Errno);
        profile.syscalls.push(Rule::new(&["read"], Action::Notify));
        let error = Filters::default().get(&Seccomp::Profile(Box::new(profile)), 0).unwrap_err().to_string();
        assert!(error.starts_with("/seccomp/syscalls/0: SCMP_ACT_NOTIFY without listenerPath"), "{error}");
    }
}
