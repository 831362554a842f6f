//! Why execve(2) refused a program, as far as the file itself tells: its error number says "not there" of a file that is.
//!
//! Only to explain an error that is told anyway: what can't be found out is left out. What is mounted over the rootfs is not seen from here.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, fstatvfs};

use super::elf::{self, Elf};
use super::unmade;
use super::unpermitted;
use crate::error::Error;

/// Bytes of a file that are looked at; the kernel takes at most 256 of a first line.
const HEAD: usize = 4096;

/// The error of a start with what is known of its program, if that was what failed, or of another step.
pub(super) fn explained(rootfs: &Path, error: Error) -> Error {
    let text = error.to_string();
    let why = error.errno().and_then(|errno| match executed(&text) {
        Some(path) => why(rootfs, &path, errno),
        None => unpermitted::why(&text, errno).or_else(|| unmade::why(&text, errno).map(str::to_owned)),
    });
    match why.or_else(|| unpermitted::unbounded(&text)) {
        Some(why) => error.because(why),
        None => error,
    }
}

/// The path in a step's text: `… execve("/bin/x", …`.
fn executed(text: &str) -> Option<PathBuf> {
    let (path, _) = text.split_once(": execve(\"")?.1.split_once('"')?;
    // What is written with escapes, or depends on the working directory, is not looked for.
    (path.starts_with('/') && !path.contains('\\')).then(|| path.into())
}

fn why(rootfs: &Path, path: &Path, errno: i32) -> Option<String> {
    let root = open(rootfs, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let file = File::from(below(&root, path).ok()?);
    match Errno::from_raw(errno) {
        Errno::EACCES => not_permitted(&file),
        Errno::ENOENT => unanswered(&root, &contents(&file)?),
        Errno::ENOEXEC => unknown(&contents(&file)?),
        _ => None,
    }
}

fn below(root: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(root, path, how)
}

/// The file to read. Nothing but a regular one is opened.
fn contents(file: &File) -> Option<File> {
    let regular = file.metadata().ok()?.is_file();
    if regular { File::open(format!("/proc/thread-self/fd/{}", file.as_raw_fd())).ok() } else { None }
}

fn not_permitted(file: &File) -> Option<String> {
    let data = file.metadata().ok()?;
    let mode = data.mode() & 0o7777;
    if data.is_dir() {
        return Some("it is a directory".to_owned());
    }
    if !data.is_file() {
        return Some("it is no regular file".to_owned());
    }
    if fstatvfs(file).ok()?.flags().contains(FsFlags::ST_NOEXEC) {
        return Some("it lies on a filesystem that is mounted noexec".to_owned());
    }
    match mode & 0o111 {
        0 => Some(format!("its mode is {mode:04o}: chmod +x")),
        0o111 => None,
        _ => Some(format!("its mode is {mode:04o} and its owner {}:{}", data.uid(), data.gid())),
    }
}

/// What a file that is there asks for and does not find.
fn unanswered(root: &OwnedFd, file: &File) -> Option<String> {
    let head = head(file)?;
    let (what, name) = match (script(&head), Elf::of(&head)) {
        (Some(name), _) => ("its first line asks for", name.to_vec()),
        (_, Some(elf)) => ("it asks for the dynamic linker", elf.interpreter(file)?),
        _ => return None,
    };
    let missing = below(root, Path::new(std::ffi::OsStr::from_bytes(&name)));
    if !matches!(missing, Err(Errno::ENOENT | Errno::ENOTDIR)) {
        return None;
    }
    let windows = if name.ends_with(b"\r") { " (the line ends with \\r, as on Windows)" } else { "" };
    Some(format!("{what} {:?}, which is not there{windows}", String::from_utf8_lossy(&name)))
}

fn unknown(file: &File) -> Option<String> {
    let head = head(file)?;
    match Elf::of(&head) {
        _ if head.is_empty() => Some("it is empty".to_owned()),
        Some(elf) if elf.machine != elf::NATIVE => {
            Some(format!("it is a program for {}", elf.machine_name()))
        }
        Some(_) => None,
        None if script(&head).is_some() => None,
        None => Some("it begins neither with #! nor as a program does".to_owned()),
    }
}

fn head(file: &File) -> Option<Vec<u8>> {
    let mut bytes = vec![0; HEAD];
    let count = file.read_at(&mut bytes, 0).ok()?;
    bytes.truncate(count);
    Some(bytes)
}

/// The program that a script asks for.
fn script(head: &[u8]) -> Option<&[u8]> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    line.split(|byte| matches!(byte, b' ' | b'\t')).find(|word| !word.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn told(dir: &Path, errno: Errno, mode: u32, bytes: &[u8]) -> String {
        std::fs::write(dir.join("app"), bytes).unwrap();
        std::fs::set_permissions(dir.join("app"), std::fs::Permissions::from_mode(mode)).unwrap();
        why(dir, Path::new("/app"), errno as i32).unwrap_or_default()
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn the_file_tells_what_the_error_number_does_not() {
        let dir = std::env::temp_dir().join(format!("libcontainer-unexecuted-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        std::fs::write(dir.join("bin/sh"), "").unwrap();
        let of = |errno, mode, bytes: &[u8]| told(&dir, errno, mode, bytes);
        assert_eq!(of(Errno::EACCES, 0o644, b""), "its mode is 0644: chmod +x");
        assert_eq!(of(Errno::EACCES, 0o755, b""), "");
        assert!(of(Errno::EACCES, 0o700, b"").starts_with("its mode is 0700 and its owner "));
        let asks = |line: &[u8]| of(Errno::ENOENT, 0o755, line);
        assert_eq!(asks(b"#! /no/x -e\n"), "its first line asks for \"/no/x\", which is not there");
        assert!(
            asks(b"#!/bin/sh\r\n").contains("\"/bin/sh\\r\", which is not there (the line ends with \\r")
        );
        assert_eq!(asks(b"#!/bin/sh\n"), "");
        assert_eq!(asks(b"#!/bin/sh"), "");
        assert_eq!(asks(b"#!\n"), "");
        let begins = |bytes: &[u8]| of(Errno::ENOEXEC, 0o755, bytes);
        assert_eq!(begins(b""), "it is empty");
        assert_eq!(begins(b"true\n"), "it begins neither with #! nor as a program does");
        assert_eq!(begins(b"#!/bin/sh\n"), "");
        assert_eq!(why(&dir, Path::new("/bin"), libc::EACCES).unwrap(), "it is a directory");
        assert_eq!(why(&dir, Path::new("/none"), libc::ENOENT), None);
        assert_eq!(why(&dir.join("none"), Path::new("/app"), libc::ENOENT), None);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_path_is_the_steps() {
        let path = |text: &str| executed(text).map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(path("step 9: run x: execve(\"/bin/x\", [\"x\"]): ENOENT").unwrap(), "/bin/x");
        for text in
            ["step 9: run x: execve(\"x\", ", "step 9: run x: execve(\"/a\\\"b\", ", "mount /x: ENOENT"]
        {
            assert_eq!(path(text), None, "{text}");
        }
    }
}
