//! `order`: the order of functions in the command line's text.

use anyhow::Result;

use crate::run::{cargo, check, root};
use crate::tools::{self, BUSYBOX};

/// Builds the command line with a map, and has `touched` look at what the commands call.
pub(crate) fn run() -> Result<()> {
    tools::install(&[BUSYBOX])?;
    let map = root().join("target/nsinit.map");
    let build = ["rustc", "-p", "nsinit", "--bin", "nsinit", "--release", "--"];
    check(cargo(&build).arg(format!("-Clink-arg=-Wl,-Map={}", map.display())))?;
    let touched = ["run", "-p", "libcontainer-benches", "--bin", "touched", "--", "target/release/nsinit"];
    check(cargo(&touched).arg(map).arg("crates/nsinit/order.txt"))
}
