//! Data that the runtime reads, and what it makes of names in it (class 5).

use std::fs;
use std::os::unix::fs::symlink;

use libcontainer::cgroups::Layout;
use libcontainer::mount::IdMapping;
use libcontainer::{Config, ErrorKind, Factory, Namespace, NamespaceKind};
use libcontainer_tests::operator::Operator;

use crate::{Attack, caller};

/// Refused for what it says, and nothing was made.
fn refused(attack: &Attack, what: &str, words: &str) {
    let error = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap_err();
    assert!(error.to_string().contains(words), "{what}: {error}");
    assert!(!attack.place.join("c").exists(), "{what}");
}

/// CVE-2021-43784: lists and paths that are longer than any field of a message to the init.
#[test]
fn lengths_are_not_cut_short() {
    let Some(mut attack) = Attack::new("lengths") else { return };
    attack.user_namespace();
    let line = |number: i64| IdMapping { container_id: number * 2, host_id: number * 2, size: 1 };
    attack.config.uid_mappings = (0..4000).map(line).collect();
    refused(&attack, "4000 lines", "4000 lines");
    attack.user_namespace();
    for length in [4096, 65_535, 65_536, 70_000] {
        let path = "/".to_owned() + &"n".repeat(length);
        attack.config.namespaces.set(NamespaceKind::Network, Namespace::Join(path.into()));
        attack.config.networks.clear();
        refused(&attack, "path", "NEWNET");
    }
}

/// CVE-2022-0811: a kernel setting that is not the container's own, by its name or by what its value hides.
#[test]
fn settings_are_the_containers_own() {
    let Some(mut attack) = Attack::new("settings") else { return };
    let good = attack.config.clone();
    for (key, value) in [
        ("kernel.core_pattern", "|/evil"),
        ("kernel/core_pattern", "|/evil"),
        ("kernel.shm_rmid_forced+kernel.core_pattern", "1"),
        ("kernel.msgmax\nkernel.core_pattern", "1"),
        ("kernel.msgmax", "4096\nkernel.core_pattern=|/evil"),
        ("kernel.msgmax", "4096\0|/evil"),
        ("kernel.msg/../core_pattern", "|/evil"),
        ("net.../kernel.core_pattern", "|/evil"),
        ("net/ipv4/../../kernel/core_pattern", "|/evil"),
        ("../kernel.msgmax", "1"),
        ("/proc/sys/kernel.msgmax", "1"),
        ("", "1"),
        (".", "1"),
        ("kernel", "1"),
        ("vm.swappiness", "1"),
        ("fs.file-max", "1"),
        ("kernel.msgmaxx/../core_pattern", "1"),
    ] {
        attack.config = good.clone();
        attack.config.sysctl.insert(key.into(), value.into());
        let error = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{key}={value}: {error}");
    }
    // One that is the container's own, but the container has no namespace of that kind.
    attack.config = Config { namespaces: good.namespaces.clone(), ..good };
    attack.config.namespaces = libcontainer::Namespaces::new([NamespaceKind::Mount, NamespaceKind::Pid]);
    (attack.config.hostname, attack.config.networks) = Default::default();
    for key in ["kernel.msgmax", "net.ipv4.ip_forward", "kernel.domainname"] {
        attack.config.sysctl = [(key.to_owned(), "0".to_owned())].into();
        refused(&attack, key, "would change the host");
    }
}

/// CVE-2014-9358 and its kin: names of containers that are paths.
#[test]
fn names_of_containers_are_no_paths() {
    let Some(operator) = Operator::new("names") else { return };
    let long = "n".repeat(1100);
    for id in ["../x", "a/b", "/x", ".", "..", "", "x\n", "-x", &long, "x\u{7f}", "../../canary"] {
        for args in [
            ["run", "--", id, "true"].as_slice(),
            &["create", "--", id, "true"],
            &["delete", "--force", "--", id],
        ] {
            let found = operator.run(args);
            // A leading line is an argument that clap does not know.
            assert!(matches!(found.status.code(), Some(1 | 2)), "{args:?}: {found:?}");
        }
    }
    let left: Vec<_> =
        fs::read_dir(operator.place.join("state")).map(|all| all.flatten().collect()).unwrap_or_default();
    assert!(left.is_empty(), "{left:?}");
    assert!(!operator.place.join("x").exists() && !operator.place.join("canary").exists());
}

/// crun's `..` in the path of a control group: it stays below the mount, or is refused.
#[test]
fn groups_stay_below_their_mount() {
    let Some(mut attack) = Attack::new("group-path") else { return };
    let before = groups();
    for path in ["../x", "/../../x", "a/../../../x", "..", "/", "a\0b", "a/./../..//x"] {
        attack.config.cgroups = Some(libcontainer::Cgroup { path: path.into(), ..attack.place.cgroup() });
        let error = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap_err();
        assert!(error.to_string().contains("cgroup"), "{path:?}: {error}");
        assert!(
            error.step().is_none() && error.errno().is_none(),
            "before anything was asked for: {path:?}: {error}"
        );
    }
    assert_eq!(groups(), before);
}

/// Names at the top of each hierarchy, and beside it.
fn groups() -> Vec<std::path::PathBuf> {
    let Ok(layout) = Layout::of_this_process() else { return Vec::new() };
    let names = |dir: &std::path::Path| {
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut all: Vec<_> =
        layout.all().flat_map(|one| names(one.mountpoint.parent().unwrap_or(&one.mountpoint))).collect();
    all.sort();
    all
}

/// containerd CVE-2022-31030, CVE-2025-64329: a program that does not stop writing costs the host no memory.
#[test]
fn endless_output_costs_no_memory() {
    let Some(attack) = Attack::new("flood") else { return };
    // In blocks: `head` goes byte by byte, for which an emulated machine takes ten minutes.
    let found =
        caller(&attack, "flood", &["sh", "-c", "exec busybox dd if=/dev/zero bs=65536 count=$0 2>/dev/null"]);
    let mut lines = found.lines();
    assert_eq!((lines.next(), lines.next()), (Some("65536"), Some("65536")), "{found}");
    let grown: u64 = lines.next().and_then(|line| line.strip_prefix("grown ")?.parse().ok()).unwrap();
    assert!(grown < 1024, "grown by {grown} KiB");
}

/// LXC CVE-2017-5985, CVE-2018-6556: what a config calls a namespace is a plain file, a pipe, a link, or of another kind.
#[test]
fn namespaces_are_what_the_config_says() {
    let Some(mut attack) = Attack::new("ns-files") else { return };
    fs::write(attack.place.join("file"), "x").unwrap();
    nix::unistd::mkfifo(&attack.place.join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    symlink("/proc/self/ns/uts", attack.place.join("link")).unwrap();
    attack.config.networks.clear();
    let own = |name: &str| attack.place.join(name).display().to_string();
    let paths = [
        own("file"),
        own("fifo"),
        own("link"),
        own("gone"),
        "/proc/self/ns/uts".into(),
        "/proc/self/ns".into(),
        "/proc/self/fd/0".into(),
        "/dev/null".into(),
    ];
    for path in paths {
        attack.config.namespaces.set(NamespaceKind::Network, Namespace::Join(path.clone().into()));
        let words = if path.ends_with("gone") { &path } else { "is no net namespace" };
        refused(&attack, &path, words);
    }
}
