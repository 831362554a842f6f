//! What a machine is for: it decides which programs it has, and how much time, memory and processors.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Seconds that a disk's script may take, under emulation.
pub(crate) const LIMIT_OF_SCRIPT: u64 = 3 * 3600;
/// What a machine has besides in which podman and Docker run.
const CLIENTS: &[&str] = &[
    "aardvark-dns",
    "catatonit",
    "conmon",
    "hostname",
    "tar",
    "containernetworking-plugins",
    "docker.io",
    "iptables",
    "jq",
    "netavark",
    "podman",
];
/// The same of one that runs a script: what suites of others want (docs/suites.md).
const SCRIPT: &[&str] = &[
    "bats",
    "bsdutils",
    "file",
    "gawk",
    "gcc",
    "hostname",
    "jq",
    "libc6-dev",
    "libseccomp2",
    "tar",
    "xz-utils",
];

/// What a machine is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// Tests of this workspace.
    Tests,
    /// Those in which podman and Docker run.
    Clients,
    /// The program `run` of this disk.
    Script(PathBuf),
}

impl Purpose {
    /// A machine that has not answered for so long is ended.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Tests => 1500,
            Self::Clients => 3600,
            Self::Script(_) => LIMIT_OF_SCRIPT + 300,
        })
    }

    /// Megabytes.
    pub(crate) fn memory(&self) -> &'static str {
        if matches!(self, Self::Tests) { "1024" } else { "2048" }
    }

    /// Some tests of others are of cpusets.
    pub(crate) fn processors(&self) -> &'static str {
        if matches!(self, Self::Script(_)) { "2" } else { "1" }
    }

    /// Packages besides those that all machines have, and the directory of their image.
    pub(crate) fn packages(&self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Tests => (&[], "tools"),
            Self::Clients => (CLIENTS, "tools-clients"),
            Self::Script(_) => (SCRIPT, "tools-script"),
        }
    }

    /// The disk of its own that the machine writes to.
    pub(crate) fn disk(&self) -> Option<&Path> {
        if let Self::Script(disk) = self { Some(disk) } else { None }
    }
}
