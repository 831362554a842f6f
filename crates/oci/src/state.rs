//! What `state` and `list` show.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The state of a container: the specification's, and what runc shows beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    /// [`VERSION`](crate::VERSION).
    pub oci_version: String,
    /// Name of the container.
    pub id: String,
    /// Its first process; 0 if that has ended.
    pub pid: i32,
    /// `creating`, `created`, `running`, `paused` or `stopped`.
    pub status: String,
    /// The directory that its config was read from.
    pub bundle: PathBuf,
    /// Its root filesystem.
    pub rootfs: PathBuf,
    /// When it was created: RFC 3339, with nanoseconds.
    pub created: String,
    /// Its annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Name of the user who made it.
    pub owner: String,
}
