//! The directory that holds the containers' directories.

use std::fs::{DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use libcontainer_oci::Options;

use crate::arguments::{Global, Groups};
use crate::failure::{Failure, Named};

/// Where containers are kept.
#[derive(Debug)]
pub(crate) struct State {
    dir: PathBuf,
    systemd: bool,
    groups: bool,
    /// None if nobody has said so.
    rootless: Option<bool>,
    debug: bool,
}

impl State {
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        let dir = global.root.clone().map_or_else(default_dir, Ok)?;
        let by = |groups| global.cgroup_manager == Some(groups);
        let rootless = match global.rootless.as_str() {
            "auto" => None,
            text => Some(text == "true"),
        };
        let systemd = global.systemd_cgroup || by(Groups::Systemd);
        Ok(Self { dir, systemd, groups: !by(Groups::Disabled), rootless, debug: global.debug })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the caller wants to know more.
    pub(crate) fn debug(&self) -> bool {
        self.debug
    }

    /// What `convert` has to know of the command line.
    pub(crate) fn options(&self, bundle: &Path, id: &str) -> Result<Options, Failure> {
        Ok(Options {
            bundle: bundle.to_owned(),
            id: id.to_owned(),
            systemd_cgroup: self.systemd,
            cgroups: self.groups,
            rootless: self.rootless.map_or_else(is_ordinary, Ok)?,
            ..Options::default()
        })
    }

    /// Makes the directory if it is missing, and makes sure that it is ours alone.
    pub(crate) fn ready(&self) -> Result<&Path, Failure> {
        let called =
            |call: &str| format!("state directory {} (--root names another): {call}", self.dir.display());
        match DirBuilder::new().mode(0o700).recursive(false).create(&self.dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let all = DirBuilder::new().mode(0o700).recursive(true).create(&self.dir);
                all.named(called("mkdir"))?;
            }
            result => result.named(called("mkdir"))?,
        }
        let data = self.dir.symlink_metadata().named(called("lstat"))?;
        let uid = nix::unistd::geteuid().as_raw();
        match not_ours(&data, uid) {
            None => Ok(&self.dir),
            Some(why) => Err(Failure::new(called(&why))),
        }
    }

    /// The directory of a container, whose name may not be used to leave the root.
    pub(crate) fn container(&self, id: &str) -> Result<PathBuf, Failure> {
        let first = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '+';
        let rest = |c: char| first(c) || c == '-' || c == '.';
        let fits = id.len() <= 255 && id.starts_with(first) && id.chars().all(rest);
        if fits {
            return Ok(self.dir.join(id));
        }
        // The first words are crun's.
        let stranger = id.chars().find(|c| !rest(*c));
        let stranger = stranger
            .map_or_else(String::new, |c| format!("invalid character `{}` in the ID: ", c.escape_debug()));
        Err(Failure::usage(format!(
            "container name {id:?}: {stranger}letters, digits and _ + - . only, not beginning with - or ., at most 255 bytes"
        )))
    }
}

/// Why a directory is not this user's alone.
fn not_ours(data: &Metadata, uid: u32) -> Option<String> {
    let mode = data.mode() & 0o7777;
    if !data.is_dir() {
        return Some("not a directory".to_owned());
    }
    if data.uid() != uid {
        return Some(format!("it belongs to user {}, and the caller is {uid}", data.uid()));
    }
    (mode & 0o022 != 0).then(|| format!("others may write to it (mode {mode:04o}): chmod go-w"))
}

/// The directory of who names none, as runc has it: root of a user namespace is an ordinary user unless its environment says that it is root.
///
/// # Errors
/// If it can't be told which it is: in the other's directory a container would be taken for one that does not exist.
fn default_dir() -> Result<PathBuf, Failure> {
    let uid = nix::unistd::geteuid();
    // Who has no directory at run time, or says that it is root, needs not be asked.
    let is_root = || uid.is_root() && std::env::var_os("USER").is_some_and(|user| user == "root");
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty() && !is_root());
    Ok(match runtime {
        Some(dir) if is_ordinary()? => PathBuf::from(dir).join("nsinit"),
        _ if uid.is_root() => PathBuf::from("/run/nsinit"),
        _ => PathBuf::from(format!("/tmp/nsinit-{uid}")),
    })
}

/// Whether this is no root, or that of another user namespace than the first, in which each id is mapped to itself.
fn is_ordinary() -> Result<bool, Failure> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(true);
    }
    let map = std::fs::read_to_string("/proc/self/uid_map");
    is_mapped(
        &map.named("read /proc/self/uid_map, to know whose root this is (--root and --rootless say it too)")?,
    )
    .map_err(Failure::new)
}

/// Whether a map is not the machine's own. The kernel shows none for a namespace whose ids are not mapped yet.
fn is_mapped(map: &str) -> Result<bool, String> {
    let mut numbers = map.split_ascii_whitespace().map(str::parse::<u32>);
    match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (None, ..) => Ok(true),
        (Some(Ok(inside)), Some(Ok(outside)), Some(Ok(count)), more) => {
            Ok((inside, outside, count) != (0, 0, u32::MAX) || more.is_some())
        }
        _ => Err(format!("/proc/self/uid_map: {map:?} is no map of ids")),
    }
}

#[cfg(test)]
mod tests {
    use super::is_mapped;

    #[test]
    fn only_the_machines_own_map_is_of_its_root() {
        for (map, wanted) in [
            ("         0          0 4294967295\n", Ok(false)),
            ("         0       1000          1\n", Ok(true)),
            ("0 1000 1\n1 100000 65536\n", Ok(true)),
            ("0 0 4294967294\n", Ok(true)),
            ("", Ok(true)),
        ] {
            assert_eq!(is_mapped(map), wanted, "{map:?}");
        }
        assert!(is_mapped("0 0").is_err() && is_mapped("x 0 1").is_err());
    }
}
