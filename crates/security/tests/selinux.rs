//! SELinux where there is none: trees are labelled, as any filesystem with attributes takes them, and levels are reserved by many at once.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic outside of its own function"
)]

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use libcontainer_plan::Seen;
use libcontainer_security::selinux::{
    Context, Level, Levels, Relabel, SelinuxError, Standing, file_label, set_file_label,
};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

/// Notes that a test does not run, and why: on standard error, and in the file that counts skips.
fn skip(name: &str, reason: &str) {
    let line = format!("{name}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("SKIP: {line}").as_bytes());
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// A directory that can be labelled with anything: attributes of security modules that are off take any bytes from root.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skip(name, "needs root to set attributes of security modules");
            return None;
        }
        if Standing::current().unwrap().is_on() {
            skip(name, "SELinux is on, and its policy may not have the labels of this test");
            return None;
        }
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("tree")).unwrap();
        Some(Self(path))
    }

    fn tree(&self, name: &str) -> PathBuf {
        self.0.join("tree").join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn label(level: &str) -> Context {
    format!("system_u:object_r:container_file_t:{level}").parse().unwrap()
}

/// Without following a link, and without opening anything.
fn path_only(path: &Path) -> OwnedFd {
    nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW, Mode::empty()).unwrap()
}

fn found(path: &Path) -> String {
    file_label(path_only(path)).unwrap().map(|label| label.to_string()).unwrap_or_default()
}

#[test]
fn descriptors_of_every_sort_are_labelled() {
    let Some(place) = Place::new("selinux-file") else { return };
    fs::write(place.tree("file"), "").unwrap();
    symlink("file", place.tree("link")).unwrap();
    nix::unistd::mkfifo(&place.tree("fifo"), Mode::S_IRWXU).unwrap();
    assert_eq!(found(&place.tree("file")), "");
    set_file_label(File::open(place.tree("file")).unwrap(), &label("s0:c1,c2")).unwrap();
    set_file_label(path_only(&place.tree("link")), &label("s0:c3,c4")).unwrap();
    set_file_label(path_only(&place.tree("fifo")), &label("s0:c5,c6")).unwrap();
    for (name, level) in [("file", "s0:c1,c2"), ("link", "s0:c3,c4"), ("fifo", "s0:c5,c6")] {
        assert_eq!(found(&place.tree(name)), label(level).to_string(), "{name}");
    }
    let open = File::open(place.tree("file")).unwrap();
    assert_eq!(file_label(&open).unwrap(), Some(label("s0:c1,c2")));
    // A label that is none is no label that is missing.
    nix_setxattr(&place.tree("file"), "broken");
    assert!(matches!(file_label(&open), Err(SelinuxError::Context(_))));
    let error = file_label(File::open("/proc/self/status").unwrap()).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EOPNOTSUPP), "{error}");
}

fn nix_setxattr(path: &Path, value: &str) {
    rustix::fs::setxattr(path, "security.selinux", value.as_bytes(), rustix::fs::XattrFlags::empty())
        .unwrap();
}

#[test]
fn trees_are_relabelled_and_links_lead_nowhere() {
    let Some(place) = Place::new("selinux-tree") else { return };
    let deep = place.tree(&"d/".repeat(300));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "").unwrap();
    fs::write(place.0.join("outside"), "").unwrap();
    fs::create_dir(place.0.join("outside.d")).unwrap();
    fs::write(place.0.join("outside.d/file"), "").unwrap();
    symlink("../outside", place.tree("link")).unwrap();
    symlink("../outside.d", place.tree("link.d")).unwrap();
    let private = Relabel::of("Z", label("s0:c1,c2")).unwrap();
    let root = place.0.join("tree");
    // The root, 300 directories, a file, two links.
    assert_eq!(private.run(&root), Ok(304));
    assert_eq!(private.run(&root), Ok(0), "all are right");
    for path in [root.clone(), deep.join("file"), place.tree("link"), place.tree("link.d")] {
        assert_eq!(found(&path), label("s0:c1,c2").to_string(), "{}", path.display());
    }
    for outside in ["outside", "outside.d", "outside.d/file"] {
        assert_eq!(found(&place.0.join(outside)), "", "{outside}");
    }
    let shared = Relabel::of("z", label("s0:c1,c2")).unwrap();
    assert_eq!(shared.run(&root), Ok(304));
    assert_eq!(found(&deep.join("file")), label("s0").to_string());
    // A link as the tree is followed, as by a bind, unless told otherwise.
    assert_eq!(private.run(&place.tree("link.d")), Ok(2));
    let itself = Relabel { nofollow: true, ..private.clone() };
    assert_eq!(itself.run(&place.tree("link.d")), Ok(1));
    assert_eq!(private.run(&place.0.join("missing")).unwrap_err().errno(), Some(libc::ENOENT));
    assert_eq!(Relabel::of("x", label("s0")), None);
}

#[test]
fn what_the_system_depends_on_is_refused_by_every_name() {
    let Some(place) = Place::new("selinux-protected") else { return };
    let relabel = Relabel::of("Z", label("s0:c1,c2")).unwrap();
    symlink("/etc", place.tree("etc")).unwrap();
    symlink("/usr/bin", place.tree("bin")).unwrap();
    for path in
        ["/", "/etc", "/etc/.", "//usr", "/usr/bin", "/home/../etc", "/proc/self", "/tmp", "/etc/passwd"]
    {
        let error = relabel.check(Path::new(path)).unwrap_err();
        assert!(matches!(error, SelinuxError::Protected { .. }), "{path}: {error}");
        assert_eq!(relabel.run(Path::new(path)), Err(error), "{path}");
    }
    for name in ["etc", "bin"] {
        assert!(matches!(relabel.run(&place.tree(name)), Err(SelinuxError::Protected { .. })), "{name}");
    }
    assert_eq!(relabel.check(&place.0), Ok(()));
    assert_eq!(found(Path::new("/etc")), "");
}

#[test]
fn what_was_replaced_is_not_relabelled() {
    use std::os::unix::fs::MetadataExt;
    let Some(place) = Place::new("selinux-replaced") else { return };
    let (shared, other) = (place.0.join("shared"), place.0.join("other"));
    fs::create_dir(&shared).unwrap();
    fs::create_dir(&other).unwrap();
    let data = fs::metadata(&shared).unwrap();
    let seen = Seen { device: data.dev(), inode: data.ino(), kind: data.mode() & 0o170_000 };
    let relabel = Relabel { seen: Some(seen), ..Relabel::of("Z", label("s0:c1,c2")).unwrap() };
    assert_eq!(relabel.run(&shared), Ok(1));
    fs::rename(&shared, place.0.join("aside")).unwrap();
    symlink(&other, &shared).unwrap();
    let error = relabel.run(&shared).unwrap_err();
    assert!(matches!(error, SelinuxError::Replaced { .. }), "{error}");
    assert_eq!(found(&other), "");
}

/// Threads swap a directory for a link to one outside while the tree is relabelled.
#[test]
fn a_tree_that_changes_is_never_left() {
    let Some(place) = Place::new("selinux-race") else { return };
    let (outside, tree) = (place.0.join("outside"), place.0.join("tree"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "").unwrap();
    for name in ["a", "b"] {
        fs::create_dir_all(tree.join(name).join("x")).unwrap();
        fs::write(tree.join(name).join("x/victim"), "").unwrap();
    }
    symlink(&outside, tree.join("l")).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (dir, link) = (tree.join("a/x"), tree.join("l"));
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(rustix::fs::CWD, &dir, rustix::fs::CWD, &link, flags).unwrap();
            }
        });
        // Also when this panics: else the other thread goes on for ever.
        let _stop = Stop(&stop);
        for round in 0..3000 {
            let relabel = Relabel::of("Z", label(&format!("s0:c{},c1000", round % 1000))).unwrap();
            relabel.run(&tree).unwrap();
        }
    });
    assert_eq!((found(&outside), found(&outside.join("victim"))), (String::new(), String::new()));
}

struct Stop<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

const MEMBER: &str = "LIBCONTAINER_TEST_MCS";

/// Not a test of its own: what the next one starts many times.
#[test]
fn reserve_for_another_test() {
    let Some(dir) = std::env::var_os(MEMBER) else { return };
    let levels = Levels::new(dir).categories(46);
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..50).map(|_| scope.spawn(|| levels.reserve().unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut text = String::new();
    all.iter().for_each(|reserved| text.push_str(&format!("level {}\n", reserved.level())));
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    std::io::stdout().write_all(b"held\n").unwrap();
    // Until the other end is closed, or this is killed.
    let _ = std::io::stdin().read(&mut [0]);
}

fn member(dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "reserve_for_another_test", "--nocapture"]).env(MEMBER, dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// What it reserved, as soon as it has.
fn reserved(child: &mut Child) -> Vec<Level> {
    let mut text = Vec::new();
    let output = child.stdout.as_mut().unwrap();
    while !text.ends_with(b"held\n") {
        let mut byte = [0];
        assert_eq!(output.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap();
    let levels = text.lines().filter_map(|line| line.rsplit_once("level ").map(|(_, level)| level));
    levels.map(|level| level.parse().unwrap()).collect()
}

/// 20 processes with 50 threads each, of 46 categories: 1,000 of 1,035 pairs. Then all are killed, and every pair is free.
#[test]
fn a_thousand_in_many_processes_have_a_thousand_levels() {
    let dir = std::env::temp_dir().join(format!("selinux-mcs-{}", std::process::id()));
    let mut children: Vec<_> = (0..20).map(|_| member(&dir)).collect();
    let all: Vec<_> = children.iter_mut().flat_map(reserved).collect();
    let different: HashSet<_> = all.iter().collect();
    assert_eq!((all.len(), different.len()), (1000, 1000));
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let levels = Levels::new(&dir).categories(46);
    let again: Vec<_> = (0..1035).map(|_| levels.reserve().unwrap()).collect();
    for reserved in again {
        reserved.release().unwrap();
    }
    let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
    fs::remove_dir_all(dir).unwrap();
}
