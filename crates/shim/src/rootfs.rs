//! The mounts of which containerd's snapshots make a root filesystem.

use std::path::Path;

use containerd_shim_protos::api::Mount;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount as mount_call, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::trouble::{Trouble, named};

/// Bytes of options that mount(2) takes: a page, with its NUL.
const PAGE: usize = 4095;

/// Options that are flags of mount(2), and whether they are set or cleared.
const FLAGS: [(&str, MsFlags, bool); 24] = [
    ("async", MsFlags::MS_SYNCHRONOUS, false),
    ("atime", MsFlags::MS_NOATIME, false),
    ("bind", MsFlags::MS_BIND, true),
    ("defaults", MsFlags::empty(), true),
    ("dev", MsFlags::MS_NODEV, false),
    ("diratime", MsFlags::MS_NODIRATIME, false),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("mand", MsFlags::MS_MANDLOCK, true),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("nodev", MsFlags::MS_NODEV, true),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("nomand", MsFlags::MS_MANDLOCK, false),
    ("norelatime", MsFlags::MS_RELATIME, false),
    ("nostrictatime", MsFlags::MS_STRICTATIME, false),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("rbind", MsFlags::from_bits_truncate(nix::libc::MS_BIND | nix::libc::MS_REC), true),
    ("relatime", MsFlags::MS_RELATIME, true),
    ("ro", MsFlags::MS_RDONLY, true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("strictatime", MsFlags::MS_STRICTATIME, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("sync", MsFlags::MS_SYNCHRONOUS, true),
];

/// What mount(2) is called with.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    flags: MsFlags,
    data: String,
    /// Where it is called, if the options are too long with whole paths.
    dir: Option<String>,
}

/// Mounts all of them, each over those before, or none.
///
/// # Errors
/// What could not be mounted.
pub(crate) fn mount(target: &Path, mounts: &[Mount]) -> Result<(), Trouble> {
    for mount in mounts {
        if let Err(trouble) = one(target, mount) {
            return Err(trouble.and(unmount(target)));
        }
    }
    Ok(())
}

/// Takes away all that is mounted there. It is no error if nothing is.
pub(crate) fn unmount(target: &Path) -> Result<(), Trouble> {
    loop {
        match umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            // The former says that it is no mount.
            Err(Errno::EINVAL | Errno::ENOENT) => return Ok(()),
            Err(errno) => return named(Err(errno.into()), format_args!("umount {}", target.display())),
        }
    }
}

fn one(target: &Path, mount: &Mount) -> Result<(), Trouble> {
    if !mount.target.is_empty() {
        let text = format!("rootfs: a mount on {:?} within it is not supported", mount.target);
        return Err(Trouble::unimplemented(text));
    }
    let call = call(&mount.type_, &mount.options)?;
    let what = || {
        format!(
            "mount {} {:?} on {} (options {:?})",
            mount.type_,
            mount.source,
            target.display(),
            mount.options
        )
    };
    let done = match &call.dir {
        Some(dir) => inside(dir, || call.make(mount, target)),
        None => call.make(mount, target),
    };
    named(done.map_err(Into::into), what())
}

impl Call {
    fn make(&self, mount: &Mount, target: &Path) -> nix::Result<()> {
        let none: Option<&str> = None;
        let data = Some(self.data.as_str()).filter(|data| !data.is_empty());
        mount_call(Some(mount.source.as_str()), target, Some(mount.type_.as_str()), self.flags, data)?;
        let kinds = MsFlags::MS_BIND | MsFlags::MS_REC;
        let attributes = self.flags - kinds;
        if self.flags.contains(MsFlags::MS_BIND) && !attributes.is_empty() {
            // A bind takes its attributes by a second call.
            let flags = attributes | MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
            mount_call(none, target, none, flags, none)?;
        }
        Ok(())
    }
}

fn call(kind: &str, options: &[String]) -> Result<Call, Trouble> {
    let mut call = Call { flags: MsFlags::empty(), data: String::new(), dir: None };
    let mut data = Vec::new();
    for option in options {
        match FLAGS.iter().find(|(name, ..)| name == option) {
            Some((_, flags, set)) => call.flags.set(*flags, *set),
            None if option == "loop" => {
                return Err(Trouble::unimplemented("rootfs: the mount option loop is not supported"));
            }
            None => data.push(option.clone()),
        }
    }
    if kind == "bind" {
        call.flags |= MsFlags::MS_BIND;
    }
    if kind == "overlay" && length(&data) > PAGE {
        call.dir = shorten(&mut data);
    }
    if length(&data) > PAGE {
        let text = format!("rootfs: {} bytes of mount options, mount(2) takes {PAGE}", length(&data));
        return Err(Trouble::invalid(text));
    }
    call.data = data.join(",");
    Ok(call)
}

fn length(data: &[String]) -> usize {
    data.iter().map(|option| option.len() + 1).sum::<usize>().saturating_sub(1)
}

/// Names the lower directories of an overlay by paths below the directory that they have in common, which is returned.
fn shorten(data: &mut [String]) -> Option<String> {
    let lower = data.iter_mut().find(|option| option.starts_with("lowerdir="))?;
    let dirs: Vec<&str> = lower.strip_prefix("lowerdir=")?.split(':').collect();
    let first = dirs.first()?;
    let shared = dirs.iter().fold(first.len(), |shared, dir| {
        let same = first.bytes().zip(dir.bytes()).take_while(|(one, other)| one == other).count();
        shared.min(same)
    });
    let end = first.get(..shared)?.rfind('/')? + 1;
    let dir = first.get(..end)?.to_owned();
    let short: Option<Vec<&str>> =
        dirs.iter().map(|path| path.get(end..).filter(|rest| !rest.is_empty())).collect();
    *lower = format!("lowerdir={}", short?.join(":"));
    Some(dir)
}

/// Calls it in a directory, which becomes this thread's own; all others stay where they are.
#[allow(clippy::disallowed_methods, reason = "this thread has a working directory of its own")]
fn inside(dir: &str, call: impl FnOnce() -> nix::Result<()>) -> nix::Result<()> {
    unshare(CloneFlags::CLONE_FS)?;
    nix::unistd::chdir(dir)?;
    let done = call();
    // All paths of this program are absolute: where its threads stand means nothing, but that it may keep a mount busy.
    nix::unistd::chdir("/")?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_flags_or_of_the_filesystem() {
        let made = call("overlay", &words("ro nosuid index=off lowerdir=/a:/b")).ok();
        let wanted = Call {
            flags: MsFlags::MS_RDONLY | MsFlags::MS_NOSUID,
            data: "index=off,lowerdir=/a:/b".to_owned(),
            dir: None,
        };
        assert_eq!(made, Some(wanted));
        let rbind = call("bind", &words("rbind ro rw")).map(|call| call.flags).ok();
        assert_eq!(rbind, Some(MsFlags::MS_BIND | MsFlags::MS_REC));
        assert!(call("ext4", &words("loop")).is_err());
    }

    #[test]
    fn many_layers_are_named_below_their_directory() {
        let layer = |number| {
            format!("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/{number}/fs")
        };
        let layers: Vec<String> = (0..120).map(layer).collect();
        let options = vec!["workdir=/w".to_owned(), format!("lowerdir={}", layers.join(":"))];
        let made = call("overlay", &options).ok();
        let made = made.unwrap_or_else(|| Call { flags: MsFlags::empty(), data: String::new(), dir: None });
        assert_eq!(
            made.dir.as_deref(),
            Some("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/")
        );
        assert!(made.data.starts_with("workdir=/w,lowerdir=0/fs:1/fs:"), "{}", made.data);
        let apart = vec![format!("lowerdir={}:{}", "/a".repeat(1500), "b".repeat(1500))];
        assert!(call("overlay", &apart).is_err(), "nothing in common, and too long");
    }
}
