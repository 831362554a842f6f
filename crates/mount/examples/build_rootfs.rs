//! Builds a rootfs in a private mount namespace, of an empty directory and the host's `/usr`, and runs a program in it:
//! `build_rootfs DIRECTORY PROGRAM [ARGUMENT]…`. Needs root. What was mounted goes with the program.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use libcontainer_mount::default_simple_devices;
use libcontainer_mount::plan::{
    self as mount, Attached, Bind, Filesystem, Kind, Links, Node, NodeKind, Origin, Propagation, Protected,
};
use libcontainer_plan::{Builder, File, Launch, MountAttr, Slot};

type Failure = Box<dyn std::error::Error>;

fn tree(plan: &mut Builder, rootfs: &Path) {
    let rootfs = mount::take_rootfs(plan, rootfs, Propagation::Private);
    plan.purpose("bind /usr, read-only");
    let set = u64::from(mount::attr::RDONLY | mount::attr::NOSUID | mount::attr::NODEV);
    let attributes = MountAttr { set, ..MountAttr::default() };
    let source = "/usr".into();
    let usr = mount::bind(
        plan,
        &Bind { source, recursive: true, recursive_attributes: attributes, ..Bind::default() },
    );
    mount::attach(plan, rootfs, usr, Path::new("/usr"), Kind::Directory, Links::Refuse);
    for name in ["bin", "lib", "lib64"] {
        mount::link(plan, rootfs, &Path::new("usr").join(name), &Path::new("/").join(name));
    }
    let mut attached = Vec::new();
    for (fstype, to) in [("proc", "/proc"), ("tmpfs", "/tmp")] {
        plan.purpose(format!("mount {to}"));
        let made = mount::mount(plan, &Filesystem { fstype: fstype.into(), ..Filesystem::default() });
        mount::attach_open(plan, rootfs, made, Path::new(to), Kind::Directory, Links::Refuse);
        attached.push(Attached { place: to.into(), mount: made });
    }
    let node = |node: libcontainer_mount::DeviceNode| {
        let number = |number: i64| u32::try_from(number).unwrap_or(0);
        let number = (number(node.major_number), number(node.minor_number));
        Node {
            kind: NodeKind::Character,
            number,
            mode: node.mode(),
            owner: (0, 0),
            path: node.path,
            origin: Origin::Made,
        }
    };
    let nodes: Vec<_> = default_simple_devices().into_iter().map(node).collect();
    let dev = mount::devices(plan, rootfs, &mount::usual_dev(None), &nodes, &["pts", "shm"]);
    plan.close(dev);
    let protected = |path: &&str| Protected::new(rootfs, &attached, Path::new(path));
    mount::make_read_only(plan, libcontainer_mount::DEFAULT_READONLY_PATHS.iter().map(protected));
    mount::hide(plan, libcontainer_mount::DEFAULT_MASKED_PATHS.iter().map(protected), false);
    for one in attached {
        plan.close(one.mount);
    }
    mount::enter_by_pivot(plan, rootfs);
    plan.close(rootfs.mount);
}

/// Runs `program` in a tree built below `rootfs`, with these standard descriptors. Returns how it ended.
pub(crate) fn run(rootfs: &Path, program: &[Vec<u8>], stdio: [OwnedFd; 3]) -> Result<String, Failure> {
    let mut plan = Builder::new();
    let slots: [Slot<File>; 3] = ["input", "output", "errors"].map(|name| plan.preset(name));
    plan.namespaces(u64::from((libc::CLONE_NEWNS | libc::CLONE_NEWPID).unsigned_abs()));
    plan.start_init();
    plan.purpose("clear the umask").umask(0);
    tree(&mut plan, rootfs);
    plan.purpose("run the program").umask(0o022);
    for (number, slot) in (0..).zip(slots) {
        plan.dup_to(slot, number);
    }
    let name = program.first().ok_or("no program")?;
    plan.exec(&[String::from_utf8_lossy(name).into_owned().into()], program, &[b"PATH=/bin".to_vec()]);
    plan.await_exec();
    let mut launch = Launch::new(plan.seal()?);
    for (slot, fd) in slots.into_iter().zip(stdio) {
        launch.give(slot, fd);
    }
    Ok(format!("{:?}", launch.run()?.wait()?))
}

fn main() -> Result<(), Failure> {
    use std::os::unix::ffi::OsStringExt;
    let mut args = std::env::args_os().skip(1);
    let rootfs = args.next().ok_or("usage: build_rootfs DIRECTORY PROGRAM [ARGUMENT]...")?;
    let program: Vec<_> = args.map(OsStringExt::into_vec).collect();
    let own =
        [std::io::stdin().as_fd().try_clone_to_owned()?, std::io::stdout().as_fd().try_clone_to_owned()?];
    let [input, output] = own;
    let errors = std::io::stderr().as_fd().try_clone_to_owned()?;
    run(Path::new(&rootfs), &program, [input, output, errors]).map(drop)
}
