//! Whether SELinux is in force, and what its policy knows.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use nix::sys::statfs::{FsType, fstatfs};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use super::context::Context;
use super::error::{Off, SelinuxError};
use super::thread;

/// Where selinuxfs is.
const FILESYSTEM: &str = "/sys/fs/selinux";
/// `SELINUX_MAGIC` of statfs(2).
const MAGIC: FsType = FsType(0xf97c_ff8c);
/// Before a policy is loaded everything has this label.
const NO_POLICY: &[u8] = b"kernel";
/// Most bytes that a file is believed.
const LIMIT: u64 = 64 * 1024;

/// Whether SELinux is in force. That this can't be found out is an error, and not [`Standing::Off`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is not, and for that reason.
    Off(Off),
    /// What the policy denies is logged and allowed.
    Permissive,
    /// The policy is in force.
    Enforcing,
}

impl Standing {
    /// Looks: `/proc/filesystems`, the mount at `/sys/fs/selinux`, `/proc/thread-self/attr/current`, `enforce`.
    ///
    /// # Errors
    /// A look that failed: nothing is known then.
    pub fn current() -> Result<Self, SelinuxError> {
        if !registered(&whole(Path::new("/proc/filesystems"))?) {
            return Ok(Self::Off(Off::Kernel));
        }
        match mounted()? {
            Mounted::No => return Ok(Self::Off(Off::NotMounted)),
            Mounted::ReadOnly => return Ok(Self::Off(Off::ReadOnly)),
            Mounted::Yes => {}
        }
        if thread::raw("current")? == NO_POLICY {
            return Ok(Self::Off(Off::NoPolicy));
        }
        let path = Path::new(FILESYSTEM).join("enforce");
        match whole(&path)?.trim_ascii() {
            b"0" => Ok(Self::Permissive),
            b"1" => Ok(Self::Enforcing),
            _ => Err(SelinuxError::malformed(&path, "neither 0 nor 1")),
        }
    }

    /// Whether there are labels.
    #[must_use]
    pub fn is_on(self) -> bool {
        !matches!(self, Self::Off(_))
    }

    /// Where a label is asked for.
    ///
    /// # Errors
    /// [`SelinuxError::Off`].
    pub fn require(self) -> Result<(), SelinuxError> {
        match self {
            Self::Off(why) => Err(SelinuxError::Off(why)),
            Self::Permissive | Self::Enforcing => Ok(()),
        }
    }
}

/// Whether `/proc/filesystems` lists selinuxfs.
fn registered(filesystems: &[u8]) -> bool {
    filesystems.split(|byte| *byte == b'\n').any(|line| line == b"nodev\tselinuxfs")
}

enum Mounted {
    No,
    ReadOnly,
    Yes,
}

fn mounted() -> Result<Mounted, SelinuxError> {
    let failed = |error: &io::Error| SelinuxError::call(format!("open {FILESYSTEM}"), error);
    let dir = match File::open(FILESYSTEM) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
            return Ok(Mounted::No);
        }
        dir => dir.map_err(|error| failed(&error))?,
    };
    let kind = fstatfs(&dir).map_err(|errno| failed(&errno.into()))?.filesystem_type();
    if kind != MAGIC {
        return Ok(Mounted::No);
    }
    let flags = fstatvfs(&dir).map_err(|errno| failed(&errno.into()))?.flags();
    Ok(if flags.contains(FsFlags::ST_RDONLY) { Mounted::ReadOnly } else { Mounted::Yes })
}

/// Whether the loaded policy has this context: a write to `/sys/fs/selinux/context`, which changes nothing. Returns how the kernel writes it, or
/// `None` if the policy does not let this process ask.
///
/// # Errors
/// [`SelinuxError::Invalid`]; or a call that failed.
pub fn check(context: &Context) -> Result<Option<Context>, SelinuxError> {
    let path = PathBuf::from(FILESYSTEM).join("context");
    let text = context.to_string();
    let ask = || -> io::Result<Vec<u8>> {
        let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
        let count = file.write(text.as_bytes())?;
        if count != text.len() {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let mut answer = Vec::new();
        file.take(LIMIT).read_to_end(&mut answer)?;
        Ok(answer)
    };
    match ask() {
        Ok(answer) => Ok(Some(Context::from_bytes(&answer)?)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINVAL) => Err(SelinuxError::Invalid { context: text }),
            Some(libc::EACCES | libc::EPERM) => Ok(None),
            _ => Err(SelinuxError::call(format!("write {text} to {}", path.display()), &error)),
        },
    }
}

pub(super) fn whole(path: &Path) -> Result<Vec<u8>, SelinuxError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
    read.map_err(|error| SelinuxError::call(format!("read {}", path.display()), &error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_lists_its_filesystems() {
        assert!(registered(b"nodev\tsysfs\nnodev\tselinuxfs\n\text4\n"));
        for text in [&b"nodev\tsysfs\n"[..], b"nodev\tselinuxfs2\n", b"\tselinuxfs\n", b""] {
            assert!(!registered(text));
        }
    }

    #[test]
    fn a_label_where_there_are_none_is_an_error_with_its_reason() {
        let error = Standing::Off(Off::Kernel).require().unwrap_err().to_string();
        assert!(error.starts_with("SELinux is not enabled on this host: the kernel was"), "{error}");
        assert_eq!(Standing::Permissive.require(), Ok(()));
        assert!(Standing::Enforcing.is_on() && !Standing::Off(Off::NoPolicy).is_on());
    }
}
