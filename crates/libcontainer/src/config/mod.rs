//! The container's config: 2014's `container.json`, and what has been added in the same style. Plain data, read and checked without a
//! look at the host.

mod cgroup;
mod container;
mod hooks;
mod json;
mod levels;
mod namespace_kind;
mod namespaces;
mod resctrl;
mod rules;
mod seccomp;
mod unset;

pub use cgroup::Cgroup;
pub use container::{CapabilitySets, Config, TimeOffset};
pub use hooks::{Hook, Hooks};
pub use json::Mode;
pub use libcontainer_network::{Network, Port, Route};
pub use namespace_kind::NamespaceKind;
pub use namespaces::{Namespace, Namespaces};
pub use resctrl::Resctrl;
pub use rules::Facts;
pub(crate) use rules::{is_class, is_schema, leaving, process_problems};
pub use seccomp::Seccomp;
