//! Cross-field rules of a config: pure, and all problems at once.

mod all;
mod attributes;
mod hooks;
mod labels;
mod namespaces;
mod problems;
mod process;
mod resctrl;
mod tree;
mod warnings;

pub use problems::Facts;
pub(crate) use process::process_problems;
pub(crate) use resctrl::{is_class, is_schema};
pub(crate) use tree::leaving;
