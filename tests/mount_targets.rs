//! Places of mounts that are missing, or behind links: whatever is mounted or made there, it is made where the link leads, inside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use libcontainer::mount::{DeviceNode, IdMapping, Mount, MountConfig};
use libcontainer::{Config, Factory, Namespace, NamespaceKind, ProcessConfig};
use libcontainer_tests::{Place, able, config, text};

#[path = "mount_targets/masks.rs"]
mod masks;

struct Case {
    place: Place,
    factory: Factory,
    config: Config,
    mounts: MountConfig,
    /// What the program says if all is well.
    script: String,
    wanted: String,
}

/// Links in the rootfs, the path of the config, and where it leads.
type Way = (&'static [(&'static str, &'static str)], &'static str, &'static str);

const WAYS: [Way; 10] = [
    (&[], "/new/deep", "/new/deep"),
    (&[("l", "x/y")], "/l", "/x/y"),
    (&[("l", "/x/y")], "/l", "/x/y"),
    (&[("l", "../../../x/y")], "/l", "/x/y"),
    (&[("etc/l", "../run/./x//y")], "/etc/l", "/run/x/y"),
    (&[("m", "x")], "/m/y", "/x/y"),
    (&[("l", "k"), ("k", "etc/m"), ("etc/m", "/x/../y")], "/l", "/y"),
    (&[("home/u/l", "..")], "/home/u/l/y", "/home/y"),
    // A path of the host, where there is a directory of that name.
    (&[("l", "/var/tmp/lct-inside/y")], "/l", "/var/tmp/lct-inside/y"),
    // In a filesystem that the same config mounts before.
    (&[("l", "/early/x/y")], "/l", "/early/x/y"),
];

/// What is put at a place: fills in the config, and says what the program is to find.
type Put = fn(&mut Case, path: &str, place: &str);

const PUTS: [(&str, bool, Put); 10] = [
    ("bound-file", true, |case, path, place| {
        let source = case.source();
        case.mount("bind", &source.join("f"), path, &["bind"], place);
    }),
    ("bound-directory", false, |case, path, place| {
        let source = case.source();
        case.mount("bind", &source, path, &["rbind"], place);
    }),
    ("tmpfs", false, |case, path, place| case.mount("tmpfs", Path::new("tmpfs"), path, &[], place)),
    ("copied-up", false, |case, path, place| {
        case.mount("tmpfs", Path::new("tmpfs"), path, &["tmpcopyup"], place);
    }),
    ("mqueue", false, |case, path, place| case.mount("mqueue", Path::new("mqueue"), path, &[], place)),
    ("idmapped", false, |case, path, place| {
        let source = case.source();
        case.mount("bind", &source, path, &["idmap"], place);
        let map = vec![IdMapping { container_id: 0, host_id: 1000, size: 1 }];
        let mount = case.mounts.mounts.last_mut().unwrap();
        (mount.uid_mappings, mount.gid_mappings) = (map.clone(), map);
    }),
    ("copied-link", false, |case, path, place| {
        let link = case.source().join("link");
        symlink("there", &link).unwrap();
        case.mount("bind", &link, &format!("{path}/z"), &["copy-symlink"], place);
        case.finds(&format!("readlink {place}/z"), "there\n");
    }),
    ("node", false, |case, path, place| {
        case.node(&format!("{path}/z"));
        case.finds(&format!("stat -c %F,%t:%T {place}/z"), "character special file,1:3\n");
    }),
    ("working-directory", false, |case, path, place| {
        case.config.working_dir = path.into();
        case.finds("pwd", &format!("{place}\n"));
    }),
    ("working-directory-of-a-user", false, |case, path, place| {
        case.user_namespace();
        case.config.working_dir = path.into();
        case.finds("pwd", &format!("{place}\n"));
    }),
];

impl Case {
    fn new(name: &str, links: &[(&str, &str)]) -> Self {
        let place = Place::new(name);
        let config = config(&place.rootfs().unwrap());
        let early = Mount { kind: "tmpfs".into(), destination: "/early".into(), ..Mount::default() };
        let mounts = MountConfig { mounts: vec![early], ..MountConfig::default() };
        let (script, wanted) = (String::new(), String::new());
        let factory = Factory::new().unwrap();
        let case = Self { place, factory, config, mounts, script, wanted };
        for (link, target) in links {
            symlink(target, case.rootfs(link)).unwrap();
        }
        case
    }

    fn rootfs(&self, name: &str) -> PathBuf {
        self.config.rootfs.join(name.trim_start_matches('/'))
    }

    fn source(&self) -> PathBuf {
        let source = self.place.join("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("f"), "bound").unwrap();
        source
    }

    fn finds(&mut self, script: &str, wanted: &str) {
        (self.script, self.wanted) = (script.into(), wanted.into());
    }

    fn mount(&mut self, kind: &str, source: &Path, to: &str, options: &[&str], place: &str) {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let (kind, source, destination) = (kind.into(), source.into(), to.into());
        self.mounts.mounts.push(Mount { kind, source, destination, options, ..Mount::default() });
        self.finds(&format!("grep -c ' {place} ' /proc/self/mountinfo"), "1\n");
    }

    fn node(&mut self, path: &str) {
        let node = r#"{"type":"c","path":"","major_number":1,"minor_number":3,"file_mode":438}"#;
        let node: DeviceNode = serde_json::from_str(node).unwrap();
        self.mounts.device_nodes = vec![DeviceNode { path: path.into(), ..node }];
    }

    fn user_namespace(&mut self) {
        let map = vec![IdMapping { container_id: 0, host_id: 0, size: 65_536 }];
        self.config.namespaces.set(NamespaceKind::User, Namespace::New);
        (self.config.uid_mappings, self.config.gid_mappings) = (map.clone(), map);
    }

    fn run(&mut self) -> libcontainer::Result<String> {
        self.config.mount_config = Some(self.mounts.clone());
        let process = ProcessConfig::new(["sh", "-c", &self.script]).piped();
        let (container, process) = self.factory.run(self.place.join("c"), &self.config, process)?;
        let found = text(&process.output(1 << 16)?);
        container.destroy()?;
        Ok(found)
    }

    /// A bind of a file on `path`.
    fn run_file(&mut self, path: &str) -> libcontainer::Result<String> {
        fs::write(self.place.join("file"), "bound").unwrap();
        self.mounts.mounts.truncate(1);
        self.mount("bind", &self.place.join("file"), path, &["bind"], path);
        self.finds(&format!("cat {path}"), "");
        self.run()
    }
}

/// All names below `dir`, sorted.
fn names(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            all.extend(names(&entry.path()));
        }
        all.push(entry.path());
    }
    all.sort();
    all
}

#[test]
fn everything_at_every_kind_of_place() {
    if !able("everything_at_every_kind_of_place") {
        return;
    }
    let outside = Path::new("/var/tmp/lct-inside");
    let _ = fs::create_dir(outside);
    for (name, file, put) in PUTS {
        for (number, (links, path, place)) in WAYS.into_iter().enumerate() {
            let mut case = Case::new(&format!("target-{name}"), links);
            put(&mut case, path, place);
            let found = case.run();
            assert_eq!(found.as_deref().map_err(ToString::to_string), Ok(&*case.wanted), "{name} {number}");
            made(&case, place, file, &format!("{name} {number}"));
            // The second time it is there.
            if number < 3 {
                assert_eq!(case.run().unwrap(), case.wanted, "{name} {number} again");
            }
        }
    }
    assert_eq!(names(outside), [""; 0].map(PathBuf::from), "made outside");
    fs::remove_dir(outside).unwrap();
}

/// As the host sees it: what was missing is a directory or an empty file of root with usual permission bits.
fn made(case: &Case, place: &str, file: bool, name: &str) {
    let at = case.rootfs(place);
    if place.starts_with("/early") {
        assert_eq!(names(&case.rootfs("early")), [""; 0].map(PathBuf::from), "{name}");
        return;
    }
    let seen = fs::symlink_metadata(&at).unwrap_or_else(|error| panic!("{name}: {}: {error}", at.display()));
    let wanted = if file { 0o100_644 } else { 0o040_755 };
    assert_eq!((seen.mode(), seen.uid()), (wanted, 0), "{name}");
    let parent = fs::metadata(at.parent().unwrap()).unwrap();
    assert_eq!(parent.mode(), 0o040_755, "{name}");
}

#[test]
fn the_link_of_a_usual_image() {
    if !able("the_link_of_a_usual_image") {
        return;
    }
    let link = ("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf");
    let mut case = Case::new("resolv", &[link]);
    assert_eq!(case.run_file("/etc/resolv.conf").unwrap(), "bound");
    // A link stays a link, and leads to what was bound.
    assert_eq!(fs::read_link(case.rootfs("etc/resolv.conf")).unwrap(), Path::new(link.1));
    assert_eq!(fs::read(case.rootfs("run/systemd/resolve/stub-resolv.conf")).unwrap(), b"");
    // With the directories on a filesystem that is mounted before.
    let run = Mount { kind: "tmpfs".into(), destination: "/run".into(), ..Mount::default() };
    fs::remove_dir_all(case.rootfs("run/systemd")).unwrap();
    case.mounts.mounts[0] = run;
    assert_eq!(case.run_file("/etc/resolv.conf").unwrap(), "bound");
    assert_eq!(names(&case.rootfs("run")), [""; 0].map(PathBuf::from));
}

#[test]
fn places_that_can_not_be() {
    if !able("places_that_can_not_be") {
        return;
    }
    let chain: Vec<_> = (0..41).map(|number| (format!("c{number}"), format!("c{}", number + 1))).collect();
    let mut links: Vec<_> = chain.iter().map(|(link, target)| (link.as_str(), target.as_str())).collect();
    links.extend([
        ("own", "own"),
        ("there", "back"),
        ("back", "there"),
        ("dir", "/home"),
        ("way", "etc/passwd/x"),
    ]);
    let mut case = Case::new("target-wrong", &links);
    let before = names(&case.config.rootfs);
    for (path, errno, name) in [
        ("/own", libc::ELOOP, "ELOOP"),
        ("/own/x", libc::ELOOP, "ELOOP"),
        ("/back", libc::ELOOP, "ELOOP"),
        ("/c0", libc::ELOOP, "ELOOP"),
        ("/dir", libc::EISDIR, "EISDIR"),
        ("/home", libc::EISDIR, "EISDIR"),
        ("/way", libc::ENOTDIR, "ENOTDIR"),
        ("/etc/passwd/x", libc::ENOTDIR, "ENOTDIR"),
    ] {
        let error = case.run_file(path).unwrap_err();
        assert_eq!(error.errno(), Some(errno), "{path}: {error}");
        let text = error.to_string();
        assert!(text.contains(&format!("on {path}: openat2(")) && text.contains(name), "{text}");
    }
    let mut after = names(&case.config.rootfs);
    after.retain(|path| *path != case.rootfs("early"));
    assert_eq!(after, before, "something was made");
    // KERNEL: a look-up that is begun anew, as something was renamed or mounted meanwhile, goes on counting its links.
    let bound = |_| case.run_file("/c1").is_ok_and(|found| found == "bound");
    assert!((0..10).any(bound), "40 links");
    case.finds("true", "");
    for (path, errno) in
        [("/etc/passwd", libc::ENOTDIR), ("/own", libc::ELOOP), ("/proc/self/cwd", libc::ELOOP)]
    {
        case.mounts.mounts.truncate(1);
        case.config.working_dir = path.into();
        let error = case.run().unwrap_err();
        assert_eq!(error.errno(), Some(errno), "{path}: {error}");
        assert!(error.to_string().contains("make the working directory"), "{error}");
    }
}

/// In a user namespace the host's node is bound, on the path that it has there.
#[test]
fn a_node_that_is_bound() {
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    if !able("a_node_that_is_bound") {
        return;
    }
    let mut case = Case::new("target-bound-node", &[]);
    let node = case.place.join("node");
    mknod(&node, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).unwrap();
    // The first name of the path is a link inside.
    let top = node.iter().nth(1).unwrap().to_str().unwrap();
    let _ = fs::remove_dir(case.rootfs(top));
    symlink("/var/../x", case.rootfs(top)).unwrap();
    case.user_namespace();
    case.node(&node.display().to_string());
    case.finds(&format!("stat -c %F,%t:%T {}", node.display()), "character special file,1:3\n");
    assert_eq!(case.run().unwrap(), case.wanted);
    made(&case, &node.display().to_string().replacen(top, "x", 1), true, "node");
}

/// The kernel can't tell whether `..` stays inside while anything anywhere is renamed, and says `EAGAIN`: it is asked again.
#[test]
fn starts_beside_renames() {
    use std::sync::atomic::{AtomicBool, Ordering};
    if !able("starts_beside_renames") {
        return;
    }
    let links = [("etc/l", "../run/x"), ("etc/passwd", "../passwd"), ("etc/m", "../home/../etc/secret")];
    let mut case = Case::new("target-renames", &[]);
    fs::rename(case.rootfs("etc/passwd"), case.rootfs("passwd")).unwrap();
    links.iter().for_each(|(link, target)| symlink(target, case.rootfs(link)).unwrap());
    fs::write(case.rootfs("etc/secret"), "secret").unwrap();
    case.mounts.masked_paths = vec!["/etc/m".into()];
    case.config.user = "u".into();
    let beside = case.place.join("beside");
    fs::create_dir(&beside).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            fs::write(beside.join("a"), "").unwrap();
            while !stop.load(Ordering::Relaxed) {
                fs::rename(beside.join("a"), beside.join("b")).unwrap();
                fs::rename(beside.join("b"), beside.join("a")).unwrap();
            }
        });
        let results: Vec<_> =
            (0..40).map(|_| case.run_file("/etc/l").map_err(|error| error.to_string())).collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(results, vec![Ok("bound".to_owned()); 40]);
    });
}

/// A directory that is closed to root of the user namespace is not looked for by it: the program's user enters it.
#[test]
fn a_working_directory_of_another_user() {
    if !able("a_working_directory_of_another_user") {
        return;
    }
    let mut case = Case::new("target-closed", &[]);
    let closed = case.rootfs("closed/dir");
    fs::create_dir_all(&closed).unwrap();
    case.user_namespace();
    for maps in [&mut case.config.uid_mappings, &mut case.config.gid_mappings] {
        *maps = vec![IdMapping { container_id: 0, host_id: 100_000, size: 2000 }];
    }
    // Of an id without a mapping: capabilities don't reach it; its group's members may enter.
    use std::os::unix::fs::{PermissionsExt, chown};
    chown(case.rootfs("closed"), Some(5), Some(101_100)).unwrap();
    fs::set_permissions(case.rootfs("closed"), fs::Permissions::from_mode(0o070)).unwrap();
    fs::set_permissions(case.place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    case.config.user = "1000:1100".into();
    case.config.working_dir = "/closed/dir".into();
    case.finds("pwd", "");
    // Places of mounts must be there: the rootfs is not the namespace's.
    for name in ["early", "dev", "proc", "sys"] {
        let _ = fs::create_dir(case.rootfs(name));
    }
    assert_eq!(case.run().unwrap(), "/closed/dir\n");
}
