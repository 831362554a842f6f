//! Profiles that the kernel has: listed, loaded, replaced, removed. Takes `CAP_MAC_ADMIN` of the first user namespace.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use nix::sys::statfs::{FsType, fstatfs};

use super::error::AppArmorError;
use super::name::ProfileName;
use super::parser;
use super::standing::Standing;

/// Where the kernel shows its policy.
const DIR: &str = "/sys/kernel/security/apparmor";
/// `SECURITYFS_MAGIC` and `AAFS_MAGIC` of linux/magic.h.
const MAGIC: [FsType; 2] = [FsType(0x7363_6673), FsType(0x5a3c_69f0)];
/// Most bytes of the list that are believed.
const LIMIT: u64 = 16 << 20;

/// A profile of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// `enforce`, `complain`, `kill`, `unconfined`…
    pub mode: String,
}

/// All that are loaded, in this policy namespace and below it, by name.
///
/// # Errors
/// [`AppArmorError::Off`]; `EACCES` for others than root; a file that makes no sense.
pub fn loaded() -> Result<Vec<Loaded>, AppArmorError> {
    Standing::current()?.require()?;
    let path = format!("{DIR}/profiles");
    let mut text = String::new();
    let read = open("profiles", OpenOptions::new().read(true))?.take(LIMIT).read_to_string(&mut text);
    read.map_err(|error| AppArmorError::call(format!("read {path}"), &error))?;
    list(&text).ok_or_else(|| AppArmorError::malformed(path, "a line that is not NAME (MODE)"))
}

fn list(text: &str) -> Option<Vec<Loaded>> {
    let line = |line: &str| {
        let (name, mode) = line.strip_suffix(')')?.rsplit_once(" (")?;
        Some(Loaded { name: name.to_owned(), mode: mode.to_owned() })
    };
    let mut all: Vec<Loaded> = text.lines().map(line).collect::<Option<_>>()?;
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Some(all)
}

/// Compiles the text of profiles with apparmor_parser(8) and loads them.
///
/// # Errors
/// [`AppArmorError::Off`]; what the parser says, as of a profile of that name that is there (see [`replace`]).
pub fn load(text: &str) -> Result<(), AppArmorError> {
    Standing::current()?.require()?;
    parser::run("--add", text)
}

/// As [`load`], in place of what there is of those names: processes that run under them are under the new ones at once.
///
/// # Errors
/// As those of [`load`].
pub fn replace(text: &str) -> Result<(), AppArmorError> {
    Standing::current()?.require()?;
    parser::run("--replace", text)
}

/// Loads what apparmor_parser has compiled (`-Q -S`), by the kernel's own file `.load`.
///
/// # Errors
/// [`AppArmorError::Off`]; `EEXIST` if there is one of that name, `EPROTO`, `EPROTONOSUPPORT` for what is no policy, `EACCES`.
pub fn load_compiled(policy: &[u8]) -> Result<(), AppArmorError> {
    write(".load", policy)
}

/// As [`load_compiled`], in place of what there is.
///
/// # Errors
/// As those of [`load_compiled`], but `EEXIST`.
pub fn replace_compiled(policy: &[u8]) -> Result<(), AppArmorError> {
    write(".replace", policy)
}

/// Removes a profile: what runs under it is unconfined from then on.
///
/// # Errors
/// [`AppArmorError::Off`], [`AppArmorError::NotLoaded`], `EACCES`.
pub fn remove(name: &ProfileName) -> Result<(), AppArmorError> {
    match write(".remove", name.as_str().as_bytes()) {
        Err(AppArmorError::Call { errno: libc::ENOENT, call }) if call.starts_with("write") => {
            Err(AppArmorError::NotLoaded { name: name.to_string() })
        }
        result => result,
    }
}

/// In one write, which the kernel takes for the whole.
fn write(name: &str, bytes: &[u8]) -> Result<(), AppArmorError> {
    Standing::current()?.require()?;
    let mut file = open(name, OpenOptions::new().write(true))?;
    let call = || format!("write {} bytes to {DIR}/{name}", bytes.len());
    let count = file.write(bytes).map_err(|error| AppArmorError::call(call(), &error))?;
    if count == bytes.len() {
        return Ok(());
    }
    Err(AppArmorError::call(call(), &io::Error::from_raw_os_error(libc::EIO)))
}

/// A file of the kernel's own: one that hides it would say that nothing is loaded.
fn open(name: &str, options: &OpenOptions) -> Result<File, AppArmorError> {
    let path = format!("{DIR}/{name}");
    let file = options.open(&path).map_err(|error| AppArmorError::call(format!("open {path}"), &error))?;
    let kind =
        fstatfs(&file).map_err(|errno| AppArmorError::call(format!("fstatfs {path}"), &errno.into()))?;
    if MAGIC.contains(&kind.filesystem_type()) {
        return Ok(file);
    }
    Err(AppArmorError::malformed(path, "lies on no securityfs: something is mounted over it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_whole_or_not_at_all() {
        let all =
            list("b (enforce)\na c (complain)\n:ns:x (kill)\n/usr/bin/x (deleted) (enforce)\n").unwrap();
        let found: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.mode.as_str())).collect();
        let wanted =
            [("/usr/bin/x (deleted)", "enforce"), (":ns:x", "kill"), ("a c", "complain"), ("b", "enforce")];
        assert_eq!(found, wanted);
        assert_eq!(list(""), Some(Vec::new()));
        for text in ["b\n", "b (enforce\n", "b (enforce)\n\n", "(x)\n"] {
            assert_eq!(list(text), None, "{text:?}");
        }
    }
}
