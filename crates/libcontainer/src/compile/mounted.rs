//! A mount that comes or goes while the container runs: by an init that enters the container's mount namespace, does it, and leaves. It has no program.

use std::ffi::OsStr;
use std::path::Path;

use libcontainer_mount::plan as mount;
use libcontainer_mount::plan::{Kind, Links};
use libcontainer_plan::{At, Builder, Dir, How, Mount, Ns, Plan, SealError, Slot, Sock};

use super::join::become_root;
use crate::config::NamespaceKind;
use crate::setup::{InsideSetup, MountItem};

/// The plan, and what the launch fills in.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) plan: Plan,
    pub(crate) target: Slot<Ns>,
    /// The init leaves when the other end is closed, also by this program's death.
    pub(crate) end: Slot<Sock>,
}

/// Attaches one.
pub(crate) fn mount_inside(item: &MountItem, inside: &InsideSetup) -> Result<Errand, SealError> {
    errand(
        inside,
        |plan| bound(plan, item),
        |plan, root, copy| {
            let (made, to, kind, links) = match (item, copy) {
                (MountItem::Bind { to, kind, .. }, Some(copy)) => (copy, to, *kind, Links::InRoot),
                (MountItem::Filesystem { filesystem, to, propagation, .. }, _) => {
                    plan.purpose(format!("mount {} on {}", filesystem.fstype, to.display()));
                    let made = mount::mount(plan, filesystem);
                    if let Some((propagation, recursive)) = propagation {
                        mount::set_propagation(plan, made, *propagation, *recursive);
                    }
                    (made, to, Kind::Directory, Links::InRoot)
                }
                // What is no mount is refused before.
                _ => return,
            };
            let place = mount::target(plan, root, to, kind, links);
            plan.move_mount(made, place);
        },
    )
}

/// The copy of what is bound: of the host's tree, so before the container's is entered.
fn bound(plan: &mut Builder, item: &MountItem) -> Option<Slot<Mount>> {
    let MountItem::Bind { bind, to, .. } = item else { return None };
    plan.purpose(format!("bind {} on {}", bind.source.display(), to.display()));
    Some(mount::bind(plan, bind))
}

/// Detaches what lies on `place`, a path without links.
pub(crate) fn unmount_inside(place: &Path, inside: &InsideSetup) -> Result<Errand, SealError> {
    let parent = place.parent().and_then(|parent| parent.strip_prefix("/").ok()).unwrap_or(Path::new(""));
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let name = place.file_name().unwrap_or(OsStr::new("."));
    errand(
        inside,
        |_| None,
        |plan, root, _| {
            plan.purpose(format!("unmount {}", place.display()));
            // RACE: a name that is swapped for a link meanwhile is refused: by the way there, and in the last place.
            let directory: Slot<Dir> = plan.openat2(root, parent, How::DIR_NO_LINKS);
            plan.fchdir(directory);
            plan.unmount(name);
        },
    )
}

fn errand(
    inside: &InsideSetup,
    before: impl FnOnce(&mut Builder) -> Option<Slot<Mount>>,
    act: impl FnOnce(&mut Builder, Slot<Dir>, Option<Slot<Mount>>),
) -> Result<Errand, SealError> {
    let plan = &mut Builder::new();
    let (target, end) = (plan.preset("container"), plan.preset("end of the errand"));
    plan.start_init();
    plan.purpose("mark all descriptors").mark_all_cloexec(0);
    plan.purpose("start a session").setsid();
    let copy = before(plan);
    // Not its pid namespace: it runs nothing and is not to be seen there.
    let wanted = NamespaceKind::Mount.flag() | NamespaceKind::User.flag();
    plan.purpose("enter the container's mounts").join(target, inside.namespaces & wanted);
    become_root(plan, inside.namespaces, inside.setgroups_denied);
    let root: Slot<Dir> =
        plan.openat2(At::Cwd, "/", How { flags: libc::O_PATH | libc::O_DIRECTORY, ..How::TRUSTED });
    act(plan, root, copy);
    plan.purpose("report that it is done").notify_host("done");
    plan.purpose("wait for the end").await_byte(end);
    plan.reap();
    Ok(Errand { plan: std::mem::take(plan).seal()?, target, end })
}
