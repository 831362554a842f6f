//! Whether a process is in a group, by the text of its `/proc/PID/cgroup`: cgroups(7).

use std::path::{Path, PathBuf};

use super::place::Place;

/// A hierarchy in which a process is somewhere else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("control group {controllers}: wanted {}, found {found:?}", wanted.display())]
pub struct NotMember {
    /// Names of the hierarchy's controllers, separated by commas; empty for version 2.
    pub controllers: String,
    /// The path of the group below the mount.
    pub wanted: PathBuf,
    /// The path in the text; empty if the hierarchy is not in it.
    pub found: String,
}

/// Whether the process with that `/proc/PID/cgroup` is in the group in each of `places`.
///
/// # Errors
/// The first hierarchy in which it is somewhere else.
pub fn check_member(text: &str, places: &[Place]) -> Result<(), NotMember> {
    for place in places {
        let listed = |line: &&str| {
            let names: Vec<_> = line.split(',').filter(|name| !name.is_empty()).collect();
            let known = |name: &&str| place.controllers.iter().any(|own| own == name);
            if place.unified { names.is_empty() } else { !names.is_empty() && names.iter().all(known) }
        };
        let mut lines = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        let found = lines.find(|(names, _)| listed(names)).map_or("", |(_, path)| path);
        // What is mounted may be a part of the hierarchy: then the path has more in front.
        if !Path::new(found).ends_with(&place.below) {
            let (controllers, wanted) = (place.controllers.join(","), place.below.clone());
            return Err(NotMember { controllers, wanted, found: found.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_their_controllers() {
        let place = |unified: bool, names: &[&str], below: &str| Place {
            unified,
            controllers: names.iter().map(|name| (*name).to_owned()).collect(),
            mountpoint: "/m".into(),
            below: below.into(),
            new: 1,
            inode: None,
            no_prefix: false,
        };
        let text = "5:cpuacct,cpu:/outer/a/b\n3:memory:/x\n1:name=systemd:/\n0::/a/b\n";
        let check = |place: Place| check_member(text, &[place]).is_ok();
        assert!(check(place(false, &["cpu", "cpuacct"], "a/b")));
        assert!(check(place(true, &["memory"], "a/b")));
        assert!(!check(place(false, &["memory"], "a/b")));
        assert!(!check(place(true, &[], "b/a")));
        assert!(!check(place(false, &["pids"], "a/b")));
    }
}
