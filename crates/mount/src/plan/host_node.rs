//! Device nodes that the host makes: mknod(2) is refused to the init of a user namespace.

use std::io;
use std::os::fd::OwnedFd;

use libcontainer_plan::{At, Builder, FdSource, Mount, MountAttr, Slot, Sock};

use super::attr;
use super::idmap::run;
use super::node::{Node, make_node};

/// `CLONE_NEWNS`
const NEWNS: u64 = 0x2_0000;

/// A detached mount of such a node alone, on a filesystem of its own, made while the init waits for it. `owner` is as the host sees it.
pub(super) fn made(plan: &mut Builder, node: &Node, owner: (u32, u32), label: Option<String>) -> Slot<Mount> {
    let name = format!("node {}", node.path.display());
    let node = Node { owner, ..node.clone() };
    plan.receive_fd(&name, FdSource::shared(name.clone(), move |_| make(&node, label.as_deref())))
}

/// By a short-lived init in a mount namespace of its own.
fn make(node: &Node, label: Option<&str>) -> io::Result<OwnedFd> {
    const NAME: &str = "mount of a node";
    let mut plan = Builder::new();
    plan.namespaces(NEWNS);
    let pipe = plan.preset::<Sock>("end of the helper");
    plan.start_init();
    // ORDER: before anything is mounted: nothing may travel to the host.
    plan.purpose("keep mounts from the host's namespace");
    let private = MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() };
    plan.mount_setattr_path("/", true, private);
    plan.purpose(format!("make {}", node.path.display())).umask(0);
    let context = plan.fsopen("tmpfs");
    plan.fsconfig_string(context, "mode", "755").fsconfig_string(context, "nr_inodes", "2");
    if let Some(label) = label {
        plan.fsconfig_string(context, "context", label);
    }
    plan.fsconfig_create(context);
    let filesystem = plan.fsmount(context, attr::NOSUID | attr::NOEXEC);
    // KERNEL(6.15): before, nothing is copied of a mount that is not attached.
    plan.move_mount_path(filesystem, "/");
    make_node(&mut plan, filesystem.root(), "node".as_ref(), node);
    let copy = plan.open_tree(At::Slot(filesystem.root().id()), "node", 0);
    plan.send_fd(copy, NAME);
    let mut launched = run(plan, pipe, |_| ())?;
    launched.received.remove(NAME).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADMSG))
}
