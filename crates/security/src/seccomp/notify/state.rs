//! What a listener is told of the process: `containerProcessState` of OCI's runtime-spec 1.3, config-linux, "The Container Process State".

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The name of the listener among [`ProcessState::fds`].
pub const SECCOMP_FD: &str = "seccompFd";

/// What comes with a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessState {
    /// The version of the specification.
    pub oci_version: String,
    /// Names of the descriptors that come along, in their order.
    pub fds: Vec<String>,
    /// The process, in the sender's pid namespace.
    pub pid: i32,
    /// `listenerMetadata` of the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The container.
    pub state: ContainerState,
}

/// OCI's state of a container, as far as a listener has a use for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState {
    /// The version of the specification.
    pub oci_version: String,
    /// The container's name.
    pub id: String,
    /// `creating` while the first process is not running, else `running`.
    pub status: String,
    /// The first process, in the sender's pid namespace; 0 if there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pid: i32,
    /// Where the container was made from.
    pub bundle: PathBuf,
    /// Annotations, if there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

const VERSION: &str = "1.3.0";

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(pid: &i32) -> bool {
    *pid == 0
}

impl ContainerState {
    /// Of the version of the specification that this crate knows, and else empty.
    #[must_use]
    pub fn current() -> Self {
        Self { oci_version: VERSION.to_owned(), ..Self::default() }
    }
}

impl ProcessState {
    /// For the listener of process `pid` in this container.
    #[must_use]
    pub fn new(pid: i32, metadata: Option<String>, state: ContainerState) -> Self {
        let state = ContainerState { oci_version: VERSION.to_owned(), ..state };
        Self { oci_version: VERSION.to_owned(), fds: vec![SECCOMP_FD.to_owned()], pid, metadata, state }
    }
}
