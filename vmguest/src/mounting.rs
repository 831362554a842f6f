//! One mount.

use std::fs;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

/// Mounts a filesystem; the error names it.
pub(crate) fn mount_at(kind: &str, source: &str, target: &str, flags: MsFlags, data: &str) -> Result<()> {
    fs::create_dir_all(target).with_context(|| format!("mkdir {target}"))?;
    mount(Some(source), target, Some(kind), flags, Some(data))
        .with_context(|| format!("mount {kind} on {target} ({data})"))
}
