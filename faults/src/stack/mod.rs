//! Where a call comes from: the functions that stand on the stack of who makes it.

mod bytes;
mod image;
mod names;
mod table;
mod walk;

pub(crate) use names::innermost;
pub(crate) use walk::Walker;
