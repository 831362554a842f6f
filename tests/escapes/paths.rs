//! Paths that are looked up in a tree which somebody else controls (class 3).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libcontainer::mount::{DeviceNode, Mount, MountConfig};
use libcontainer::{ErrorKind, Factory, ProcessConfig};

use crate::{Attack, bind, tmpfs, with_mounts};

/// CVE-2026-41579, CVE-2023-27561, CVE-2019-19921: directories of the image are links.
#[test]
fn links_in_place_of_system_directories() {
    for name in ["dev", "proc", "sys"] {
        let Some(attack) = Attack::new(&format!("link-{name}")) else { return };
        attack.replace(name, &attack.canary);
        let error = attack.run("true").unwrap_err();
        assert!(matches!(error.errno(), Some(libc::ELOOP | libc::ENOTDIR | libc::EXDEV)), "{error}");
        attack.unharmed();
    }
}

/// CVE-2015-3629, CVE-2024-45310: destinations through links and `..` stay inside.
#[test]
fn destinations_stay_inside() {
    let Some(mut attack) = Attack::new("destinations") else { return };
    attack.replace("a", &attack.canary);
    let source = attack.place.join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("f"), "bound").unwrap();
    let up = "/../../../../../../../inside/dir";
    attack.config.mount_config = with_mounts(vec![bind(&source, up), bind(&source.join("f"), "/file/new")]);
    assert_eq!(attack.run("cat /inside/dir/f /file/new").unwrap(), "boundbound");
    attack.config.mount_config = with_mounts(vec![bind(&source, "/a/new/dir")]);
    let _ = attack.run("true");
    attack.unharmed();
    // Where the link's target is there outside and inside: it is the one inside that is mounted on.
    let both = attack.place.join("both");
    let inside = both.display().to_string();
    fs::create_dir(&both).unwrap();
    fs::create_dir_all(attack.rootfs(&inside[1..])).unwrap();
    attack.replace("b", &both);
    attack.config.mount_config = with_mounts(vec![bind(&source, "/b")]);
    assert_eq!(attack.run(&format!("cat {inside}/f")).unwrap(), "bound");
}

/// CVE-2019-16884, CVE-2015-3631: a directory of the host's bound over the procfs of a container, or in it, by name and by a link.
#[test]
fn a_bind_on_proc_is_refused() {
    let Some(mut attack) = Attack::new("bind-proc") else { return };
    let fake = attack.place.join("fake");
    fs::create_dir_all(fake.join("self/attr")).unwrap();
    for to in ["/proc", "/proc/", "/proc/self", "/proc/self/attr", "/proc/sys/kernel", "/a/../proc/./self"] {
        attack.config.mount_config = with_mounts(vec![bind(Path::new(&fake), to)]);
        let error = attack.run("true").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{to}: {error}");
        assert!(error.to_string().contains("inside /proc"), "{to}: {error}");
    }
}

/// CVE-2026-41579, CVE-2026-47766 and their kin: nodes in directories that the image has made links.
#[test]
fn nodes_are_made_inside() {
    let Some(mut attack) = Attack::new("nodes") else { return };
    let node = |path: &str| -> DeviceNode {
        let text =
            format!(r#"{{"type":"c","path":"{path}","major_number":1,"minor_number":3,"file_mode":438}}"#);
        serde_json::from_str(&text).unwrap()
    };
    for name in ["sub", "dev"] {
        attack.replace(name, &attack.canary);
    }
    // Without a `/dev` of ours its links and terminal are nobody's business.
    for (bare, paths) in [(true, ["/dev/ptmx", "/dev/sub/x"]), (true, ["/sub/ptmx", "/sub/new/x"])] {
        let nodes = paths.iter().map(|path| node(path)).collect();
        *attack.mounts() = MountConfig { bare, device_nodes: nodes, ..MountConfig::default() };
        attack.config.restrict_sys = false;
        let _ = attack.run("true");
        attack.unharmed();
    }
    // What the image calls its terminal.
    attack.mounts().device_nodes.clear();
    let process = ProcessConfig { terminal: true, ..ProcessConfig::new(["true"]) };
    let started = Factory::new().unwrap().run(attack.place.join("c"), &attack.config, process);
    assert!(started.is_err());
    attack.unharmed();
    // With one, in a directory beside it.
    attack.config.restrict_sys = true;
    fs::remove_file(attack.rootfs("dev")).unwrap();
    fs::create_dir(attack.rootfs("dev")).unwrap();
    attack.config.mount_config = None;
    attack.mounts().device_nodes = vec![node("/dev/deep/x"), node("/sub/ptmx"), node("/sub/deep/x")];
    let inside = format!("stat -c %t:%T /dev/deep/x {0}/ptmx {0}/deep/x", attack.canary.display());
    assert_eq!(attack.run(&inside).unwrap(), "1:3\n1:3\n1:3\n");
    attack.unharmed();
}

/// bubblewrap CVE-2026-87766: places below links of a volume that name the host's tree or a process's own. The old root has no name here.
#[test]
fn what_is_made_below_a_volume_stays_inside() {
    let Some(mut attack) = Attack::new("below-volume") else { return };
    let volume = attack.place.join("volume");
    fs::create_dir(&volume).unwrap();
    let canary = attack.canary.display().to_string();
    let below = |root: &str| format!("{root}{canary}");
    let links = [
        ("absolute", canary.clone()),
        ("up", below("../../../../../../../../..")),
        ("init", below("/proc/1/root")),
        ("self", below("/proc/self/root")),
        ("cwd", below("/proc/self/cwd/../../../../../..")),
        ("dot", "/proc/self/fd/3/../../../..".to_owned() + &canary),
        ("file", format!("{canary}/made")),
    ];
    for (name, target) in &links {
        symlink(target, volume.join(name)).unwrap();
    }
    for (name, _) in &links {
        let deep = format!("/volume/{name}/new/deep");
        for mount in [bind(Path::new("/etc/passwd"), &deep), tmpfs(&deep), bind(Path::new("/etc"), &deep)] {
            let volume = Mount { writable: true, ..bind(&volume, "/volume") };
            attack.config.mount_config = with_mounts(vec![volume, mount]);
            // It may be refused, or be made where the link leads inside.
            let _ = attack.run("true");
            attack.unharmed();
        }
    }
}

/// crun CVE-2025-24965: whatever an engine might write into an image lies there as a link, or as a file of the image's own.
#[test]
fn files_of_the_image_are_not_written_to() {
    const NAMES: [&str; 12] = [
        "etc/mtab",
        "etc/hosts",
        "etc/hostname",
        "etc/resolv.conf",
        ".dockerenv",
        "run/.containerenv",
        ".krun_config.json",
        ".old_root",
        ".pivot_root",
        "etc/localtime",
        "state.json",
        "container.json",
    ];
    let Some(mut attack) = Attack::new("written") else { return };
    fs::create_dir(attack.rootfs("run")).unwrap();
    attack.config.domainname = "domain".into();
    attack.config.sysctl.insert("kernel.msgmax".into(), "4097".into());
    for link in [true, false] {
        for name in NAMES {
            let _ = fs::remove_file(attack.rootfs(name));
            if link {
                attack.replace(name, &attack.canary.join("ptmx"));
            } else {
                fs::write(attack.rootfs(name), name).unwrap();
            }
        }
        let before = tree(&attack.config.rootfs);
        let container = attack.create();
        for terminal in [false, true] {
            let process = ProcessConfig { terminal, ..ProcessConfig::new(["true"]) };
            container.start(process).unwrap().wait().unwrap();
        }
        container.destroy().unwrap();
        attack.run("true").unwrap();
        assert_eq!(tree(&attack.config.rootfs), before);
        attack.unharmed();
    }
}

/// All names below a directory, with what files hold and where links lead.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let (path, kind) = {
            let entry = entry.unwrap();
            (entry.path(), entry.file_type().unwrap())
        };
        let holds = if kind.is_dir() {
            all.extend(tree(&path));
            Vec::new()
        } else if kind.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            fs::read(&path).unwrap()
        };
        all.insert(path, holds);
    }
    all
}

/// CVE-2025-52881: a kernel setting is written where it belongs, whatever the image has, or mounts, in place of `/proc`.
#[test]
fn settings_are_written_to_a_procfs_of_the_inits_own() {
    let Some(mut attack) = Attack::new("sysctl") else { return };
    let fake = attack.place.join("fake");
    fs::create_dir_all(fake.join("sys/kernel")).unwrap();
    fs::write(fake.join("sys/kernel/msgmax"), "alive").unwrap();
    fs::create_dir_all(attack.rootfs("proc/sys")).unwrap();
    symlink(&attack.canary, attack.rootfs("proc/sys/kernel")).unwrap();
    attack.config.sysctl.insert("kernel.msgmax".into(), "4097".into());
    assert_eq!(attack.run("cat /proc/sys/kernel/msgmax").unwrap(), "4097\n");
    // By a link of the image, since it is refused by name: what lies over the real one afterwards is not written to.
    attack.replace("p", Path::new("/proc"));
    let over = bind(&fake.join("sys/kernel/msgmax"), "/p/sys/kernel/msgmax");
    attack.config.mount_config = with_mounts(vec![Mount { writable: true, ..over }]);
    assert_eq!(attack.run("cat /proc/sys/kernel/msgmax").unwrap(), "alive");
    assert_eq!(fs::read_to_string(fake.join("sys/kernel/msgmax")).unwrap(), "alive");
    attack.unharmed();
}
