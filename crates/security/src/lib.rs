#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod accounts;
pub mod apparmor;
mod capability;
mod error;
mod file_capability;
mod id_map;
pub mod landlock;
mod memory_policy;
mod numbers;
pub mod observe;
mod personality;
pub mod plan;
pub mod process;
mod process_dir;
mod procfs;
mod readback;
mod rlimit;
mod scheduler;
pub mod seccomp;
pub mod selinux;
mod status;
pub mod thread;

pub use accounts::{ResolvedUser, UserError, resolve as resolve_user, user_name};
pub use capability::{CapSet, Capabilities, Capability, UnknownCapability};
pub use error::ThreadError;
pub use file_capability::{FileCapabilities, FileCapabilityError};
pub use id_map::IdMaps;
pub use memory_policy::{MemoryFlag, MemoryMode, MemoryPolicy};
pub use numbers::{NumberList, NumberListError};
pub use personality::{Domain, Personality, PersonalityFlag};
pub use process_dir::ProcessDir;
pub use readback::{Expected, ReadBack};
pub use rlimit::{Resource, Rlimit, problems as rlimit_problems};
pub use scheduler::{CpuAffinity, IoClass, IoPriority, Policy, Scheduler, SchedulerFlag};
pub use status::{Ids, SeccompMode, Status, StatusError};
