//! AppArmor: whether it is in force, labels of processes, profiles that are loaded, and a default profile made of parts.
//!
//! What puts a container's program under a profile is a step in [`crate::plan`]. Everything here talks to the kernel by `/proc` and securityfs, without
//! libapparmor; only the text of a profile takes a program, apparmor_parser(8), which compiles it.

mod default_profile;
mod error;
mod label;
mod name;
mod parser;
mod policy;
mod standing;

pub use default_profile::{Abi, DefaultProfile};
pub use error::{AppArmorError, NameError, Off};
pub use label::Label;
pub use name::{ProfileName, Transition};
pub use policy::{Loaded, load, load_compiled, loaded, remove, replace, replace_compiled};
pub use standing::{Standing, check, current, of_process};
