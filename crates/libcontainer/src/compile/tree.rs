//! The container's file tree.

use std::path::{Path, PathBuf};

use libcontainer_mount::plan as mount;
use libcontainer_mount::plan::{Attached, Kind, Links, Node, Propagation, Protected, Rootfs};
use libcontainer_plan::{Builder, File, How, Mount, MountAttr, Slot};

use super::process::Terminal;
use crate::setup::{MountItem, MountSetup};

const DEV: &str = "/dev";

/// What later steps need of the tree.
#[derive(Debug)]
pub(super) struct Tree {
    rootfs: Rootfs,
    /// Mounts in which there is something to protect, still open.
    attached: Vec<Attached>,
    pub(super) terminal: Option<Terminal>,
}

/// Takes the rootfs and mounts everything in it.
pub(super) fn build(plan: &mut Builder, setup: &MountSetup, terminal: bool, cwd: &Path) -> Tree {
    // ORDER: before anything is cut off from the host: what is cut off gets no mount event any more.
    let early: Vec<_> = setup.items.iter().map(|item| copy_early(plan, item)).collect();
    let rootfs = mount::take_rootfs(plan, &setup.rootfs, setup.events);
    let (mut dev, mut attached) = (None, Vec::new());
    for (item, copy) in setup.items.iter().zip(early) {
        let Some((mount, place)) = add(plan, rootfs, setup, (item, copy), terminal) else { continue };
        let is_dev = matches!(item, MountItem::Devices { .. });
        if is_dev {
            dev = Some(mount);
        }
        if protects(setup, place) {
            attached.push(Attached { place: place.to_owned(), mount });
        } else if !is_dev {
            plan.close(mount);
        }
    }
    for node in &setup.other_devices {
        mount::device_node(plan, rootfs, node);
    }
    if setup.dev_links {
        mount::device_links(plan, rootfs);
    }
    // ORDER: behind all mounts, as it may lie in one, and before the root becomes read-only.
    if cwd != Path::new("/") {
        plan.purpose("make the working directory if it is missing");
        mount::make_directory(plan, rootfs.dir, cwd);
    }
    let opened = match dev.filter(|_| terminal) {
        Some(dev) => Some(mount::console(plan, dev)),
        None if terminal && setup.console => Some(mount::console_in(plan, rootfs)),
        None => None,
    };
    let terminal = opened.map(|(master, slave)| Terminal { master, slave });
    if let Some(dev) = dev.filter(|_| setup.items.iter().any(read_only_dev)) {
        plan.purpose("make /dev read-only").mount_setattr(dev, false, READ_ONLY);
    }
    if let Some(dev) = dev.filter(|_| !protects(setup, Path::new(DEV))) {
        plan.close(dev);
    }
    Tree { rootfs, attached, terminal }
}

const READ_ONLY: MountAttr = MountAttr { set: 1, clear: 0, propagation: 0 };

fn read_only_dev(item: &MountItem) -> bool {
    matches!(item, MountItem::Devices { filesystem, .. } if u64::from(filesystem.attributes) & READ_ONLY.set != 0)
}

/// Directories in `/dev`. One for shared memory is there only if something is mounted on it: programs take the directory alone for that.
fn places(setup: &MountSetup) -> &'static [&'static str] {
    let is_there = |to: &Path| mount::components(to) == ["dev", "shm"];
    let mounted = setup.items.iter().any(|item| match item {
        MountItem::Filesystem { to, .. } | MountItem::Bind { to, .. } => is_there(to),
        MountItem::Link { .. } | MountItem::Remount { .. } | MountItem::Devices { .. } => false,
    });
    if mounted { &["pts", "shm"] } else { &["pts"] }
}

/// Whether something is to be hidden or made read-only at or below that place.
fn protects(setup: &MountSetup, place: &Path) -> bool {
    let place = mount::components(place);
    let mut all = setup.hidden.iter().chain(&setup.read_only_paths);
    all.any(|path| mount::components(path).starts_with(&place))
}

/// The copy of a bind to which mounts of the host are to come, or from which they are to come to the host.
fn copy_early(plan: &mut Builder, item: &MountItem) -> Option<Slot<Mount>> {
    let MountItem::Bind { bind, .. } = item else { return None };
    let travels = matches!(bind.propagation, Some((Propagation::Slave | Propagation::Shared, _)));
    if !travels || bind.id_map.is_some() || bind.within.is_some() {
        return None;
    }
    plan.purpose(format!("copy {}", bind.source.display()));
    Some(mount::bind(plan, bind))
}

/// Adds one, of which there may be a copy; what is a directory mount stays open, and is returned with its place.
fn add<'a>(
    plan: &mut Builder,
    rootfs: Rootfs,
    setup: &MountSetup,
    (item, copy): (&'a MountItem, Option<Slot<Mount>>),
    terminal: bool,
) -> Option<(Slot<Mount>, &'a Path)> {
    match item {
        MountItem::Filesystem { filesystem, to, strict, propagation } => {
            plan.purpose(format!("mount {} on {}", filesystem.fstype, to.display()));
            let made = mount::mount(plan, filesystem);
            if let Some((propagation, recursive)) = propagation {
                mount::set_propagation(plan, made, *propagation, *recursive);
            }
            let links = if *strict { Links::Refuse } else { Links::InRoot };
            mount::attach_open(plan, rootfs, made, to, Kind::Directory, links);
            Some((made, to))
        }
        MountItem::Bind { bind, to, kind } => {
            let purpose = format!("bind {} on {}", bind.source.display(), to.display());
            plan.purpose(purpose.clone());
            let copy = copy.unwrap_or_else(|| mount::bind_in(plan, rootfs, bind));
            plan.purpose(purpose);
            mount::attach_open(plan, rootfs, copy, to, *kind, Links::InRoot);
            if matches!(kind, Kind::Directory | Kind::DirectoryItself) {
                return Some((copy, to));
            }
            plan.close(copy);
            None
        }
        MountItem::Link { target, to } => {
            plan.purpose(format!("link {} to {}", to.display(), target.display()));
            mount::link(plan, rootfs, target, to);
            None
        }
        MountItem::Remount { to, attributes, propagation } => {
            change(plan, rootfs, to, attributes, *propagation);
            None
        }
        MountItem::Devices { filesystem, propagation } => {
            // The terminal takes the place of a node of that name.
            let console = |node: &&Node| terminal && node.path == Path::new("/dev/console");
            let nodes: Vec<_> = setup.devices.iter().filter(|node| !console(node)).cloned().collect();
            let dev = mount::devices(plan, rootfs, filesystem, &nodes, places(setup));
            if let Some((propagation, recursive)) = propagation {
                mount::set_propagation(plan, dev, *propagation, *recursive);
            }
            Some((dev, Path::new(DEV)))
        }
    }
}

/// Changes the mount that lies there: first with all below, then itself.
fn change(
    plan: &mut Builder,
    rootfs: Rootfs,
    to: &Path,
    attributes: &[MountAttr; 2],
    propagation: Option<(Propagation, bool)>,
) {
    plan.purpose(format!("change the mount on {}", to.display()));
    let path: PathBuf = mount::components(to).into_iter().collect();
    // What is no place of a mount is refused by the kernel.
    let place: Slot<File> = plan.openat2(rootfs.dir, path, How::IN_ROOT);
    let there = plan.as_mount(place);
    for (attributes, recursive) in attributes.iter().zip([true, false]) {
        if *attributes != MountAttr::default() {
            plan.mount_setattr(there, recursive, *attributes);
        }
    }
    if let Some((propagation, recursive)) = propagation {
        mount::set_propagation(plan, there, propagation, recursive);
    }
    plan.close(place);
}

/// Read-only paths, masks, the read-only root; then the new root is entered and the old one let go.
pub(super) fn protect_and_enter(plan: &mut Builder, setup: &MountSetup, tree: &Tree) {
    let protected = |path: &PathBuf| Protected::new(tree.rootfs, &tree.attached, path);
    mount::make_read_only(plan, setup.read_only_paths.iter().map(protected));
    mount::hide(plan, setup.hidden.iter().map(protected), setup.copies_detached);
    for one in &tree.attached {
        plan.close(one.mount);
    }
    if setup.read_only {
        mount::read_only(plan, tree.rootfs);
    }
    if setup.no_pivot {
        mount::enter_by_move(plan, tree.rootfs, &setup.whole);
    } else {
        mount::enter_by_pivot(plan, tree.rootfs);
    }
    if let Some((propagation, recursive)) = setup.propagation {
        plan.purpose("set the propagation of the rootfs");
        if propagation == Propagation::Shared {
            // As the specification has it, a peer group of its own: not also a slave of the host's.
            mount::set_propagation(plan, tree.rootfs.mount, Propagation::Private, false);
        }
        mount::set_propagation(plan, tree.rootfs.mount, propagation, recursive);
    }
    plan.close(tree.rootfs.mount);
}
