//! Marks: a group's directories say whose they are, so that the group is found again when nothing else is left of its owner.
//!
//! The mark is an extended attribute (xattr(7)) with a token of the owner's, and lives as long as the directory. The attribute is
//! `trusted.libcontainer` where the kernel lets us (`CAP_SYS_ADMIN` of the machine), so that no container can have it; else it is
//! `user.libcontainer`, which everyone who may write to the directory can set.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};

use super::place::Place;
use super::walk;
use crate::dir::Dir;
use crate::discovery::{Hierarchy, Layout};
use crate::error::{Error, Result};
use crate::faults;
use crate::privilege::is_root_of_machine;

const TRUSTED: &str = "trusted.libcontainer";
const USER: &str = "user.libcontainer";
/// The longest token, in bytes.
const LONGEST: usize = 4096;
/// How many groups of one hierarchy are looked at.
const MOST: usize = 200_000;

/// Marks a directory. By which errno it could not be, if so.
pub(super) fn mark(dir: &Dir, token: &[u8]) -> std::result::Result<(), Errno> {
    if token.len() > LONGEST {
        return Err(Errno::E2BIG);
    }
    match set(dir, TRUSTED, token) {
        Err(Errno::EPERM) => set(dir, USER, token),
        other => other,
    }
}

fn set(dir: &Dir, name: &'static str, token: &[u8]) -> std::result::Result<(), Errno> {
    faults::of("fsetxattr", dir.path(), "")?;
    fsetxattr(dir.as_fd(), name, token, XattrFlags::empty())
        .map_err(|error| Errno::from_raw(error.raw_os_error()))
}

/// Marks a directory that is no group but of a filesystem of the kernel's that keeps attributes too, such as resctrl: `trusted.libcontainer`.
///
/// # Errors
/// That of fsetxattr(2): `EPERM` to others than root of the machine, `EOPNOTSUPP` of a filesystem without such attributes.
pub fn set_mark(dir: impl AsFd, token: &[u8]) -> io::Result<()> {
    Ok(fsetxattr(dir, TRUSTED, token, XattrFlags::empty())?)
}

/// The mark of such a directory; `None` without one.
///
/// # Errors
/// That of fgetxattr(2).
pub fn mark_of(dir: impl AsFd) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; LONGEST];
    match fgetxattr(dir, TRUSTED, &mut value[..]) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What [`find_marked`] has found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Marked {
    /// The groups with that mark, each where it is in one hierarchy: for [`Group::open`](super::Group::open).
    pub places: Vec<Place>,
    /// Why there may be more: what could not be looked at. Empty only if these are all.
    pub unseen: Vec<Error>,
}

/// Looks through all hierarchies for the groups that were made by a [`Plan`](super::Plan) that was told to mark them with `token`.
///
/// Directories that were there before the group are never marked, and neither is a group that was there before. Syscalls for each group
/// of the machine: openat2, fstat, fgetxattr, close, and for one with groups below it also openat2 and getdents64.
#[must_use]
pub fn find_marked(layout: &Layout, token: &[u8]) -> Marked {
    find(layout, &|mark| mark == token)
}

/// As [`find_marked`], of all marks that begin so: where the rest of the token can't be known any more.
#[must_use]
pub fn find_marked_like(layout: &Layout, beginning: &[u8]) -> Marked {
    find(layout, &|mark| mark.starts_with(beginning))
}

fn find(layout: &Layout, meant: &dyn Fn(&[u8]) -> bool) -> Marked {
    let mut marked = Marked::default();
    // RACE: what root believes must be nothing that a container could have set.
    let attribute = match is_root_of_machine() {
        Ok(true) => TRUSTED,
        Ok(false) => USER,
        Err(error) => {
            marked.unseen.push(error);
            return marked;
        }
    };
    for hierarchy in layout.all() {
        let mut search = Search { meant, attribute, found: Vec::new(), unseen: &mut marked.unseen };
        if let Err(error) = search.hierarchy(hierarchy) {
            search.unseen.push(error);
        }
        marked.places.extend(groups(&search.found, hierarchy));
    }
    marked
}

/// A look through one hierarchy.
struct Search<'s> {
    meant: &'s dyn Fn(&[u8]) -> bool,
    attribute: &'static str,
    /// The marked directories with their inodes, each before those below it.
    found: Vec<(PathBuf, u64)>,
    unseen: &'s mut Vec<Error>,
}

impl Search<'_> {
    fn hierarchy(&mut self, hierarchy: &Hierarchy) -> Result<()> {
        let mount = Place::of(hierarchy, PathBuf::new()).open_mount()?;
        let mut all: Vec<PathBuf> = below(&mount, Path::new(""))?;
        let mut at = 0;
        while let Some(path) = all.get(at).cloned() {
            at += 1;
            if at > MOST {
                let problem = format!("more than {MOST} groups");
                return Err(Error::Content { path: hierarchy.mountpoint.clone(), problem });
            }
            match walk::descend(&mount, &path).and_then(|dir| self.look(&dir, &path)) {
                Ok(names) => all.extend(names),
                // RACE: groups come and go.
                Err(error) if error.is_gone() => {}
                Err(error) => self.unseen.push(error),
            }
        }
        Ok(())
    }

    /// Looks at one group, and returns those below it.
    fn look(&mut self, dir: &Dir, path: &Path) -> Result<Vec<PathBuf>> {
        if self.is_marked(dir)? {
            self.found.push((path.to_owned(), dir.inode_and_links()?.0));
        }
        below(dir, path)
    }

    fn is_marked(&self, dir: &Dir) -> Result<bool> {
        let mut value = [0; LONGEST];
        let read = faults::of("fgetxattr", dir.path(), "").and_then(|()| {
            fgetxattr(dir.as_fd(), self.attribute, &mut value[..])
                .map_err(|error| Errno::from_raw(error.raw_os_error()))
        });
        match read {
            Ok(length) => Ok(value.get(..length).is_some_and(self.meant)),
            // No mark, a longer one, a file system without such attributes.
            Err(Errno::ENODATA | Errno::ERANGE | Errno::EOPNOTSUPP) => Ok(false),
            Err(errno) => Err(Error::directory("fgetxattr", dir.path(), errno)),
        }
    }
}

fn below(dir: &Dir, path: &Path) -> Result<Vec<PathBuf>> {
    match walk::has_groups(dir)? {
        true => Ok(dir.groups()?.into_iter().map(|name| path.join(name)).collect()),
        false => Ok(Vec::new()),
    }
}

/// The groups among the marked directories: those that have no marked one below them. The marked ones right above are theirs.
fn groups(found: &[(PathBuf, u64)], hierarchy: &Hierarchy) -> Vec<Place> {
    let is_marked = |path: &Path| found.iter().any(|(other, _)| other == path);
    let is_group = |path: &Path| !found.iter().any(|(other, _)| other.parent() == Some(path));
    let groups = found.iter().filter(|(path, _)| is_group(path));
    groups
        .map(|(path, inode)| Place {
            new: path.ancestors().take_while(|above| is_marked(above)).count(),
            inode: Some(*inode),
            ..Place::of(hierarchy, path.clone())
        })
        .collect()
}
