//! SELinux: the policy that the host put beside this program, enforced.

use std::fs::{self, OpenOptions};
use std::io::Write;

use anyhow::{Context, Result, bail};
use nix::mount::MsFlags;

use crate::mounting::mount_at;

const POLICY: &str = "/policy";
const SELINUXFS: &str = "/sys/fs/selinux";

/// Loads the policy and enforces it; nothing if there is none.
///
/// ORDER: before the first disk is mounted, so that each file system is labelled as the policy says from the start.
pub(crate) fn enforce() -> Result<()> {
    let policy = match fs::read(POLICY) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        policy => policy.context(POLICY)?,
    };
    mount_at("selinuxfs", "selinuxfs", SELINUXFS, MsFlags::empty(), "")?;
    let load = format!("{SELINUXFS}/load");
    let mut file = OpenOptions::new().write(true).open(&load).with_context(|| load.clone())?;
    // In one piece: the kernel takes each write for a whole policy.
    let written = file.write(&policy).with_context(|| load.clone())?;
    if written != policy.len() {
        bail!("{load}: {written} of {} bytes", policy.len());
    }
    let enforce = format!("{SELINUXFS}/enforce");
    fs::write(&enforce, "1").with_context(|| enforce.clone())?;
    let now = fs::read_to_string(&enforce).with_context(|| enforce.clone())?;
    if now.trim() == "1" { Ok(()) } else { bail!("{enforce}: {now:?} after 1 was written") }
}
