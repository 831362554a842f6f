//! Containers whose processes can't all be found: an ordinary user's, who has been given no control group, in a pid namespace of others.

use super::host::Host;
use crate::config::NamespaceKind;
use crate::error::{Error, ErrorKind};
use crate::record::State;

/// The last words before the colon are runc's.
const UNHELD: &str = "it has neither a control group nor a pid namespace of its own: its first process is the only one that is known, and what that leaves behind \
    outlives the container. Such configuration is strongly discouraged: add the namespace \"pid\", or have a control group delegated to this user";

/// Tells of a container that nothing holds together.
pub(super) fn tell(host: &Host, state: &State) {
    if state.places().is_empty() && !state.config.namespaces.is_new(NamespaceKind::Pid) {
        host.warn(&Error::new(ErrorKind::Unsupported, format!("create {:?}: {UNHELD}", state.id)));
    }
}
