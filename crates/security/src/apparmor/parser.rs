//! apparmor_parser(8): from the text of profiles to the kernel.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::error::AppArmorError;

/// Where it is looked for. Absolute: nothing that an environment names is run.
const DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"];
/// Most bytes of a complaint that are read.
const SAID: u64 = 4096;

/// Gives the text to the parser, which compiles it anew and hands it to the kernel: `action` says how.
pub(super) fn run(action: &str, text: &str) -> Result<(), AppArmorError> {
    let path = installed()?;
    let failed =
        |what: &str, error: &io::Error| AppArmorError::call(format!("{what} {}", path.display()), error);
    // A file, and not a pipe: neither side has to wait for the other.
    let input = input(text).map_err(|error| failed("make the input of", &error))?;
    let mut command = Command::new(&path);
    command.args([action, "--skip-cache"]).env_clear().env("LC_ALL", "C");
    command.stdin(input).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed("run", &error))?;
    // Not by `Command::output`, which panics when a read fails.
    let mut said = Vec::new();
    let read = child.stderr.take().map_or(Ok(0), |pipe| pipe.take(SAID).read_to_end(&mut said));
    // ORDER: reaped whatever the read has said; with its pipe closed it writes to nobody, and ends.
    let status = child.wait().map_err(|error| failed("wait for", &error))?;
    if status.success() {
        return Ok(());
    }
    read.map_err(|error| failed("read what is said by", &error))?;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Err(AppArmorError::Parser { program: path.display().to_string(), status: status.to_string(), said })
}

fn input(text: &str) -> io::Result<Stdio> {
    let mut file = File::from(memfd_create("profile", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

/// The first place where it is; a place that can't be looked at is an error.
fn installed() -> Result<PathBuf, AppArmorError> {
    for dir in DIRS {
        let path = Path::new(dir).join("apparmor_parser");
        let there = path.try_exists();
        if there.map_err(|error| AppArmorError::call(format!("look for {}", path.display()), &error))? {
            return Ok(path);
        }
    }
    Err(AppArmorError::NoParser { dirs: DIRS.join(", ") })
}
