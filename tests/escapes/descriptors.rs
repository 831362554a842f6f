//! Descriptors and working directories that survive into the program (class 2).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libcontainer::mount::{Mount, MountConfig};
use libcontainer::{Factory, Namespace, NamespaceKind, ProcessConfig, Stdio};

use crate::{Attack, caller, sh};

/// CVE-2024-21626: a working directory through a descriptor, or outside of the root.
#[test]
fn working_directories_are_inside() {
    let Some(mut attack) = Attack::new("cwd") else { return };
    for number in 0..24 {
        attack.config.working_dir = format!("/proc/self/fd/{number}").into();
        assert!(attack.run("pwd; ls").is_err(), "descriptor {number}");
    }
    // The image may lead there by a link of its own.
    for number in 0..24 {
        attack.replace("way", Path::new(&format!("/proc/self/fd/{number}")));
        attack.config.working_dir = "/way".into();
        assert!(attack.run("pwd; ls").is_err(), "link to descriptor {number}");
    }
    attack.config.working_dir = "/etc/passwd".into();
    assert_eq!(attack.run("true").unwrap_err().errno(), Some(libc::ENOTDIR));
}

/// CVE-2024-21626: a further process whose directory or program lies behind one of the init's descriptors.
#[test]
fn joins_through_descriptors_stay_inside() {
    let Some(attack) = Attack::new("join-fd") else { return };
    fs::copy(attack.rootfs("bin/busybox"), attack.canary.join("evil")).unwrap();
    let container = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap();
    let host = std::env::current_dir().unwrap();
    for number in 0..24 {
        let cwd = Some(PathBuf::from(format!("/proc/self/fd/{number}")));
        let process = ProcessConfig { cwd, ..ProcessConfig::new(["ls"]).piped() };
        assert!(container.start(process).is_err(), "working directory {number}");
        for up in ["", "/..", "/../../../../.."] {
            let evil = format!("/proc/self/fd/{number}{up}{}/evil", attack.canary.display());
            assert!(container.start(ProcessConfig::new([evil])).is_err(), "program {number}{up}");
            let evil = format!("/proc/self/fd/{number}{up}{}", host.display());
            assert!(container.start(ProcessConfig::new([evil])).is_err(), "program {number}{up}");
        }
    }
    container.destroy().unwrap();
}

/// CVE-2015-3627: standard descriptors are those that the caller gave, whatever the image calls its null device.
#[test]
fn standard_descriptors_are_the_callers() {
    let Some(attack) = Attack::new("stdio-null") else { return };
    symlink(attack.canary.join("ptmx"), attack.rootfs("dev/null")).unwrap();
    let script = "echo one; echo two >&2; for n in 0 1 2; do stat -L -c %t:%T /proc/self/fd/$n; done";
    let process = ProcessConfig::new(["sh", "-c", script]);
    let (container, mut process) =
        Factory::new().unwrap().run(attack.place.join("c"), &attack.config, process).unwrap();
    assert!(process.wait().unwrap().success());
    container.destroy().unwrap();
    let out = attack.place.join("out");
    let process = ProcessConfig {
        stdout: Stdio::Fd(fs::File::create(&out).unwrap().into()),
        stderr: Stdio::Stdout,
        ..ProcessConfig::new(["sh", "-c", script])
    };
    let (container, mut process) =
        Factory::new().unwrap().run(attack.place.join("c"), &attack.config, process).unwrap();
    assert!(process.wait().unwrap().success());
    container.destroy().unwrap();
    assert_eq!(fs::read_to_string(out).unwrap(), "one\ntwo\n1:3\n0:0\n0:0\n");
    attack.unharmed();
}

/// CVE-2020-15257: names of abstract sockets belong to a network namespace, and we have none.
#[test]
fn abstract_sockets_are_not_shared() {
    use std::os::linux::net::SocketAddrExt;
    let Some(mut attack) = Attack::new("sockets") else { return };
    let name = format!("lct-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let seen = attack.run("cat /proc/net/unix").unwrap();
    assert!(!seen.contains('@'), "{seen}");
    // With the host's network they are all there, and none of them is ours: neither of this process nor of the container's.
    attack.config.namespaces = {
        let mut all = libcontainer::Namespaces::default();
        for kind in [NamespaceKind::Mount, NamespaceKind::Uts, NamespaceKind::Ipc, NamespaceKind::Pid] {
            all.set(kind, Namespace::New);
        }
        all
    };
    attack.config.networks.clear();
    let seen = attack.run("cat /proc/net/unix").unwrap();
    assert!(seen.contains(&name), "{seen}");
    let container = attack.create();
    let init = container.init_pid().unwrap().unwrap();
    let all = fs::read_to_string("/proc/net/unix").unwrap();
    let ours = [sockets("self"), sockets(&init.to_string())].concat();
    container.destroy().unwrap();
    for line in all.lines().filter(|line| line.contains('@') && !line.contains(&name)) {
        let inode = line.split_whitespace().nth(6).unwrap_or_default();
        assert!(!ours.iter().any(|own| own == inode), "{line}");
    }
}

/// Inodes of the sockets of a process.
fn sockets(process: &str) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    let texts = links.map(|link| link.to_string_lossy().into_owned());
    texts.filter_map(|link| Some(link.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())).collect()
}

/// CVE-2024-21626 in the other form: the program of a new container lies behind a descriptor of its init.
#[test]
fn programs_are_inside() {
    let Some(attack) = Attack::new("program-fd") else { return };
    fs::copy(attack.rootfs("bin/busybox"), attack.canary.join("evil")).unwrap();
    for number in 0..24 {
        for up in ["", "/..", "/../../../../.."] {
            let evil = format!("/proc/self/fd/{number}{up}{}/evil", attack.canary.display());
            let process = ProcessConfig::new([evil]);
            let started = Factory::new().unwrap().run(attack.place.join("c"), &attack.config, process);
            assert!(started.is_err(), "program {number}{up}");
        }
    }
    fs::remove_file(attack.canary.join("evil")).unwrap();
    attack.unharmed();
}

/// Descriptors that the caller has left open, without close-on-exec: a thousand of directories and files of the host.
#[test]
fn descriptors_of_the_caller_stay_outside() {
    let Some(attack) = Attack::new("leaked") else { return };
    let script = "ls /proc/self/fd; for n in 3 4 5 6 7 8 9 $(busybox seq 20 1020); do (echo overwritten > /proc/self/fd/$n); done 2>/dev/null";
    let found = caller(&attack, "descriptors", &["sh", "-c", script]);
    // The last one is the directory that ls itself reads.
    assert_eq!(found, "0\n1\n2\n3\n");
    attack.unharmed();
}

/// CVE-2015-3627 where nothing lies over the image's own `/dev`: what it calls its null device is not opened for the program.
#[test]
fn standard_descriptors_are_not_the_images_null_device() {
    let Some(mut attack) = Attack::new("bare-null") else { return };
    let fake = attack.rootfs("fake");
    fs::write(&fake, "alive").unwrap();
    attack.replace("dev/null", Path::new("/fake"));
    let proc = Mount { kind: "proc".into(), destination: "/proc".into(), ..Mount::default() };
    *attack.mounts() = MountConfig { bare: true, mounts: vec![proc], ..MountConfig::default() };
    let script = "x=$(stat -L -c %t:%T /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2); echo \"$x\" > /tmp/seen; echo overwritten; echo overwritten >&2";
    let (container, mut process) =
        Factory::new().unwrap().run(attack.place.join("c"), &attack.config, sh(script)).unwrap();
    assert!(process.wait().unwrap().success());
    container.destroy().unwrap();
    assert_eq!(fs::read_to_string(attack.rootfs("tmp/seen")).unwrap(), "1:3\n1:3\n1:3\n");
    assert_eq!(fs::read_to_string(fake).unwrap(), "alive");
}
