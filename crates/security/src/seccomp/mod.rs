//! seccomp(2) without a C library: OCI and Docker profiles compiled to classic BPF.
//!
//! ```
//! use libcontainer_security::seccomp::{Action, Arch, Data, Options, Profile, Rule, compile, run};
//!
//! let mut profile = Profile::new(Action::Allow);
//! profile.syscalls.push(Rule::new(&["reboot", "kexec_load"], Action::Errno));
//! let filter = compile(&profile, &Options::new(Arch::X86_64))?;
//!
//! let reboot = Arch::X86_64.number("reboot").unwrap();
//! let verdict = run(filter.instructions(), &Data::new(Arch::X86_64, reboot, [0; 6]))?;
//! assert_eq!(verdict.outcome.to_string(), "fails with EPERM");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The first instructions look at the architecture, and kill what the profile has no rules for. Then comes a search over ranges of numbers
//! with one fate, weighed by how many calls lie in them, and last the arguments.
//!
//! Where profiles leave something open, it is as in runc with libseccomp:
//!
//! * a rule without conditions decides about its call alone, wherever it stands; the others of that call are left out, with a warning;
//! * of rules with conditions the first that holds decides (libseccomp takes them in an order of its own); the same conditions with two
//!   actions are an error;
//! * two conditions on one argument in one rule are alternatives;
//! * a rule with the action of the default says nothing;
//! * on architectures of 32 bits the low half of an argument is compared with the low half of the value;
//! * what is newer than the newest call that the profile names fails with ENOSYS ([`Options::enosys`]).
//!
//! socketcall(2) and ipc(2) follow the rules for the calls that they carry, unless a rule without conditions names them. Where such a
//! rule has conditions, which can't be checked there, the strictest of its call's outcomes holds.

mod action;
mod arch;
mod arguments;
mod assemble;
mod compile;
mod default;
mod docker;
mod error;
mod explain;
mod filter;
mod instruction;
mod interpret;
mod multiplexed;
pub mod notify;
mod options;
mod profile;
mod ranges;
mod rules;
mod sides;
mod survey;
mod syscalls;
mod wanted;

pub use action::{Action, Outcome};
pub use arch::Arch;
pub use compile::{compile, default_filter};
pub use default::default_profile;
pub use docker::{DockerProfile, Kernel, ResolveError};
pub use error::{CompileError, Warning};
pub use explain::{Difference, Explanation, explain};
pub use filter::Filter;
pub use instruction::Instruction;
pub use interpret::{Data, ProgramError, Verdict, check, from_bytes, run};
pub use options::Options;
pub use profile::{Arg, Flag, Operator, Profile, Rule};
pub use survey::{Survey, always, survey};
