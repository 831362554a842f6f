//! The device filter: which device nodes a group may open or make.
//!
//! A list of [`Rule`]s is one policy for both kinds of kernel interface. On version 1 it becomes the smallest set of
//! writes to `devices.allow` and `devices.deny` ([`v1`]); on version 2 it becomes a small eBPF program ([`Program`])
//! that the kernel runs at each open and mknod ([`Filter`]).
//!
//! ```
//! use libcontainer_cgroups::devices::{Access, Kind, Program, Rule, model};
//!
//! let rules: Vec<Rule> = serde_json::from_str(
//!     r#"[{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"}]"#,
//! )?;
//! assert!(model::allows(&rules, Kind::Char, 1, 3, Access::READ | Access::WRITE));
//! assert!(!model::allows(&rules, Kind::Char, 1, 5, Access::READ));
//! println!("{}", Program::assemble(&rules)?.explain());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[allow(unsafe_code, reason = "bpf(2) has no safe wrapper")]
mod bpf;
mod kernel;
pub mod model;
mod program;
mod rules;
pub mod v1;

pub use kernel::{Attached, Filter, attached, detach_all, set};
pub use program::{Instruction, Program};
pub use rules::{Access, Kind, Rule, allow_list, simplify, validate};
