//! SELinux: contexts, and what can be asked and changed with them.

mod context;
mod level;

pub use context::{Context, ContextError};
pub use level::{CATEGORIES, Categories, Level, Range};
