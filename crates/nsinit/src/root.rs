//! The directory that holds the containers' directories.

use std::fs::DirBuilder;
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
    rootless: bool,
    debug: bool,
}

impl State {
    pub(crate) fn new(global: &Global) -> Self {
        let dir = global.root.clone().unwrap_or_else(default_dir);
        let by = |groups| global.cgroup_manager == Some(groups);
        let rootless = match global.rootless.as_str() {
            "auto" => !nix::unistd::geteuid().is_root() || mapped(),
            text => text == "true",
        };
        let systemd = global.systemd_cgroup || by(Groups::Systemd);
        Self { dir, systemd, groups: !by(Groups::Disabled), rootless, debug: global.debug }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the caller wants to know more.
    pub(crate) fn debug(&self) -> bool {
        self.debug
    }

    /// What `convert` has to know of the command line.
    pub(crate) fn options(&self, bundle: &Path, id: &str) -> Options {
        Options {
            bundle: bundle.to_owned(),
            id: id.to_owned(),
            systemd_cgroup: self.systemd,
            cgroups: self.groups,
            rootless: self.rootless,
            ..Options::default()
        }
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
        let ours = data.uid() == nix::unistd::geteuid().as_raw() && data.mode() & 0o022 == 0;
        if data.is_dir() && ours {
            return Ok(&self.dir);
        }
        let wanted = "it must be a directory that belongs to the caller and that others can't write to";
        Err(Failure::new(called(wanted)))
    }

    /// The directory of a container, whose name may not be used to leave the root.
    pub(crate) fn container(&self, id: &str) -> Result<PathBuf, Failure> {
        let first = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '+';
        let rest = |c: char| first(c) || c == '-' || c == '.';
        let fits = id.len() <= 255 && id.starts_with(first) && id.chars().all(rest);
        if fits {
            return Ok(self.dir.join(id));
        }
        Err(Failure::usage(format!(
            "container name {id:?}: letters, digits and _ + - . only, not beginning with - or ., at most 255 bytes"
        )))
    }
}

/// The directory of who names none, as runc has it: root of a user namespace is an ordinary user unless its environment says that it is root.
fn default_dir() -> PathBuf {
    let uid = nix::unistd::geteuid();
    let ordinary = !uid.is_root() || (mapped() && std::env::var_os("USER").is_none_or(|user| user != "root"));
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| ordinary && !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir).join("nsinit"),
        None if uid.is_root() => PathBuf::from("/run/nsinit"),
        None => PathBuf::from(format!("/tmp/nsinit-{uid}")),
    }
}

/// Whether this is another user namespace than the first, in which each id is mapped to itself.
fn mapped() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.is_empty() && map.split_ascii_whitespace().ne(["0", "0", "4294967295"])
}
