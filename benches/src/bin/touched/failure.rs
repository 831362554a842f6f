//! The error of a tool: all that is done with it is to print it.

pub(crate) type Failure = Box<dyn std::error::Error>;
