//! Id maps of a user namespace: user_namespaces(7).

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libcontainer_plan::Pid;

use crate::process_dir::ProcessDir;

/// Places where the setuid helpers of shadow-utils are looked for. Absolute: nothing that an image or an environment names is run.
const HELPER_DIRS: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

/// Most bytes of a helper's complaint that are read.
const SAID: u64 = 4096;

/// Id maps of a new user namespace, as the lines of `uid_map` and `gid_map`: first id inside, first id outside, count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMaps {
    /// User ids.
    pub uids: Vec<[u32; 3]>,
    /// Group ids.
    pub gids: Vec<[u32; 3]>,
    /// The host has no privileges: `setgroups` is denied unless newgidmap writes the map.
    pub rootless: bool,
}

impl IdMaps {
    /// Whether setgroups(2) is denied: an unprivileged host that maps only itself.
    #[must_use]
    pub fn setgroups_denied(&self) -> bool {
        self.rootless && is_one(&self.gids)
    }

    /// The user id outside that `id` inside stands for; `None` if it has no name there.
    #[must_use]
    pub fn uid_outside(&self, id: u32) -> Option<u32> {
        outside(&self.uids, id)
    }

    /// The group id likewise.
    #[must_use]
    pub fn gid_outside(&self, id: u32) -> Option<u32> {
        outside(&self.gids, id)
    }

    /// Maps the ids of the user namespace in which `pid`, a child of the caller, lives: by its `uid_map` and `gid_map`, or with the
    /// setuid programs newuidmap(1) and newgidmap(1) where more than the own id is mapped without privileges.
    ///
    /// # Errors
    /// With the name of the file or the program, and what the program said.
    pub fn write(&self, pid: Pid) -> io::Result<()> {
        let proc = ProcessDir::open(pid)?;
        if self.rootless && !is_one(&self.uids) {
            helper("newuidmap", pid, &self.uids)?;
        } else {
            proc.write("uid_map", &lines(&self.uids))?;
        }
        if self.rootless && !self.setgroups_denied() {
            return helper("newgidmap", pid, &self.gids);
        }
        // ORDER: without privileges the kernel takes a gid map only after setgroups was denied (CVE-2014-8989).
        if self.setgroups_denied() {
            proc.write("setgroups", "deny")?;
        }
        proc.write("gid_map", &lines(&self.gids))
    }
}

/// Whether one id is mapped, and no more.
fn is_one(map: &[[u32; 3]]) -> bool {
    matches!(map, [[_, _, 1]])
}

fn outside(map: &[[u32; 3]], id: u32) -> Option<u32> {
    map.iter().find_map(|[inside, outside, count]| {
        let offset = id.checked_sub(*inside).filter(|offset| offset < count)?;
        outside.checked_add(offset)
    })
}

fn lines(map: &[[u32; 3]]) -> String {
    map.iter().map(|[inside, outside, count]| format!("{inside} {outside} {count}\n")).collect()
}

fn helper(name: &str, pid: Pid, map: &[[u32; 3]]) -> io::Result<()> {
    let path = installed(name)?;
    let failed = |call: &'static str| {
        let path = path.display();
        move |error: io::Error| io::Error::new(error.kind(), format!("{call} {path}: {error}"))
    };
    let mut command = Command::new(&path);
    command.arg(pid.to_string()).args(map.iter().flatten().map(u32::to_string)).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed("run"))?;
    // Not by `Command::output`, which panics when a read fails.
    let mut text = Vec::new();
    let read = child.stderr.take().map_or(Ok(0), |pipe| pipe.take(SAID).read_to_end(&mut text));
    // ORDER: reaped whatever the read has said; with its pipe closed it writes to nobody, and ends.
    let status = child.wait().map_err(failed("wait for"))?;
    if status.success() {
        return Ok(());
    }
    read.map_err(failed("read what is said by"))?;
    let text = String::from_utf8_lossy(&text);
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{}: {status}: {}", path.display(), text.trim()),
    ))
}

/// The first place where it is; a place that can't be looked at is an error.
fn installed(name: &str) -> io::Result<PathBuf> {
    for dir in HELPER_DIRS {
        let path = Path::new(dir).join(name);
        let there = path.try_exists();
        if there
            .map_err(|error| io::Error::new(error.kind(), format!("look for {}: {error}", path.display())))?
        {
            return Ok(path);
        }
    }
    let text =
        format!("{name} is not installed (package uidmap or shadow-utils); it maps more than the own id");
    Err(io::Error::new(io::ErrorKind::NotFound, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_names_outside_within_their_lines_only() {
        let maps = IdMaps {
            uids: vec![[0, 1000, 1], [1, 100_000, 65_535]],
            gids: vec![[0, u32::MAX - 1, 5]],
            rootless: true,
        };
        let found = [0, 1, 65_535, 65_536].map(|id| maps.uid_outside(id));
        assert_eq!(found, [Some(1000), Some(100_000), Some(165_534), None]);
        assert_eq!([1, 2].map(|id| maps.gid_outside(id)), [Some(u32::MAX), None]);
    }

    #[test]
    fn setgroups_is_denied_to_who_maps_only_himself() {
        let maps =
            |rootless, gids: &[[u32; 3]]| IdMaps { gids: gids.to_vec(), rootless, ..IdMaps::default() };
        assert!(maps(true, &[[0, 1000, 1]]).setgroups_denied());
        assert!(!maps(true, &[[0, 1000, 2]]).setgroups_denied());
        assert!(!maps(true, &[[0, 1000, 1], [1, 5, 1]]).setgroups_denied());
        assert!(!maps(false, &[[0, 1000, 1]]).setgroups_denied());
    }
}
