//! criu, as a program of the host's: with the host for a checkpoint; for a restore in the container's control group and in a mount namespace of its own, which goes with it.

use std::path::{Path, PathBuf};

use libcontainer_mount::plan as mount;
use libcontainer_mount::plan::{Kind, Links, Rootfs};
use libcontainer_plan::{At, Builder, Dir, How, SealError, Slot, Sock};
use libcontainer_security::plan as security;

use super::given::{Compiled, Given, HostSteps};
use super::group;
use crate::config::NamespaceKind;
use crate::setup::{CriuSetup, MountItem, MountSetup, RestoreSetup};

/// Number of the descriptor by which it is spoken to.
const CONNECTION: u32 = 3;

/// The plan of a criu. What is given behind standard input, output and error: the connection, then what is handed on.
pub(crate) fn criu(setup: &CriuSetup, host: HostSteps) -> Result<Compiled, SealError> {
    let plan = &mut Builder::new();
    let stdio = ["standard input", "standard output", "standard error"].map(|name| plan.preset(name));
    let mut given = Given { stdio: Some(stdio), ..Given::default() };
    given.preserved.push(plan.preset("connection"));
    for number in 1..=setup.handed {
        given.preserved.push(plan.preset(format!("descriptor {}", number + CONNECTION)));
    }
    for step in host.before {
        plan.host(step);
    }
    let restore = setup.restore.as_ref();
    let cgroup = restore.and_then(|restore| restore.cgroup.as_ref());
    if restore.is_some_and(|restore| restore.mounts.is_some()) {
        plan.namespaces(u64::from(NamespaceKind::Mount.flag()));
    }
    if cgroup.is_some_and(|cgroup| cgroup.unified) {
        plan.into_cgroup();
    }
    plan.start_init();
    given.tasks = group::enter(plan, cgroup);
    plan.purpose("mark all descriptors").mark_all_cloexec(0);
    if !setup.shell_job {
        plan.purpose("start a session").setsid();
    }
    for step in host.born {
        plan.host(step);
    }
    plan.purpose("wait for the host").await_host("it is in its groups");
    for step in host.meanwhile {
        plan.host(step);
    }
    if let Some(restore) = restore {
        prepare(plan, restore);
    }
    plan.purpose("leave the working directory").chdir("/");
    run(plan, setup, &given);
    plan.await_exec();
    Ok(Compiled { plan: std::mem::take(plan).seal()?, given })
}

/// What the restored processes find that criu does not make.
fn prepare(plan: &mut Builder, restore: &RestoreSetup) {
    if let Some(name) = &restore.keyring {
        // ORDER: before criu, from which it is inherited: else they would have the session keyring of who restores them.
        security::session_keyring(plan, name);
    }
    let Some(mounts) = &restore.mounts else { return };
    let scratch = mount::take_rootfs(plan, &mounts.rootfs, mounts.events);
    make_places(plan, scratch, mounts);
    if restore.cwd != Path::new("/") {
        plan.purpose("make the working directory if it is missing");
        mount::make_directory(plan, scratch.dir, &restore.cwd);
    }
    plan.purpose("let go of what was mounted to make places");
    plan.fchdir(scratch.dir).unmount_here();
    plan.close(scratch.mount);
    // What criu is to take for the root has to be a mount.
    plan.purpose(format!("take {} as rootfs", mounts.rootfs.display()));
    let how = How { flags: libc::O_PATH | libc::O_DIRECTORY, ..How::TRUSTED };
    let place: Slot<Dir> = plan.openat2(At::Cwd, &mounts.rootfs, how);
    let root = plan.clone_tree(place, true);
    plan.move_mount(root, place);
    plan.close(root).close(place);
}

/// Makes the places of mounts that are missing in the rootfs, as a new container's are made. What is bound is bound, as places may lie in it. In a filesystem of the container's own
/// there is nothing to be made: its content is in the images, or the kernel's.
fn make_places(plan: &mut Builder, rootfs: Rootfs, setup: &MountSetup) {
    let mut own: Vec<PathBuf> = Vec::new();
    for item in &setup.items {
        let (to, is_own) = match item {
            MountItem::Filesystem { to, .. } => (to.as_path(), true),
            MountItem::Devices { .. } => (Path::new("/dev"), true),
            MountItem::Bind { to, .. } | MountItem::Link { to, .. } => (to.as_path(), false),
            MountItem::Remount { .. } => continue,
        };
        let names: PathBuf = mount::components(to).into_iter().collect();
        if !own.iter().any(|above| names.starts_with(above)) {
            make_place(plan, rootfs, item, to);
        }
        if is_own {
            own.push(names);
        }
    }
    let is_own = |path: &Path| {
        let names: PathBuf = mount::components(path).into_iter().collect();
        own.iter().any(|above| names.starts_with(above))
    };
    for node in setup.other_devices.iter().filter(|node| !is_own(&node.path)) {
        mount::device_node(plan, rootfs, node);
    }
    if setup.dev_links {
        mount::device_links(plan, rootfs);
    }
}

fn make_place(plan: &mut Builder, rootfs: Rootfs, item: &MountItem, to: &Path) {
    plan.purpose(format!("make {} if it is missing", to.display()));
    match item {
        MountItem::Bind { bind, kind, .. } => {
            let copy = mount::bind_in(plan, rootfs, bind);
            mount::attach(plan, rootfs, copy, to, *kind, Links::InRoot);
        }
        MountItem::Link { target, .. } => mount::link(plan, rootfs, target, to),
        _ => {
            let place = mount::target(plan, rootfs.dir, to, Kind::Directory, Links::InRoot);
            plan.close(place);
        }
    }
}

/// Puts descriptors in their places and runs it.
fn run(plan: &mut Builder, setup: &CriuSetup, given: &Given) {
    plan.purpose("set up standard input, output and error");
    for (number, slot) in (0..).zip(given.stdio.into_iter().flatten()) {
        plan.dup_to(slot, number);
    }
    plan.purpose("close all other descriptors");
    for (number, slot) in (CONNECTION..).zip(&given.preserved) {
        plan.dup_to(*slot, number);
    }
    let first = CONNECTION + 1 + setup.handed;
    let control = plan.control();
    let control: Slot<Sock> = plan.dup_cloexec(control, first);
    plan.control_is(control);
    plan.close_range(first + 1, u32::MAX);
    plan.purpose("restore signals").reset_signals();
    plan.purpose(format!("run {}", setup.program.display())).unblock_signals();
    let args = [b"criu".to_vec(), b"swrk".to_vec(), CONNECTION.to_string().into_bytes()];
    plan.exec(&[PathBuf::clone(&setup.program)], &args, &setup.env);
}
