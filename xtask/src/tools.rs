//! Programs that tasks need, from the packages of Debian and its kin.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::run::{check, has};

/// A program, the package that has it, and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    pub(crate) purpose: &'static str,
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> Result<bool> {
    // The directory belongs to the effective user.
    Ok(std::fs::metadata("/proc/self").context("stat /proc/self")?.uid() == 0)
}

/// Those that are not there.
pub(crate) fn missing(tools: &[Tool]) -> Vec<Tool> {
    tools.iter().filter(|tool| !has(tool.program)).copied().collect()
}

/// As root where there is `apt-get`, installs what is missing; elsewhere names it. What is still missing then.
pub(crate) fn install(tools: &[Tool]) -> Result<Vec<Tool>> {
    let wanted = missing(tools);
    for Tool { program, package, purpose } in &wanted {
        println!("missing: {program} (package {package}): {purpose}");
    }
    if wanted.is_empty() || !is_root()? || !has("apt-get") {
        return Ok(wanted);
    }
    let packages: Vec<_> = wanted.iter().map(|tool| tool.package).collect();
    println!("installing {}", packages.join(" "));
    check(&mut apt(&["-qq", "update"]))?;
    check(apt(&["-qq", "-y", "--no-install-recommends", "install"]).args(packages))?;
    Ok(missing(tools))
}

fn apt(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
    command
}
