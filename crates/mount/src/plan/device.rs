//! `/dev`: a tmpfs that is filled before anyone can see it.

use std::ffi::OsStr;
use std::path::Path;

use libcontainer_plan::{At, Builder, Dir, File, How, Mount, Pty, Slot};

use super::filesystem::{Filesystem, attach, mount, open_dir};
use super::host_node::made;
use super::node::{Node, Origin, make_node};
use super::target::{Kind, Links, components, parent_and_name, target};
use super::{Rootfs, attr};

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
];

/// The filesystem that [`devices`] is given unless somebody wants another: a tmpfs of 64 MiB.
#[must_use]
pub fn usual_dev(label: Option<&str>) -> Filesystem {
    let mut data =
        vec![("mode".to_owned(), Some("755".to_owned())), ("size".to_owned(), Some("65536k".to_owned()))];
    data.extend(label.map(|label| ("context".to_owned(), Some(label.to_owned()))));
    let attributes = attr::NOSUID | attr::STRICTATIME;
    let (fstype, source) = ("tmpfs".to_owned(), "tmpfs".to_owned());
    Filesystem { fstype, source, data, attributes, ..Filesystem::default() }
}

/// Builds `/dev` with the given nodes below it, the usual links, and directories as places for mounts; attaches it and returns it. It can be written to, whatever
/// `filesystem` says of that.
///
/// ORDER: a mount would make its place too, but that walk takes 16 KiB of stack, which the init keeps while it waits.
///
/// Nodes that are bound come behind it.
pub fn devices(
    plan: &mut Builder,
    rootfs: Rootfs,
    filesystem: &Filesystem,
    nodes: &[Node],
    places: &[&str],
) -> Slot<Mount> {
    plan.purpose("build /dev");
    let attributes = filesystem.attributes & !attr::RDONLY;
    let dev = mount(plan, &Filesystem { attributes, ..filesystem.clone() });
    for (name, to) in LINKS {
        plan.symlinkat(to, dev.root(), name);
    }
    for name in places {
        plan.mkdirat(dev.root(), name, 0o755);
    }
    for node in nodes.iter().filter(|node| node.origin == Origin::Made) {
        plan.purpose(format!("make {}", node.path.display()));
        node_in_dev(plan, dev.root(), node);
    }
    plan.purpose("attach /dev");
    let place = target(plan, rootfs.dir, Path::new("/dev"), Kind::Directory, Links::Refuse);
    plan.move_mount(dev, place);
    plan.close(place);
    for node in nodes.iter().filter(|node| node.origin != Origin::Made) {
        bind_node(plan, rootfs, node);
    }
    dev
}

/// The usual links in the rootfs's own `/dev`. A name that is there already stays.
pub fn device_links(plan: &mut Builder, rootfs: Rootfs) {
    plan.purpose("make the links in /dev");
    let place = target(plan, rootfs.dir, Path::new("/dev"), Kind::Directory, Links::InRoot);
    let directory = plan.as_dir(place);
    for (name, to) in LINKS {
        plan.symlinkat(to, directory, name).tolerate(libc::EEXIST);
    }
    plan.close(place);
}

/// The names of a node's path below `/dev`.
fn below_dev(path: &Path) -> Vec<std::ffi::OsString> {
    let mut names = components(path);
    if names.first().is_some_and(|name| name == OsStr::new("dev")) {
        names.remove(0);
    }
    names
}

/// Makes a node in the still detached tmpfs, where no name can exist but those just made.
fn node_in_dev(plan: &mut Builder, dev: Slot<Dir>, node: &Node) {
    let names = below_dev(&node.path);
    let Some((last, parents)) = names.split_last() else { return };
    let mut parent = dev;
    for name in parents {
        plan.mkdirat(parent, name, 0o755).tolerate(libc::EEXIST);
        let next = plan.openat2(parent, name, How::DIR_NO_LINKS);
        if parent != dev {
            plan.close(parent);
        }
        parent = next;
    }
    make_node(plan, parent, last, node);
    if parent != dev {
        plan.close(parent);
    }
}

/// Makes a node outside of `/dev`. A name that is there already is replaced: it might be any other device.
pub fn device_node(plan: &mut Builder, rootfs: Rootfs, node: &Node) {
    if node.origin != Origin::Made {
        return bind_node(plan, rootfs, node);
    }
    plan.purpose(format!("make {}", node.path.display()));
    // The root itself: only reached by a caller that did not validate.
    let Some((parent, name)) = parent_and_name(&node.path) else { return };
    let place = target(plan, rootfs.dir, &parent, Kind::Directory, Links::InRoot);
    let directory = plan.as_dir(place);
    plan.unlinkat(directory, &name).tolerate(libc::ENOENT);
    make_node(plan, directory, &name, node);
    plan.close(place);
}

fn bind_node(plan: &mut Builder, rootfs: Rootfs, node: &Node) {
    let copy = if let Origin::ByHost { owner, label } = &node.origin {
        plan.purpose(format!("make {} by the host", node.path.display()));
        made(plan, node, *owner, label.clone())
    } else {
        plan.purpose(format!("bind the host's {}", node.path.display()));
        plan.open_tree(At::Cwd, &node.path, 0)
    };
    attach(plan, rootfs, copy, &node.path, Kind::File, Links::InRoot);
}

/// Opens a terminal in the container's own devpts and puts it on `/dev/console`. Returns master and slave.
pub fn console(plan: &mut Builder, dev: Slot<Mount>) -> (Slot<Pty>, Slot<Pty>) {
    plan.purpose("open a terminal");
    let pts = open_dir(plan, dev.root(), "pts");
    let (master, slave) = plan.open_terminal(pts);
    plan.close(pts);
    plan.purpose("put the terminal on /dev/console");
    plan.mknodat(dev.root(), "console", libc::S_IFREG | 0o600, 0);
    let place: Slot<File> = plan.openat2(dev.root(), "console", How::NO_LINKS);
    let copy = plan.open_tree(At::Slot(slave.id()), "", 0x1000);
    plan.move_mount(copy, place);
    plan.close(copy).close(place);
    (master, slave)
}

/// As [`console`], in a rootfs whose `/dev` is not the library's: one that is bound, or a directory. Its `/dev/pts` is that of the rootfs, too.
pub fn console_in(plan: &mut Builder, rootfs: Rootfs) -> (Slot<Pty>, Slot<Pty>) {
    plan.purpose("open a terminal");
    let pts: Slot<Dir> = plan.openat2(rootfs.dir, "dev/pts", How::DIR_IN_ROOT);
    let (master, slave) = plan.open_terminal(pts);
    plan.close(pts);
    plan.purpose("put the terminal on /dev/console");
    let place = target(plan, rootfs.dir, Path::new("/dev/console"), Kind::File, Links::InRoot);
    let copy = plan.open_tree(At::Slot(slave.id()), "", 0x1000);
    plan.move_mount(copy, place);
    plan.close(copy).close(place);
    (master, slave)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_is_left_out_of_names() {
        assert_eq!(below_dev(Path::new("/dev/net/tun")), ["net", "tun"]);
    }
}
