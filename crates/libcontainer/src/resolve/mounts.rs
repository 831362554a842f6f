//! The mount table of a container: the system's mounts and the config's, with what the host knows of their sources.

use std::io;
use std::path::{Path, PathBuf};

use libcontainer_mount::plan::{
    Bind, CopyUp, Filesystem, Kind, Node, NodeKind, Origin, Propagation, components, look, usual_dev,
};
use libcontainer_mount::{
    CopiedRoot, DeviceKind, DeviceNode, Mount, MountConfig, Options, default_simple_devices, parse_options,
};
use libcontainer_plan::{MountAttr, Probe};

use super::accounts::directory_mode;
use super::cgroup_mount::{CGROUP, Groups, Shown};
use super::host_tree::{self, NODEV, NOEXEC, NOSUID};
use super::id_map::id_map;
use super::labels::Labels;
use super::reach::is_out_of_reach;
use super::whole::whole;
use super::within::Within;
use crate::config::{Config, Namespace, NamespaceKind};
use crate::error::{Error, Result};
use crate::setup::{MountItem, MountSetup, NamespaceSetup};

const RDONLY: u32 = 0x1;

/// Kernel filesystems, whose objects the policy labels one by one: they take no `context=`.
const UNLABELLED: [&str; 5] = ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"];

/// 2014's restricted paths.
const RESTRICTED: [&str; 4] = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"];

pub(super) fn setup(
    config: &Config,
    namespaces: &NamespaceSetup,
    probe: &Probe,
    labels: &Labels,
    groups: Groups<'_>,
) -> Result<MountSetup> {
    let default = MountConfig::default();
    let mounts = config.mount_config.as_ref().unwrap_or(&default);
    let mut items = entries(config, mounts, namespaces, probe, (labels, groups))?;
    let fill = if mounts.fill_dev { own_dev(&mut items) } else { Fill::Nothing };
    let nodes = if mounts.device_nodes.is_empty() {
        default_simple_devices()
    } else {
        with_null(&mounts.device_nodes)
    };
    // mknod(2) is refused in a user namespace.
    let user = namespaces.has(NamespaceKind::User) || probe.nested.is_some();
    let origin = if user { Origin::Host } else { Origin::Made };
    let nodes = nodes.iter().map(|one| node(one, origin.clone()));
    let filled = !mounts.bare || fill == Fill::Mount;
    let (devices, mut other): (Vec<_>, Vec<_>) =
        nodes.partition(|node| filled && node.path.starts_with("/dev"));
    if fill == Fill::Not {
        other.retain(|node| !node.path.starts_with("/dev"));
    }
    let restricted = RESTRICTED.iter().filter(|_| config.restrict_sys).map(PathBuf::from);
    let kcore = Some(PathBuf::from("/proc/kcore")).filter(|_| config.restrict_sys);
    let read_only = read_only_hierarchies(mounts);
    let propagation = mounts.propagation();
    let events = match propagation {
        // Something must arrive from the host: private mounts would cut it off for good.
        Some((Propagation::Slave | Propagation::Shared, _)) => Propagation::Slave,
        _ if mounts.no_pivot_root => Propagation::Slave,
        _ => Propagation::Private,
    };
    Ok(MountSetup {
        rootfs: config.rootfs.clone(),
        events,
        propagation,
        items,
        devices,
        other_devices: if mounts.bare && !mounts.fill_dev && mounts.device_nodes.is_empty() {
            Vec::new()
        } else {
            other
        },
        dev_links: fill == Fill::Directory,
        console: mounts.fill_dev,
        hidden: mounts.masked_paths.iter().cloned().chain(kcore).collect(),
        copies_detached: probe.nested_detached,
        read_only_paths: mounts.readonly_paths.iter().cloned().chain(restricted).chain(read_only).collect(),
        read_only: mounts.readonly_fs,
        no_pivot: mounts.no_pivot_root,
        whole: if mounts.no_pivot_root { whole(&config.rootfs)? } else { Vec::new() },
    })
}

/// The system's mounts, and those of the config.
fn entries(
    config: &Config,
    mounts: &MountConfig,
    namespaces: &NamespaceSetup,
    probe: &Probe,
    (labels, groups): (&Labels, Groups<'_>),
) -> Result<Vec<MountItem>> {
    let label = labels.mount.as_ref().map(ToString::to_string);
    let mut items =
        if mounts.bare { Vec::new() } else { system_mounts(config, namespaces, probe, label.as_deref()) };
    for (index, mount) in mounts.mounts.iter().enumerate() {
        let failed = |error| {
            Error::io(format!("/mount_config/mounts/{index}/source: {}", mount.source.display()), error)
        };
        if mount.is_remount() {
            items.push(remount(mount).map_err(failed)?);
        } else if mount.kind == CGROUP && !mount.is_bind() {
            items.extend(
                hierarchies(mount, namespaces, probe)
                    .and_then(|shown| shown.items(groups))
                    .map_err(failed)?,
            );
        } else {
            let shared = host_tree::instead(mount, namespaces, probe).map_err(failed)?;
            let own = || item(config, &items, mount, label.as_deref()).map_err(failed);
            items.push(shared.map_or_else(own, Ok)?);
        }
    }
    Ok(items)
}

/// What becomes of `/dev` if the mounts are the config's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    /// Nodes are made where the config says, and nothing else.
    Nothing,
    /// It is one of the mounts, which is filled.
    Mount,
    /// It is a directory of the rootfs, which is filled.
    Directory,
    /// It is the host's, and left alone.
    Not,
}

/// Has the last mount on `/dev` filled, if it is a filesystem.
fn own_dev(items: &mut [MountItem]) -> Fill {
    let is_dev = |to: &Path| components(to) == ["dev"];
    let found = items.iter_mut().rev().find(|item| match item {
        MountItem::Filesystem { to, .. } | MountItem::Bind { to, .. } | MountItem::Link { to, .. } => {
            is_dev(to)
        }
        MountItem::Devices { .. } | MountItem::Remount { .. } => false,
    });
    match found {
        None => Fill::Directory,
        Some(item) => {
            let MountItem::Filesystem { filesystem, propagation, .. } = &*item else { return Fill::Not };
            let (filesystem, propagation) = (filesystem.clone(), *propagation);
            *item = MountItem::Devices { filesystem, propagation };
            Fill::Mount
        }
    }
}

/// A container without `/dev/null` is broken, so it is always there.
fn with_null(nodes: &[DeviceNode]) -> Vec<DeviceNode> {
    let mut all = nodes.to_vec();
    if !nodes.iter().any(|node| node.path == Path::new("/dev/null")) {
        all.extend(default_simple_devices().into_iter().take(1));
    }
    all
}

fn node(node: &DeviceNode, origin: Origin) -> Node {
    let kind = match node.kind {
        DeviceKind::Character => NodeKind::Character,
        DeviceKind::Block => NodeKind::Block,
        DeviceKind::Fifo => NodeKind::Fifo,
    };
    // Out of range is a problem of the config, told before.
    let number = |number: i64| u32::try_from(number).unwrap_or(0);
    Node {
        path: node.path.clone(),
        kind,
        number: (number(node.major_number), number(node.minor_number)),
        mode: node.mode(),
        owner: (node.uid, node.gid),
        origin,
    }
}

/// The system's mounts, in 2014's order: proc, dev, shm, pts, sys.
fn system_mounts(
    config: &Config,
    namespaces: &NamespaceSetup,
    probe: &Probe,
    label: Option<&str>,
) -> Vec<MountItem> {
    let user = namespaces.has(NamespaceKind::User) || probe.nested.is_some();
    let strictly = NOSUID | NODEV | NOEXEC;
    let context = label.map(|label| format!("context={label}"));
    let labelled = |options: &[&'static str]| -> Vec<String> {
        options.iter().map(|option| (*option).to_owned()).chain(context.clone()).collect()
    };
    let mut items = vec![if user && !namespaces.has(NamespaceKind::Pid) {
        // The kernel mounts a procfs only for the owner of its pid namespace.
        host_tree::bind("/proc", 0)
    } else {
        filesystem("proc", "proc", "/proc", strictly, &[])
    }];
    items.push(MountItem::Devices { filesystem: usual_dev(label), propagation: None });
    items.push(filesystem("tmpfs", "shm", "/dev/shm", strictly, &labelled(&["mode=1777", "size=65536k"])));
    let gid = mapped(config, probe, 5).then_some("gid=5");
    let options: Vec<_> = ["ptmxmode=0666", "mode=620"].into_iter().chain(gid).collect();
    items.push(filesystem("devpts", "devpts", "/dev/pts", NOSUID | NOEXEC, &labelled(&options)));
    let read_only = if config.restrict_sys { RDONLY } else { 0 };
    items.push(if user && !namespaces.has(NamespaceKind::Network) {
        // A sysfs belongs to its network namespace, which is the host's here.
        host_tree::bind("/sys", RDONLY)
    } else {
        filesystem("sysfs", "sysfs", "/sys", strictly | read_only, &[])
    });
    items
}

/// Whether the group has an id in the user namespace to which the mounts belong.
fn mapped(config: &Config, probe: &Probe, gid: u32) -> bool {
    match config.namespaces.get(NamespaceKind::User) {
        None => probe.nested.as_ref().is_none_or(|own| own.has_gid(gid)),
        Some(Namespace::New) => config.gid_mappings.iter().any(|map| map.has(gid)),
        // Nothing tells the map of a user namespace that is only a descriptor.
        Some(Namespace::Join(_)) => false,
    }
}

fn filesystem(fstype: &str, source: &str, to: &str, attributes: u32, options: &[String]) -> MountItem {
    let data = options.iter().filter_map(|option| option.split_once('=')).map(owned).collect();
    let (kind, source) = (fstype.to_owned(), source.to_owned());
    let filesystem = Filesystem { fstype: kind, source, data, attributes, copy_up: None };
    let strict = fstype == "proc" || fstype == "sysfs";
    MountItem::Filesystem { filesystem, to: to.into(), strict, propagation: None }
}

fn owned((key, value): (&str, &str)) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_owned()))
}

/// A mount that comes while the container runs.
pub(crate) fn mount(config: &Config, mount: &Mount) -> io::Result<MountItem> {
    let label =
        config.mount_config.as_ref().map(|all| all.mount_label.as_str()).filter(|label| !label.is_empty());
    item(config, &[], mount, label)
}

/// One mount of the config, behind those that come before. Looks at the source of a bind: directory, file, or link.
fn item(config: &Config, before: &[MountItem], mount: &Mount, label: Option<&str>) -> io::Result<MountItem> {
    let is_bind = mount.is_bind();
    let texts = mount.options.iter().map(String::as_str).chain(mount.data.split(','));
    let mut options = parse_options(texts, is_bind).map_err(io::Error::other)?;
    if mount.private {
        options.propagation = Some((Propagation::Private, false));
    }
    if is_bind {
        bind(config, before, mount, &options)
    } else {
        new_filesystem(config, mount, options, label)
    }
}

/// Places of hierarchies in which nothing may be written, the directory above those of version 1 included.
fn read_only_hierarchies(mounts: &MountConfig) -> Vec<PathBuf> {
    let is = |mount: &&Mount| {
        let read_only = mount.options.iter().any(|option| option == "ro" || option == "rro");
        mount.kind == CGROUP && !mount.is_bind() && read_only
    };
    mounts.mounts.iter().filter(is).map(|mount| mount.destination.clone()).collect()
}

/// A mount of type `cgroup`.
fn hierarchies<'a>(mount: &'a Mount, namespaces: &'a NamespaceSetup, probe: &Probe) -> io::Result<Shown<'a>> {
    let options = parse_options(mount.options.iter().map(String::as_str), false).map_err(io::Error::other)?;
    let set = (options.set | options.recursive_set) & !(options.clear | options.recursive_clear);
    Ok(Shown {
        to: &mount.destination,
        attributes: u32::try_from(set).map_err(io::Error::other)?,
        propagation: options.propagation,
        namespaces,
        user: namespaces.has(NamespaceKind::User) || probe.nested.is_some(),
    })
}

fn remount(mount: &Mount) -> io::Result<MountItem> {
    let options = parse_options(mount.options.iter().map(String::as_str), true).map_err(io::Error::other)?;
    let attributes = |set, clear| MountAttr { set, clear, propagation: 0 };
    Ok(MountItem::Remount {
        to: mount.destination.clone(),
        attributes: [
            attributes(options.recursive_set, options.recursive_clear),
            attributes(options.set, options.clear),
        ],
        propagation: options.propagation,
    })
}

fn bind(config: &Config, before: &[MountItem], mount: &Mount, options: &Options) -> io::Result<MountItem> {
    let to = mount.destination.clone();
    let within = Within::of(&config.rootfs, before, &mount.source);
    if within.is_some() && !mount.relabel.is_empty() {
        return Err(io::Error::other("comes of an earlier mount: have that one's source relabelled"));
    }
    if options.copy_symlink && within.is_none() && mount.source.symlink_metadata()?.is_symlink() {
        return Ok(MountItem::Link { target: mount.source.read_link()?, to });
    }
    // What the container's own tree has by then is only looked up in it.
    let seen = if within.is_none() { Some(look(&mount.source, options.source_nofollow)?) } else { None };
    let directory = seen.map(|seen| seen.kind == libc::S_IFDIR);
    let directory = directory.or(within.as_ref().map(|within| within.directory)).unwrap_or(true);
    let recursive = options.bind.unwrap_or(true);
    // Read-only unless told otherwise, as in 2014.
    let told = mount.writable || (options.clear | options.recursive_clear) & u64::from(RDONLY) != 0;
    let read_only = if told { 0 } else { u64::from(RDONLY) };
    let attributes = MountAttr { set: options.set, clear: options.clear, propagation: 0 };
    let below =
        MountAttr { set: options.recursive_set | read_only, clear: options.recursive_clear, propagation: 0 };
    let bind = Bind {
        source: mount.source.clone(),
        source_nofollow: options.source_nofollow,
        by_host: within.is_none() && is_out_of_reach(config, &mount.source)?,
        within: within.map(|within| within.path),
        seen,
        recursive,
        attributes,
        recursive_attributes: below,
        propagation: options.propagation,
        id_map: id_map(config, mount, options)?,
    };
    let kind = match (directory, options.destination_nofollow) {
        (true, false) => Kind::Directory,
        (false, false) => Kind::File,
        (true, true) => Kind::DirectoryItself,
        (false, true) => Kind::FileItself,
    };
    Ok(MountItem::Bind { bind, to, kind })
}

/// The mode of the directory of the rootfs that a tmpfs covers, unless another mount lies there.
fn covered(config: &Config, all: &MountConfig, mount: &Mount) -> io::Result<Option<u32>> {
    let place = components(&mount.destination);
    let mut before = all.mounts.iter().take_while(|other| !std::ptr::eq(*other, mount));
    if before.any(|other| place.starts_with(&components(&other.destination))) {
        return Ok(None);
    }
    directory_mode(&config.rootfs, &mount.destination)
}

fn new_filesystem(
    config: &Config,
    mount: &Mount,
    options: Options,
    label: Option<&str>,
) -> io::Result<MountItem> {
    // 2014 mounted tmpfs with these and took no options but its data, which may speak of them.
    let plain = mount.kind == "tmpfs" && mount.options.is_empty();
    let base = if plain { u64::from(NOSUID | NODEV | NOEXEC) } else { 0 };
    let set = base & !(options.clear | options.recursive_clear) | options.set | options.recursive_set;
    let set = u32::try_from(set).map_err(io::Error::other)?;
    let mut data = options.data;
    let covers = config.mount_config.as_ref().filter(|all| all.fill_dev && mount.kind == "tmpfs");
    let covers = covers.filter(|_| !data.iter().any(|(key, _)| key == "mode"));
    if let Some(mode) = covers.map(|all| covered(config, all, mount)).transpose()?.flatten() {
        data.push(("mode".to_owned(), Some(format!("{mode:o}"))));
    }
    let says = |keys: &[&str]| data.iter().any(|(key, _)| keys.contains(&key.as_str()));
    let root = CopiedRoot { mode: !says(&["mode"]), owner: !says(&["uid", "gid"]) };
    let (rootfs, path) = (config.rootfs.clone(), mount.destination.clone());
    let copy_up = options.copy_up.then_some(CopyUp { rootfs, path, root });
    if !UNLABELLED.contains(&mount.kind.as_str()) {
        data.extend(label.map(|label| ("context".to_owned(), Some(label.to_owned()))));
    }
    let filesystem = Filesystem {
        fstype: mount.kind.clone(),
        source: mount.source.to_string_lossy().into_owned(),
        data,
        attributes: set,
        copy_up,
    };
    let strict = mount.kind == "proc" || mount.kind == "sysfs" || options.destination_nofollow;
    let (to, propagation) = (mount.destination.clone(), options.propagation);
    Ok(MountItem::Filesystem { filesystem, to, strict, propagation })
}
