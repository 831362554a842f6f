//! Programs that are run at fixed points of a container's life.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::unset::unset;

/// Hooks of the OCI runtime specification, in the order in which they run. Each list is run in its own order.
///
/// Each gets the container's state as JSON on its standard input. docs/hooks.md says where each runs and what follows if it fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooks {
    /// In the host's namespaces, when the container's namespaces and mounts are made and before its root is entered. Deprecated by the specification.
    #[serde(skip_serializing_if = "unset")]
    pub prestart: Vec<Hook>,
    /// In the host's namespaces, after these.
    #[serde(skip_serializing_if = "unset")]
    pub create_runtime: Vec<Hook>,
    /// In the container's namespaces, after these; still with the host's root, where the path is looked up.
    #[serde(skip_serializing_if = "unset")]
    pub create_container: Vec<Hook>,
    /// In the container, as its user and confined like its program, right before that runs. The path is inside.
    #[serde(skip_serializing_if = "unset")]
    pub start_container: Vec<Hook>,
    /// In the host's namespaces, after the program was started. A failure is a warning.
    #[serde(skip_serializing_if = "unset")]
    pub poststart: Vec<Hook>,
    /// In the host's namespaces, after the container was destroyed. A failure is a warning.
    #[serde(skip_serializing_if = "unset")]
    pub poststop: Vec<Hook>,
}

impl Hooks {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists().iter().all(|(_, hooks)| hooks.is_empty())
    }

    /// Those that run before the container's root is entered.
    pub(crate) fn before_root(&self) -> impl Iterator<Item = &Hook> {
        self.prestart.iter().chain(&self.create_runtime).chain(&self.create_container)
    }

    /// The lists with their keys, in the order in which they run.
    pub(crate) fn lists(&self) -> [(&'static str, &[Hook]); 6] {
        [
            ("prestart", &self.prestart),
            ("create_runtime", &self.create_runtime),
            ("create_container", &self.create_container),
            ("start_container", &self.start_container),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ]
    }
}

/// One program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// Absolute path of the program.
    #[serde(skip_serializing_if = "unset")]
    pub path: PathBuf,
    /// All arguments, the name first: execve(2), `argv`. If empty, the path alone.
    #[serde(skip_serializing_if = "unset")]
    pub args: Vec<String>,
    /// The environment, each `NAME=value`. Nothing of the caller's and nothing of the container's is added, unless [`inherit_env`](Self::inherit_env) says so.
    #[serde(skip_serializing_if = "unset")]
    pub env: Vec<String>,
    /// Lays `env` over the environment of the process that runs the hook; of `start_container`, over that of the container's program.
    #[serde(skip_serializing_if = "unset")]
    pub inherit_env: bool,
    /// Seconds after which it is killed, with all that it has started in its session; at least 1. It is waited for without end if absent.
    #[serde(skip_serializing_if = "unset")]
    pub timeout: Option<u64>,
}
