//! Calls that name files, and what they do to them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::file::Root;
use super::program::interpreter;
use super::seen::{Access, Observation};
use crate::seccomp::notify::Memory;

/// What a call does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// It is opened, with these flags.
    Open(u64),
    /// It is executed.
    Execute,
    /// Its length is set.
    Truncate,
    /// The directory that it is in is changed.
    Change(Access),
}

/// A file that a call names: which argument is the directory, if any, which the path.
type Named = (Option<usize>, usize, Deed);

const CREATE: u64 = 0o100;
const TRUNCATE: u64 = 0o1000;

/// The files that a call names. `how` is the first word of the structure of openat2(2).
fn named(name: &str, args: &[u64; 6], how: u64) -> Vec<Named> {
    use Deed::{Change, Execute, Open, Truncate};
    let arg = |index: usize| args.get(index).copied().unwrap_or(0);
    let removes = Access::REMOVE_FILE | Access::REMOVE_DIR;
    let moves = Change(Access::MOVE | removes | Access::MAKE_FILE | Access::MAKE_DIR);
    let links = Change(Access::MOVE | Access::MAKE_FILE);
    match name {
        "open" => vec![(None, 0, Open(arg(1)))],
        "openat" => vec![(Some(0), 1, Open(arg(2)))],
        "openat2" => vec![(Some(0), 1, Open(how))],
        "creat" => vec![(None, 0, Open(CREATE | TRUNCATE | 1))],
        "execve" => vec![(None, 0, Execute)],
        "execveat" => vec![(Some(0), 1, Execute)],
        "truncate" | "truncate64" => vec![(None, 0, Truncate)],
        "mkdir" => vec![(None, 0, Change(Access::MAKE_DIR))],
        "mkdirat" => vec![(Some(0), 1, Change(Access::MAKE_DIR))],
        "mknod" => vec![(None, 0, Change(node(arg(1))))],
        "mknodat" => vec![(Some(0), 1, Change(node(arg(2))))],
        "symlink" => vec![(None, 1, Change(Access::MAKE_LINK))],
        "symlinkat" => vec![(Some(1), 2, Change(Access::MAKE_LINK))],
        "unlink" => vec![(None, 0, Change(Access::REMOVE_FILE))],
        "rmdir" => vec![(None, 0, Change(Access::REMOVE_DIR))],
        "unlinkat" => vec![(Some(0), 1, Change(removes))],
        "rename" => vec![(None, 0, moves), (None, 1, moves)],
        "renameat" | "renameat2" => vec![(Some(0), 1, moves), (Some(2), 3, moves)],
        "link" => vec![(None, 0, Change(Access::MOVE)), (None, 1, links)],
        "linkat" => vec![(Some(0), 1, Change(Access::MOVE)), (Some(2), 3, links)],
        _ => Vec::new(),
    }
}

fn node(mode: u64) -> Access {
    match mode & u64::from(libc::S_IFMT) {
        kind if kind == u64::from(libc::S_IFIFO) => Access::MAKE_PIPE,
        kind if kind == u64::from(libc::S_IFSOCK) => Access::MAKE_SOCKET,
        kind if kind == u64::from(libc::S_IFCHR) || kind == u64::from(libc::S_IFBLK) => Access::MAKE_DEVICE,
        _ => Access::MAKE_FILE,
    }
}

/// Whether a call names files.
pub(super) fn names_files(name: &str) -> bool {
    !named(name, &[0; 6], 0).is_empty()
}

/// Notes what the call does to files.
pub(super) fn look(name: &str, args: &[u64; 6], memory: &Memory, root: &Root, seen: &mut Observation) {
    const LONGEST: usize = 4096;
    let how = || args.get(2).and_then(|at| memory.word(*at)).unwrap_or(0);
    let how = if name == "openat2" { how() } else { 0 };
    for (dir, path, deed) in named(name, args, how) {
        let text = args.get(path).and_then(|at| memory.text(*at, LONGEST));
        let number = dir.and_then(|dir| args.get(dir)).map(|number| descriptor(*number));
        let found = text.and_then(|text| whole(root, number, &text));
        match found {
            Some(path) => done(path, deed, root, seen),
            None => seen.unread += 1,
        }
    }
}

/// An empty path is the descriptor itself.
fn whole(root: &Root, dir: Option<i32>, text: &[u8]) -> Option<PathBuf> {
    match dir {
        Some(number) if text.is_empty() => root.descriptor(number),
        _ => root.absolute(dir, Path::new(OsStr::from_bytes(text))),
    }
}

/// The low half of an argument, which is all that the kernel looks at.
pub(super) fn descriptor(arg: u64) -> i32 {
    let [a, b, c, d, ..] = arg.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

fn done(path: PathBuf, deed: Deed, root: &Root, seen: &mut Observation) {
    match deed {
        Deed::Open(flags) => opened(path, flags, root, seen),
        Deed::Execute => executed(path, root, seen),
        Deed::Truncate => seen.touch(path, Access::TRUNCATE),
        Deed::Change(access) => seen.touch(above(&path), access),
    }
}

fn above(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

/// What is not there can't be opened, whatever is allowed.
fn opened(path: PathBuf, flags: u64, root: &Root, seen: &mut Observation) {
    const ACCESS: u64 = 0o3;
    const PATH_ONLY: u64 = 0o10_000_000;
    const TEMPORARY: u64 = 0o20_000_000;
    if flags & PATH_ONLY != 0 {
        return;
    }
    let mut access = match flags & ACCESS {
        0 => Access::READ,
        1 => Access::WRITE,
        _ => Access::READ | Access::WRITE,
    };
    if flags & TRUNCATE != 0 {
        access |= Access::TRUNCATE;
    }
    match root.kind(&path) {
        Some(kind) if kind.is_dir() && flags & TEMPORARY != 0 => seen.touch(path, access | Access::MAKE_FILE),
        Some(kind) if kind.is_dir() => seen.touch(path, Access::LIST),
        Some(_) => seen.touch(path, access),
        None if flags & CREATE != 0 => seen.touch(above(&path), access | Access::MAKE_FILE),
        None => {}
    }
}

/// The program, and what the kernel opens to run it.
fn executed(path: PathBuf, root: &Root, seen: &mut Observation) {
    const DEEPEST: usize = 6;
    let mut next = Some(path).filter(|path| root.kind(path).is_some());
    for _ in 0..DEEPEST {
        let Some(path) = next.take() else { return };
        next = root.head(&path).and_then(|head| interpreter(&head));
        seen.touch(path, Access::READ | Access::EXECUTE);
    }
}
