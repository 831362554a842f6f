//! The container's file tree.

use std::path::Path;

use libcontainer_mount::plan as mount;
use libcontainer_mount::plan::{Kind, Links, Node, Rootfs};
use libcontainer_plan::{Builder, Mount, Slot};

use super::process::Terminal;
use crate::setup::{MountItem, MountSetup};

/// What later steps need of the tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    rootfs: Rootfs,
    pub(super) terminal: Option<Terminal>,
}

/// Takes the rootfs and mounts everything in it.
pub(super) fn build(plan: &mut Builder, setup: &MountSetup, terminal: bool, cwd: &Path) -> Tree {
    let rootfs = mount::take_rootfs(plan, &setup.rootfs, setup.events);
    let mut dev = None;
    for item in &setup.items {
        if let Some(made) = add(plan, rootfs, setup, item, terminal) {
            dev = Some(made);
        }
    }
    for node in &setup.other_devices {
        mount::device_node(plan, rootfs, node, setup.bind_devices);
    }
    // ORDER: behind all mounts, as it may lie in one, and before the root becomes read-only.
    if cwd != Path::new("/") {
        plan.purpose("make the working directory if it is missing");
        mount::make_directory(plan, rootfs.dir, cwd);
    }
    let terminal = dev.filter(|_| terminal).map(|dev| {
        let (master, slave) = mount::console(plan, dev);
        Terminal { master, slave }
    });
    if let Some(dev) = dev {
        plan.close(dev);
    }
    Tree { rootfs, terminal }
}

fn add(
    plan: &mut Builder,
    rootfs: Rootfs,
    setup: &MountSetup,
    item: &MountItem,
    terminal: bool,
) -> Option<Slot<Mount>> {
    match item {
        MountItem::Filesystem { filesystem, to, strict, propagation } => {
            plan.purpose(format!("mount {} on {}", filesystem.fstype, to.display()));
            let made = mount::mount(plan, filesystem);
            if let Some((propagation, recursive)) = propagation {
                mount::set_propagation(plan, made, *propagation, *recursive);
            }
            let links = if *strict { Links::Refuse } else { Links::InRoot };
            mount::attach(plan, rootfs, made, to, Kind::Directory, links);
        }
        MountItem::Bind { bind, to, kind } => {
            plan.purpose(format!("bind {} on {}", bind.source.display(), to.display()));
            let copy = mount::bind(plan, bind);
            mount::attach(plan, rootfs, copy, to, *kind, Links::InRoot);
        }
        MountItem::Link { target, to } => {
            plan.purpose(format!("link {} to {}", to.display(), target.display()));
            mount::link(plan, rootfs, target, to);
        }
        MountItem::Devices => {
            let label = setup.label.as_deref();
            // The terminal takes the place of a node of that name.
            let console = |node: &&Node| terminal && node.path == Path::new("/dev/console");
            let nodes: Vec<_> = setup.devices.iter().filter(|node| !console(node)).cloned().collect();
            return Some(mount::devices(plan, rootfs, &nodes, setup.bind_devices, label));
        }
    }
    None
}

/// Read-only paths, masks, the read-only root; then the new root is entered and the old one let go.
pub(super) fn protect_and_enter(plan: &mut Builder, setup: &MountSetup, tree: &Tree) {
    mount::make_read_only(plan, tree.rootfs, setup.read_only_paths.iter().map(AsRef::as_ref));
    mount::hide(plan, tree.rootfs, setup.hidden.iter().map(AsRef::as_ref));
    if setup.read_only {
        mount::read_only(plan, tree.rootfs);
    }
    if setup.no_pivot {
        mount::enter_by_move(plan, tree.rootfs);
    } else {
        mount::enter_by_pivot(plan, tree.rootfs);
    }
    if let Some((propagation, recursive)) = setup.propagation {
        plan.purpose("set the propagation of the rootfs");
        mount::set_propagation(plan, tree.rootfs.mount, propagation, recursive);
    }
    plan.close(tree.rootfs.mount);
}
