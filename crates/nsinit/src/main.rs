//! Run containers from the command line.
fn main() {}
