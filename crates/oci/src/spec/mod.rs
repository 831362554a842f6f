//! The types of the OCI runtime specification 1.3, `config.json`.
//!
//! A key whose value is `null` is absent, as for Go. Keys that no field has are left out when a text is read, as the specification wants it, and
//! noted with their JSON pointers; so are letters of a device rule's access that are none of r, w and m. A key that differs from a known one in the case of
//! letters alone is taken for that, as by Go, and noted.

mod borrowed;
mod linux;
pub(crate) mod object;
mod process;
mod read;
mod respell;

use std::collections::BTreeMap;
use std::path::PathBuf;

use libcontainer::Problem;

pub use borrowed::{
    CpuAffinity, IoPriority, MemoryPolicy, Personality, Resources, Rlimit, Scheduler, Seccomp,
    resources_from_json,
};
pub use linux::{Device, IdMapping, IntelRdt, Linux, Namespace, NetDevice, TimeOffset};
pub(crate) use object::{escaped, object};
pub use process::{Capabilities, ConsoleSize, Process, User};
pub use read::Error;

object! {
    /// A container: `config.json`.
    Spec {
        /// Version of the specification that the text was written for.
        always oci_version: String = "ociVersion",
        /// The program. Without it there can be no start.
        process: Option<Process> = "process",
        /// The root filesystem.
        root: Option<Root> = "root",
        /// Host name.
        hostname: String = "hostname",
        /// NIS domain name.
        domainname: String = "domainname",
        /// Mounts, in order.
        mounts: Vec<Mount> = "mounts",
        /// Programs to be run at points of the container's life.
        hooks: Option<Hooks> = "hooks",
        /// Texts about the container.
        annotations: BTreeMap<String, String> = "annotations",
        /// What only Linux has.
        linux: Option<Linux> = "linux",
        /// What only Solaris has; of no meaning here.
        solaris: Option<serde_json::Value> = "solaris",
        /// What only Windows has; of no meaning here.
        windows: Option<serde_json::Value> = "windows",
        /// What only virtual machines have.
        vm: Option<serde_json::Value> = "vm",
        /// What only z/OS has; of no meaning here.
        zos: Option<serde_json::Value> = "zos",
        /// What only FreeBSD has; of no meaning here.
        freebsd: Option<serde_json::Value> = "freebsd",
        /// What is to be said of the text: what was [left out](Problem::left_out), and keys in other letters' case.
        beside notes: Vec<Problem>,
    }
}

impl Spec {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// Where the text is no JSON, or a value has the wrong type, or is a word that the specification doesn't have.
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        let (spec, notes) = read::read::<Self>(text)?;
        Ok(Self { notes, ..spec })
    }
}

object! {
    /// `root`.
    Root {
        /// Absolute, or relative to the bundle.
        always path: PathBuf = "path",
        /// Nothing can be written to it.
        readonly: bool = "readonly",
    }
}

object! {
    /// One of `mounts`.
    Mount {
        /// Absolute path inside.
        always destination: PathBuf = "destination",
        /// Filesystem; of no meaning for a bind.
        kind: String = "type",
        /// Device, or path on the host, then absolute or relative to the bundle.
        source: PathBuf = "source",
        /// Options as mount(8) has them, and those of the specification.
        options: Vec<String> = "options",
        /// Id map of the mount.
        uid_mappings: Vec<IdMapping> = "uidMappings",
        /// As `uid_mappings`, of groups.
        gid_mappings: Vec<IdMapping> = "gidMappings",
    }
}

object! {
    /// Programs to be run at points of the container's life, in this order.
    Hooks {
        /// Before the program is started, in the runtime's namespaces; deprecated.
        prestart: Vec<Hook> = "prestart",
        /// While the container is created, in the runtime's namespaces.
        create_runtime: Vec<Hook> = "createRuntime",
        /// While the container is created, in its namespaces.
        create_container: Vec<Hook> = "createContainer",
        /// Before the program is started, in the container's namespaces.
        start_container: Vec<Hook> = "startContainer",
        /// When the program runs, in the runtime's namespaces.
        poststart: Vec<Hook> = "poststart",
        /// When the container was deleted, in the runtime's namespaces.
        poststop: Vec<Hook> = "poststop",
    }
}

object! {
    /// A program to be run.
    Hook {
        /// Absolute path.
        always path: PathBuf = "path",
        /// All of argv, the name included.
        args: Vec<String> = "args",
        /// The whole environment, each `NAME=value`.
        env: Vec<String> = "env",
        /// Seconds after which it is killed.
        timeout: Option<i64> = "timeout",
    }
}
