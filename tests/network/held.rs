//! The mark beside a network namespace that is kept, for who does not see the mount.

use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use libcontainer::network::netlink::Netlink;
use libcontainer::network::netlink::faults::{Fault, inject};
use libcontainer::plan::{Fault as StepFault, Lane};
use libcontainer::{Config, Factory};
use libcontainer_tests::Place;
use nix::mount::{MsFlags, mount};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::device::{device, network};
use super::host::{networked, on_a_host, rootfs};

/// A create that fails behind the move of its device, and `staged` is done there; no call on a socket gets through from then on.
fn fails(at: &Path, config: &Config, staged: impl Fn() + Send + Sync + 'static) -> String {
    let plan = Factory::new().unwrap().explain(config, None).unwrap();
    let moved = plan.steps(Lane::Host).find(|step| step.call.starts_with("move dev0")).unwrap().index;
    let is_moved = Arc::new(AtomicBool::new(false));
    let moves = Arc::clone(&is_moved);
    let _injected = inject(move |_| is_moved.load(Ordering::Relaxed).then_some(Fault::Refused(libc::EPERM)));
    let factory = Factory::new()
        .unwrap()
        .observe(move |step| {
            if step == moved {
                staged();
                moves.store(true, Ordering::Relaxed);
            }
        })
        .inject(StepFault { lane: Lane::Host, step: moved + 1, errno: libc::EIO });
    factory.create(at, config).unwrap_err().to_string()
}

/// A directory with few inodes, in a mount namespace of this thread's that ends with it.
fn small(place: &Place) -> PathBuf {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let path = place.join("small");
    fs::create_dir(&path).unwrap();
    mount(Some("small"), &path, Some("tmpfs"), MsFlags::empty(), Some("mode=700,nr_inodes=64")).unwrap();
    path
}

/// Uses up all inodes but one.
fn fill(dir: &Path) {
    fs::create_dir(dir).unwrap();
    let file = |number: usize| dir.join(number.to_string());
    let full = (0..64).find(|number| File::create(file(*number)).is_err()).unwrap();
    fs::remove_file(file(full - 1)).unwrap();
}

#[test]
fn a_namespace_that_others_can_not_be_told_of_is_kept_and_said() {
    on_a_host("held-unmarked", |place| {
        device();
        let config = networked(&rootfs(place), vec![network("net0")]);
        let small = small(place);
        let (at, filled) = (small.join("c"), small.join("filled"));
        let fills = filled.clone();
        let text = fails(&at, &config, move || fill(&fills));
        let mark = at.join("netns.mounted");
        let wanted = format!(
            "is kept at {}, and destroy brings the device home: from this mount namespace alone, as others can't be told of it: \
             make {}: ENOSPC: No space left on device",
            at.join("netns").display(),
            mark.display()
        );
        assert!(text.contains(&wanted) && !mark.exists(), "{text}");
        fs::remove_dir_all(filled).unwrap();
        Factory::new().unwrap().destroy(&at).unwrap();
        Netlink::open().unwrap().link("dev0").unwrap();
        assert!(!at.exists());
    });
}

/// What happens to files of that name, as far as it is read.
fn events(of: &str, read: &File) -> Vec<ReadFlags> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(read, &mut buffer);
    let mut found = Vec::new();
    while let Ok(event) = reader.next() {
        if event.file_name().is_some_and(|name| name.to_bytes() == of.as_bytes()) {
            found.push(event.events());
        }
    }
    found
}

/// Who is killed between the two must have told of the mount.
#[test]
fn the_mark_is_made_before_the_mount_and_goes_if_that_fails() {
    on_a_host("held-order", |place| {
        device();
        let config = networked(&rootfs(place), vec![network("net0")]);
        let at = place.join("c");
        let watch = File::from(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap());
        let watched = Mutex::new(watch.try_clone().unwrap());
        let dir = at.clone();
        // Nothing of another type is mounted on a directory.
        let text = fails(&at, &config, move || {
            fs::create_dir(dir.join("netns")).unwrap();
            let watch = watched.lock().unwrap();
            inotify::add_watch(&*watch, &dir, WatchFlags::CREATE | WatchFlags::DELETE).unwrap();
        });
        let wanted = format!(
            "a virtual device is lost with its network namespace: keep the network namespace at {}: ENOTDIR: Not a directory",
            at.join("netns").display()
        );
        assert!(text.contains(&wanted), "{text}");
        let found = events("netns.mounted", &watch);
        assert!(
            found.chunks_exact(2).all(|pair| pair == [ReadFlags::CREATE, ReadFlags::DELETE]),
            "{found:?}"
        );
        assert!(!found.is_empty() && found.len() % 2 == 0, "{found:?}");
        fs::remove_dir(at.join("netns")).unwrap();
        Factory::new().unwrap().destroy(&at).unwrap();
        assert!(!at.exists());
    });
}
