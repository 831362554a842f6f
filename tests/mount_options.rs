//! Every mount option, as the kernel shows it from inside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

use std::fs;
use std::path::Path;

use libcontainer::mount::{Mount, MountConfig, MountTable};
use libcontainer::{Config, Factory, ProcessConfig};
use libcontainer_tests::{Place, able, config, text};
use nix::mount::{MsFlags, mount, umount};

/// Options; attributes of the mount; its propagation; options of the filesystem; attributes of the mount below it.
type Row = (&'static [&'static str], &'static str, &'static str, &'static str);

/// Of a new tmpfs: what the kernel says when nothing is asked for is `rw,relatime`, private.
const FILESYSTEM: &[Row] = &[
    (&["rw"], "rw,relatime", "", "rw"),
    (&["ro"], "ro,relatime", "", "rw"),
    (&["nosuid", "nodev", "noexec"], "rw,nosuid,nodev,noexec,relatime", "", "rw"),
    (&["nosuid", "suid", "nodev", "dev", "noexec", "exec", "rw"], "rw,relatime", "", "rw"),
    (&["noatime"], "rw,noatime", "", "rw"),
    (&["noatime", "atime"], "rw,relatime", "", "rw"),
    (&["strictatime"], "rw", "", "rw"),
    (&["norelatime"], "rw", "", "rw"),
    (&["strictatime", "nostrictatime"], "rw,relatime", "", "rw"),
    (&["strictatime", "relatime"], "rw,relatime", "", "rw"),
    (&["nodiratime"], "rw,nodiratime,relatime", "", "rw"),
    (&["nodiratime", "diratime", "rw"], "rw,relatime", "", "rw"),
    (&["nosymfollow"], "rw,relatime,nosymfollow", "", "rw"),
    (&["nosymfollow", "symfollow", "rw"], "rw,relatime", "", "rw"),
    (&["rro", "rnosuid"], "ro,nosuid,relatime", "", "rw"),
    (&["lazytime"], "rw,relatime", "", "rw,lazytime"),
    (&["lazytime", "nolazytime", "rw"], "rw,relatime", "", "rw"),
    (&["sync"], "rw,relatime", "", "rw,sync"),
    (&["sync", "async", "rw"], "rw,relatime", "", "rw"),
    (&["dirsync"], "rw,relatime", "", "rw,dirsync"),
    (&["mand", "nomand", "noiversion", "silent", "loud", "defaults", "rw"], "rw,relatime", "", "rw"),
    (&["size=64k", "size=128k", "mode=700"], "rw,relatime", "", "rw,size=128k,mode=700"),
    (&["rw", "shared"], "rw,relatime", "shared", "rw"),
    (&["rw", "rshared"], "rw,relatime", "shared", "rw"),
    (&["rw", "shared", "private"], "rw,relatime", "", "rw"),
    (&["rw", "unbindable"], "rw,relatime", "unbindable", "rw"),
    (&["rw", "runbindable"], "rw,relatime", "unbindable", "rw"),
    (&["rw", "slave"], "rw,relatime", "", "rw"),
];

/// Of a bind whose source has a mount below it: options, attributes, propagation, attributes of the one below.
const BIND: &[Row] = &[
    (&["bind", "rw"], "rw,relatime", "", "none"),
    (&["rbind", "rw"], "rw,relatime", "", "rw,relatime"),
    (&["rbind"], "ro,relatime", "", "ro,relatime"),
    (&["rbind", "rw", "ro"], "ro,relatime", "", "ro,relatime"),
    (&["rbind", "rro"], "ro,relatime", "", "ro,relatime"),
    (&["rbind", "rro", "rw"], "rw,relatime", "", "ro,relatime"),
    (&["rbind", "ro", "rrw"], "rw,relatime", "", "rw,relatime"),
    (&["rbind", "rw", "noexec"], "rw,noexec,relatime", "", "rw,relatime"),
    (&["rbind", "rw", "rnosuid"], "rw,nosuid,relatime", "", "rw,nosuid,relatime"),
    (&["rbind", "rw", "rnodev", "dev"], "rw,relatime", "", "rw,nodev,relatime"),
    (&["rbind", "rw", "rnoexec", "rexec"], "rw,relatime", "", "rw,relatime"),
    (&["rbind", "rw", "rnoatime"], "rw,noatime", "", "rw,noatime"),
    (&["rbind", "rw", "rstrictatime"], "rw", "", "rw"),
    (&["rbind", "rw", "rnorelatime"], "rw", "", "rw"),
    (&["rbind", "rw", "rnodiratime"], "rw,nodiratime,relatime", "", "rw,nodiratime,relatime"),
    (&["rbind", "rw", "nosymfollow"], "rw,relatime,nosymfollow", "", "rw,relatime"),
    (&["rbind", "rw", "rnosymfollow"], "rw,relatime,nosymfollow", "", "rw,relatime,nosymfollow"),
    (&["rbind", "rw", "rnosymfollow", "rsymfollow"], "rw,relatime", "", "rw,relatime"),
    (&["rbind", "rw", "rshared"], "rw,relatime", "shared", "rw,relatime"),
    (&["rbind", "rw", "runbindable"], "rw,relatime", "unbindable", "rw,relatime"),
    (&["rbind", "rw", "rprivate"], "rw,relatime", "", "rw,relatime"),
];

/// Runs a container with these mounts and returns its own table.
fn inside(place: &Place, config: &Config, mounts: Vec<Mount>) -> String {
    let config =
        Config { mount_config: Some(MountConfig { mounts, ..MountConfig::default() }), ..config.clone() };
    let process = ProcessConfig::new(["cat", "/proc/self/mountinfo"]).piped();
    let (container, process) = Factory::new().unwrap().run(place.join("c"), &config, process).unwrap();
    let found = text(&process.output(1 << 20).unwrap());
    container.destroy().unwrap();
    found
}

fn one(kind: &str, source: &Path, to: String, options: &[&str]) -> Mount {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    Mount { kind: kind.into(), source: source.into(), destination: to.into(), options, ..Mount::default() }
}

/// What the table says of the mount at `target`: attributes, propagation, options of the filesystem.
fn seen(table: &str, target: &str) -> Option<(String, String, String)> {
    let parsed = MountTable::parse(table.as_bytes()).unwrap();
    let entry = parsed.entries().iter().find(|entry| &*entry.target == target.as_bytes())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = text(entry.fields);
    let words = fields.split_whitespace().map(|field| field.split(':').next().unwrap_or_default());
    Some((text(entry.options), words.collect::<Vec<_>>().join(","), text(entry.super_options)))
}

#[test]
fn options_of_filesystems() {
    if !able("options_of_filesystems") {
        return;
    }
    let place = Place::new("fs-options");
    let config = config(&place.rootfs().unwrap());
    let mounts = FILESYSTEM.iter().enumerate();
    let mounts =
        mounts.map(|(row, (options, ..))| one("tmpfs", Path::new("t"), format!("/m/{row}"), options));
    let table = inside(&place, &config, mounts.collect());
    for (row, (options, attributes, propagation, of_filesystem)) in FILESYSTEM.iter().enumerate() {
        let (found, spread, data) = seen(&table, &format!("/m/{row}")).expect("mounted");
        assert_eq!((found.as_str(), spread.as_str()), (*attributes, *propagation), "{options:?}");
        let has = |word: &str| data.split(',').any(|one| one == word);
        assert!(of_filesystem.split(',').all(has), "{options:?}: {data}");
        assert_eq!(data.contains("lazytime"), of_filesystem.contains("lazytime"), "{options:?}: {data}");
        assert_eq!(data.contains("sync"), of_filesystem.contains("sync"), "{options:?}: {data}");
    }
}

#[test]
fn options_of_binds() {
    if !able("options_of_binds") {
        return;
    }
    let place = Place::new("bind-options");
    let config = config(&place.rootfs().unwrap());
    let source = place.join("source");
    fs::create_dir(&source).unwrap();
    // Both are mounts of their own, so that the kernel shows them with what they had: rw,relatime.
    let tmpfs = |at: &Path| {
        fs::create_dir_all(at).unwrap();
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    };
    tmpfs(&source);
    tmpfs(&source.join("below"));
    let mounts = BIND.iter().enumerate();
    let mounts = mounts.map(|(row, (options, ..))| one("bind", &source, format!("/m/{row}"), options));
    let table = inside(&place, &config, mounts.collect());
    umount(&source.join("below")).unwrap();
    umount(&source).unwrap();
    for (row, (options, attributes, propagation, below)) in BIND.iter().enumerate() {
        let (found, spread, _) = seen(&table, &format!("/m/{row}")).expect("mounted");
        assert_eq!((found.as_str(), spread.as_str()), (*attributes, *propagation), "{options:?}");
        let found = seen(&table, &format!("/m/{row}/below")).map(|(attributes, ..)| attributes);
        assert_eq!(found.as_deref().unwrap_or("none"), *below, "{options:?}: below");
    }
}

/// Filesystems of the kernel's own, of any type that it has.
#[test]
fn filesystems_of_any_type() {
    if !able("filesystems_of_any_type") {
        return;
    }
    let place = Place::new("fs-types");
    let config = config(&place.rootfs().unwrap());
    let known = fs::read_to_string("/proc/filesystems").unwrap();
    let has = |kind: &&&str| known.lines().any(|line| line.trim_start_matches("nodev").trim() == **kind);
    let kinds: Vec<_> =
        ["tmpfs", "ramfs", "mqueue", "devpts", "cgroup2", "overlay"].iter().filter(has).collect();
    let dirs = ["lower", "upper", "work"].map(|name| place.join(name));
    dirs.iter().for_each(|dir| fs::create_dir(dir).unwrap());
    let [lower, upper, work] = dirs.map(|dir| dir.to_string_lossy().into_owned());
    let overlay = [format!("lowerdir={lower}"), format!("upperdir={upper}"), format!("workdir={work}")];
    let overlay: Vec<_> = overlay.iter().map(String::as_str).collect();
    let mounts = kinds.iter().map(|kind| {
        let options = if ***kind == *"overlay" { &overlay[..] } else { &[] };
        one(kind, Path::new("none"), format!("/m/{kind}"), options)
    });
    let table = inside(&place, &config, mounts.collect());
    let parsed = MountTable::parse(table.as_bytes()).unwrap();
    for kind in kinds {
        let at = format!("/m/{kind}");
        let found = parsed.entries().iter().find(|entry| &*entry.target == at.as_bytes());
        assert_eq!(found.map(|entry| &*entry.fstype), Some(kind.as_bytes()), "{table}");
    }
}

/// The specification's `shared`: a peer group of the container's own, of which the host's mounts are neither masters nor peers.
#[test]
fn propagation_of_the_rootfs() {
    if !able("propagation_of_the_rootfs") {
        return;
    }
    let place = Place::new("root-propagation");
    let mut config = config(&place.rootfs().unwrap());
    // A mount that travels, whatever the host's root is.
    let none = None::<&str>;
    mount(Some(&config.rootfs), &config.rootfs, none, MsFlags::MS_BIND, none).unwrap();
    mount(none, &config.rootfs, none, MsFlags::MS_SHARED, none).unwrap();
    for (propagation, wanted) in [
        ("", ""),
        ("private", ""),
        ("slave", "master"),
        ("rslave", "master"),
        ("shared", "shared"),
        ("rshared", "shared"),
        ("unbindable", "unbindable"),
    ] {
        let rootfs_propagation = propagation.to_owned();
        config.mount_config = Some(MountConfig { rootfs_propagation, ..MountConfig::default() });
        let process = ProcessConfig::new(["cat", "/proc/self/mountinfo"]).piped();
        let (container, process) = Factory::new().unwrap().run(place.join("c"), &config, process).unwrap();
        let table = text(&process.output(1 << 20).unwrap());
        container.destroy().unwrap();
        let (_, spread, _) = seen(&table, "/").expect("mounted");
        assert_eq!(spread, wanted, "{propagation:?}");
    }
    umount(&config.rootfs).unwrap();
}
