//! `faults`: builds the programs and lets `faults/` try them.

use anyhow::Result;

use crate::run::{cargo, check};
use crate::tools::{self, Tool};

const TOOLS: [Tool; 1] =
    [Tool { program: "busybox", package: "busybox-static", purpose: "is the program inside the containers" }];
const BUILD: [&str; 11] = [
    "build",
    "--quiet",
    "--bins",
    "-p",
    "nsinit",
    "-p",
    "containerd-shim-nsinit",
    "-p",
    "libcontainer-faults",
    "-p",
    "libcontainer-tests",
];

pub(crate) fn run(args: &[String]) -> Result<()> {
    tools::install(&TOOLS)?;
    check(&mut cargo(&BUILD))?;
    check(cargo(&["run", "--quiet", "-p", "libcontainer-faults", "--bin", "faults", "--"]).args(args))
}
