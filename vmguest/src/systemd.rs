//! A machine with systemd as pid 1 and D-Bus; the tests run as one of its units.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

const UNITS: &str = "/etc/systemd/system";
/// Units that a test machine has no use for, each costing time.
const MASKED: &str = include_str!("masked-units.txt");
const SERVICE: &str = include_str!("vmtest.service");

/// Replaces this process; only an error returns.
pub(crate) fn become_systemd() -> Result<()> {
    fs::create_dir_all(UNITS).context(UNITS)?;
    for name in MASKED.lines().filter(|line| !line.is_empty()) {
        let path = Path::new(UNITS).join(name);
        let _ = fs::remove_file(&path);
        symlink("/dev/null", &path).with_context(|| path.display().to_string())?;
    }
    // It would empty /tmp, where the workspace may lie.
    let cleaning = "/etc/tmpfiles.d/tmp.conf";
    fs::create_dir_all("/etc/tmpfiles.d").context("/etc/tmpfiles.d")?;
    symlink("/dev/null", cleaning).context(cleaning)?;
    let unit = Path::new(UNITS).join("vmtest.service");
    fs::write(&unit, SERVICE).with_context(|| unit.display().to_string())?;
    let error: Result<Infallible, std::io::Error> =
        Err(Command::new("/lib/systemd/systemd").arg0("systemd").env_clear().exec());
    error.map(|_| ()).context("exec systemd")
}
