#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod spec;

mod back;
mod convert;
mod example;
mod features;
mod kinds;
mod state;

pub use back::from_config;
pub use convert::{
    Converted, Options, ProcessParts, convert, examine, leave_idle_weight, pointer, process, resources,
    schemata, translated,
};
pub use example::{default_spec, rootless_spec};
pub use features::{
    CgroupFeatures, Enabled, Features, IntelRdtFeatures, LinuxFeatures, MemoryPolicyFeatures,
    MountExtensions, SeccompFeatures, features,
};
pub use libcontainer::Problem;
pub use spec::{Error, Spec};
pub use state::State;

/// The version of the specification that this crate has.
pub const VERSION: &str = "1.3.0";

/// The annotation by which the caller's supplementary groups stay: crun's, and podman's `--group-add keep-groups`.
pub(crate) const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

/// What annotations begin with that are properties of the scope under systemd.
pub(crate) const PROPERTY: &str = "org.systemd.property.";
