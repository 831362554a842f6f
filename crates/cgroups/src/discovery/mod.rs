//! Which hierarchies there are, where they are mounted, and where this process lies in them.
//!
//! Everything but [`Layout::of_this_process`] is a pure function of the kernel's texts ([`Texts`]), see
//! `proc_pid_mountinfo(5)` and `cgroups(7)`.

mod mountinfo;
mod own;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::stats::Version;

use mountinfo::Mount;
use own::Own;

/// The kernel's texts from which a [`Layout`] is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Texts<'a> {
    /// `/proc/self/mountinfo`.
    pub mountinfo: &'a [u8],
    /// `/proc/self/cgroup`.
    pub cgroup: &'a [u8],
    /// `/proc/cgroups`; empty on a kernel without version 1.
    pub cgroups: &'a [u8],
    /// `cgroup.controllers` at the mount point of version 2; empty without one.
    pub controllers: &'a [u8],
}

/// How control groups are set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Version 2 alone (named hierarchies of version 1 don't count).
    Unified,
    /// Version 1 alone.
    Legacy,
    /// Version 1 with controllers, and version 2.
    Hybrid,
    /// None is mounted.
    Absent,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Which kind.
    pub version: Version,
    /// Version 1: what is mounted together (`cpu`, `cpuacct`), or the name (`name=systemd`).
    /// Version 2: the controllers that can be used at the mount point.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// Which of its directories is mounted there: not `/` in a container without control group namespace,
    /// with `/..` when it was mounted outside of our control group namespace.
    pub root: PathBuf,
    /// Where this process is, from the root of the hierarchy or of our control group namespace; None when it isn't told.
    pub own: Option<PathBuf>,
    /// True when nothing can be written through this mount.
    pub read_only: bool,
    /// True when control files lack their controller's name (`cpus` for `cpuset.cpus`; mount option `noprefix`).
    pub no_prefix: bool,
}

/// All hierarchies that this process can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The setup.
    pub mode: Mode,
    /// Version 2.
    pub v2: Option<Hierarchy>,
    /// Version 1, in the order of the mounts.
    pub v1: Vec<Hierarchy>,
    /// Controllers that the kernel has but that were switched off at boot (`cgroup_disable=`).
    pub disabled: BTreeSet<String>,
}

impl Hierarchy {
    /// The way from the mount point down to this process's own group; empty when it is the mounted directory itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the own group isn't below this mount or the way to it can't be known from here.
    pub fn own_below(&self) -> Result<PathBuf> {
        let problem = |text: &str| {
            Error::invalid(
                "cgroupsPath",
                format!("relative to the group of this process, {text} {}", self.mountpoint.display()),
            )
        };
        let own = self.own.as_deref().ok_or_else(|| problem("which isn't known for"))?;
        let below = own.strip_prefix(&self.root).map_err(|_| problem("which is outside of the mount at"))?;
        if below.components().any(|component| !matches!(component, Component::Normal(_))) {
            return Err(problem("which is outside of the mount at"));
        }
        Ok(below.to_owned())
    }

    /// True when `controller` is one of this hierarchy's.
    #[must_use]
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|own| own == controller)
    }

    fn of(mount: &Mount, own: &[Own], kernel: &BTreeMap<String, bool>, unified: &[u8]) -> Self {
        let (version, controllers) = if mount.is_v2() {
            (Version::V2, words(unified))
        } else {
            (Version::V1, mount.controllers(|name| own::is_listed(own, name) || kernel.contains_key(name)))
        };
        let line = own.iter().find(|line| match version {
            Version::V2 => line.controllers.is_empty(),
            Version::V1 => line.controllers.iter().any(|one| controllers.contains(one)),
        });
        Self {
            version,
            controllers,
            mountpoint: mount.mountpoint.clone(),
            root: mount.root.clone(),
            own: line.map(|line| line.path.clone()),
            read_only: mount.read_only,
            no_prefix: mount.has_option("noprefix"),
        }
    }

    /// How good a mount of a hierarchy is, if it is mounted more than once: an own group that isn't below it is none that can be reached.
    fn rank(&self) -> (bool, bool) {
        (!self.read_only, self.own_below().is_ok())
    }
}

impl Layout {
    /// Reads the texts. Pure.
    ///
    /// # Errors
    /// [`Error::Content`] with the line that isn't understood.
    pub fn parse(texts: &Texts<'_>) -> Result<Self> {
        let own = own::parse(texts.cgroup)?;
        let mut layout = Self { mode: Mode::Absent, v2: None, v1: Vec::new(), disabled: BTreeSet::new() };
        let kernel: BTreeMap<String, bool> = own::controllers_of_kernel(texts.cgroups);
        for mount in &mountinfo::visible(texts.mountinfo)? {
            layout.add(Hierarchy::of(mount, &own, &kernel, texts.controllers));
        }
        layout.disabled = kernel.into_iter().filter(|(_, enabled)| !enabled).map(|(name, _)| name).collect();
        let v1 = layout.v1.iter().flat_map(|one| &one.controllers).any(|name| !name.starts_with("name="));
        layout.mode = match (v1, layout.v2.is_some()) {
            (false, true) => Mode::Unified,
            (true, true) => Mode::Hybrid,
            (false, false) if layout.v1.is_empty() => Mode::Absent,
            (_, false) => Mode::Legacy,
        };
        Ok(layout)
    }

    /// The layout of this process, from procfs.
    ///
    /// # Errors
    /// [`Error::Read`] of `/proc/self/mountinfo`, `/proc/self/cgroup` (ENOENT: a kernel without control groups) or `/proc/cgroups`,
    /// [`Error::Content`].
    pub fn of_this_process() -> Result<Self> {
        let mut layout = Self::of_groups(&read("/proc/self/cgroup")?)?;
        if let Some(v2) = &mut layout.v2 {
            v2.controllers = words(&read(v2.mountpoint.join("cgroup.controllers"))?);
        }
        Ok(layout)
    }

    /// The hierarchies that are mounted for this process, with the groups of the process `pid` as the own ones. Controllers of version 2 are
    /// left out.
    pub(crate) fn of_process(pid: i32) -> Result<Self> {
        Self::of_groups(&read(format!("/proc/{pid}/cgroup"))?)
    }

    fn of_groups(cgroup: &[u8]) -> Result<Self> {
        let mountinfo = read("/proc/self/mountinfo")?;
        Self::parse(&Texts { mountinfo: &mountinfo, cgroup, cgroups: own::kernel()?, controllers: b"" })
    }

    /// The hierarchy that has `controller`: version 1's if it is mounted there.
    #[must_use]
    pub fn hierarchy(&self, controller: &str) -> Option<&Hierarchy> {
        self.all().find(|hierarchy| hierarchy.has(controller))
    }

    /// All hierarchies, version 1 first.
    pub fn all(&self) -> impl Iterator<Item = &Hierarchy> {
        self.v1.iter().chain(&self.v2)
    }

    /// Why `controller` can't be used, in words.
    #[must_use]
    pub fn why_missing(&self, controller: &str) -> String {
        let reason = if self.disabled.contains(controller) {
            "switched off at boot (cgroup_disable=)"
        } else if self.mode == Mode::Absent {
            "no hierarchy is mounted"
        } else {
            "not mounted, or not in this kernel"
        };
        reason.to_owned()
    }

    fn add(&mut self, new: Hierarchy) {
        let old = match new.version {
            Version::V2 => self.v2.as_mut(),
            Version::V1 => self.v1.iter_mut().find(|old| old.controllers == new.controllers),
        };
        match old {
            // The same hierarchy, mounted once more.
            Some(old) if new.rank() > old.rank() => *old = new,
            Some(_) => {}
            None if new.version == Version::V2 => self.v2 = Some(new),
            None if !new.controllers.is_empty() => self.v1.push(new),
            None => {}
        }
    }
}

fn words(text: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(text).split_whitespace().map(str::to_owned).collect()
}

fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    // These files have no size, and the kernel writes them anew for each read: all at once is faster. `take`, as a file alone would be
    // asked for its size.
    let mut text = Vec::with_capacity(8192);
    let read = File::open(&path).and_then(|file| file.take(u64::MAX).read_to_end(&mut text));
    read.map(|_| text).map_err(|source| Error::Read { path: path.as_ref().to_owned(), source })
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn malformed(file: &str, line: &[u8]) -> Error {
    let problem = format!("line not understood: {:?}", String::from_utf8_lossy(line));
    Error::Content { path: file.into(), problem }
}
