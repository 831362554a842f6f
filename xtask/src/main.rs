//! Development tasks: `cargo xtask test`, `tidy`, `ci`, `bench`, `golden`.
fn main() {}
