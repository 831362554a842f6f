//! A mount of type `cgroup`: what of the hierarchies the container sees, as the OCI runtime specification has it.

use std::io;
use std::path::{Path, PathBuf};

use libcontainer_cgroups::Layout;
use libcontainer_cgroups::discovery::{Hierarchy, Mode};
use libcontainer_cgroups::stats::Version;
use libcontainer_mount::plan::{Bind, Filesystem, Kind, Propagation};
use libcontainer_plan::MountAttr;

use crate::config::{Config, NamespaceKind};
use crate::setup::{CgroupSetup, MountItem, NamespaceSetup};

/// The type in a config.
pub(crate) const CGROUP: &str = "cgroup";

/// What is known of the control groups when the mounts are resolved.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Groups<'a> {
    /// The hierarchies; known if a mount shows them.
    pub(crate) layout: Option<&'a Layout>,
    /// How the init gets into its group, if it has one.
    pub(crate) own: Option<&'a CgroupSetup>,
}

/// Whether the config wants hierarchies to be seen.
pub(crate) fn shows_groups(config: &Config) -> bool {
    config
        .mount_config
        .iter()
        .flat_map(|all| &all.mounts)
        .any(|mount| mount.kind == CGROUP && !mount.is_bind())
}

/// Whether a container has its own group of version 2 to itself, to make groups below it: as the OCI runtime specification has it, with a namespace of control
/// groups of its own and a mount that may be written to.
pub(crate) fn has_group_to_itself(config: &Config, layout: &Layout) -> bool {
    let read_only = |option: &String| option == "ro" || option == "rro";
    let mut mounts = config.mount_config.iter().flat_map(|all| &all.mounts);
    layout.mode == Mode::Unified
        && config.namespaces.is_new(NamespaceKind::Cgroup)
        && mounts
            .any(|mount| mount.kind == CGROUP && !mount.is_bind() && !mount.options.iter().any(read_only))
}

/// One such mount: where, and how.
pub(super) struct Shown<'a> {
    pub(super) to: &'a Path,
    pub(super) attributes: u32,
    pub(super) propagation: Option<(Propagation, bool)>,
    pub(super) namespaces: &'a NamespaceSetup,
    /// The process that makes it is in a user namespace.
    pub(super) user: bool,
}

impl Shown<'_> {
    /// What is to be mounted.
    pub(super) fn items(&self, groups: Groups<'_>) -> io::Result<Vec<MountItem>> {
        let Some(layout) = groups.layout.filter(|layout| layout.mode != Mode::Absent) else {
            return Err(io::Error::other("no control groups are mounted on the host"));
        };
        let unified = layout.v2.as_ref().filter(|_| layout.mode == Mode::Unified);
        if let Some(v2) = unified {
            return Ok(vec![self.version_2(v2)]);
        }
        let mut items = vec![self.top()];
        for hierarchy in layout.all() {
            items.extend(self.below(hierarchy, groups)?);
        }
        Ok(items)
    }

    fn has_namespace(&self) -> bool {
        self.namespaces.has(NamespaceKind::Cgroup)
    }

    fn version_2(&self, v2: &Hierarchy) -> MountItem {
        if self.has_namespace() || !self.user {
            return self.filesystem("cgroup2", Vec::new(), self.to.to_owned());
        }
        // The kernel mounts it only for the owner of the control group namespace.
        self.bind(v2.mountpoint.clone(), self.to.to_owned())
    }

    /// A directory for the hierarchies of version 1. What makes it read-only does so when all are in it.
    fn top(&self) -> MountItem {
        let data = vec![("mode".to_owned(), Some("755".to_owned()))];
        let attributes = self.attributes & !1;
        let (fstype, source) = ("tmpfs".to_owned(), CGROUP.to_owned());
        let filesystem = Filesystem { fstype, source, data, attributes, copy_up: None };
        MountItem::Filesystem {
            filesystem,
            to: self.to.to_owned(),
            strict: true,
            propagation: self.propagation,
        }
    }

    /// One hierarchy below that, and links for the controllers that share one.
    fn below(&self, hierarchy: &Hierarchy, groups: Groups<'_>) -> io::Result<Vec<MountItem>> {
        let name = hierarchy.mountpoint.file_name().unwrap_or_default();
        let to = self.to.join(name);
        let mounted = if self.has_namespace() {
            let flag = |name: &String| match name.strip_prefix("name=") {
                Some(name) => ("name".to_owned(), Some(name.to_owned())),
                None => (name.clone(), None),
            };
            match hierarchy.version {
                Version::V1 => self.filesystem(CGROUP, hierarchy.controllers.iter().map(flag).collect(), to),
                Version::V2 => self.filesystem("cgroup2", Vec::new(), to),
            }
        } else {
            self.bind(own_group(hierarchy, groups)?, to)
        };
        let linked = hierarchy
            .controllers
            .iter()
            .filter(|one| hierarchy.version == Version::V1 && **one != *name.to_string_lossy());
        let linked = linked.filter(|one| !one.starts_with("name="));
        let link = |one: &String| MountItem::Link { target: PathBuf::from(name), to: self.to.join(one) };
        Ok(std::iter::once(mounted).chain(linked.map(link)).collect())
    }

    fn filesystem(&self, fstype: &str, data: Vec<(String, Option<String>)>, to: PathBuf) -> MountItem {
        let (fstype, source) = (fstype.to_owned(), CGROUP.to_owned());
        let filesystem = Filesystem { fstype, source, data, attributes: self.attributes, copy_up: None };
        MountItem::Filesystem { filesystem, to, strict: true, propagation: self.propagation }
    }

    fn bind(&self, source: PathBuf, to: PathBuf) -> MountItem {
        let attributes = MountAttr { set: u64::from(self.attributes), ..MountAttr::default() };
        let bind = Bind {
            source,
            source_nofollow: true,
            recursive: false,
            attributes,
            recursive_attributes: MountAttr::default(),
            propagation: self.propagation,
            id_map: None,
            by_host: false,
            // ORDER: the group is made when the plan runs.
            within: None,
            seen: None,
        };
        MountItem::Bind { bind, to, kind: Kind::Directory }
    }
}

/// The container's group, or, if it has none of its own, that of this process.
fn own_group(hierarchy: &Hierarchy, groups: Groups<'_>) -> io::Result<PathBuf> {
    let known =
        groups.own.and_then(|own| own.shown.iter().find(|(mounted, _)| *mounted == hierarchy.mountpoint));
    if let Some((_, below)) = known {
        return Ok(hierarchy.mountpoint.join(below));
    }
    let own = hierarchy.own_below().map_err(io::Error::other)?;
    Ok(hierarchy.mountpoint.join(own))
}
