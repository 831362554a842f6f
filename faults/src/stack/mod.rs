//! Where a call comes from: the functions that stand on the stack of who makes it.

mod image;
mod names;
mod walk;

pub(crate) use names::innermost;
pub(crate) use walk::Walker;
