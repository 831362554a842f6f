//! Layouts of recorded texts: each layout in use, nested containers, namespaces, odd mounts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use libcontainer_cgroups::discovery::{Mode, Texts};
use libcontainer_cgroups::stats::Version;
use libcontainer_cgroups::{Error, GroupPath, Layout, Plan, Select};
use proptest::prelude::*;

const KERNEL: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t2\t1\ncpu\t1\t2\t1\ncpuacct\t1\t2\t1\nmemory\t4\t2\t1\nhugetlb\t0\t1\t0\npids\t8\t2\t1\n";

fn layout(mountinfo: &str, cgroup: &str, controllers: &str) -> Layout {
    let texts = Texts {
        mountinfo: mountinfo.as_bytes(),
        cgroup: cgroup.as_bytes(),
        cgroups: KERNEL.as_bytes(),
        controllers: controllers.as_bytes(),
    };
    Layout::parse(&texts).unwrap()
}

fn below(layout: &Layout, controller: &str) -> String {
    let hierarchy = layout.hierarchy(controller).unwrap();
    hierarchy.own_below().map_or_else(|error| format!("error: {error}"), |path| path.display().to_string())
}

#[test]
fn unified() {
    let layout = layout(
        "24 1 254:1 / / rw - ext4 /dev/vda1 rw\n25 24 0:22 / /sys rw - sysfs sysfs rw\n30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
        "0::/user.slice/user-1000.slice/session-2.scope\n",
        "cpuset cpu io memory pids\n",
    );
    assert_eq!((layout.mode, layout.v1.len()), (Mode::Unified, 0));
    let v2 = layout.v2.as_ref().unwrap();
    assert_eq!((v2.version, v2.mountpoint.as_path()), (Version::V2, Path::new("/sys/fs/cgroup")));
    assert_eq!(v2.controllers, ["cpuset", "cpu", "io", "memory", "pids"]);
    assert_eq!(below(&layout, "pids"), "user.slice/user-1000.slice/session-2.scope");
    assert!(layout.hierarchy("freezer").is_none() && layout.hierarchy("blkio").is_none());
    assert_eq!(layout.why_missing("hugetlb"), "switched off at boot (cgroup_disable=)");
}

const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup ro,relatime - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
33 31 0:30 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,xattr,release_agent=/lib/systemd/agent,name=systemd
34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset,noprefix,clone_children
";

#[test]
fn hybrid() {
    let own = "9:name=systemd:/user.slice\n4:memory:/a:b c\n3:cpuset:/\n1:cpu,cpuacct:/x\n0::/user.slice\n";
    let layout = layout(HYBRID, own, "");
    assert_eq!(layout.mode, Mode::Hybrid);
    let names: Vec<_> = layout.v1.iter().map(|one| one.controllers.join(",")).collect();
    assert_eq!(names, ["name=systemd", "cpu,cpuacct", "memory", "cpuset"]);
    let memory = layout.hierarchy("memory").unwrap();
    assert_eq!(memory.mountpoint, Path::new("/sys/fs/cgroup/my memory"));
    assert_eq!(below(&layout, "memory"), "a:b c");
    assert_eq!(
        (below(&layout, "cpuacct"), below(&layout, "name=systemd")),
        ("x".into(), "user.slice".into())
    );
    let cpuset = layout.hierarchy("cpuset").unwrap();
    assert!(cpuset.read_only && cpuset.no_prefix && !memory.read_only && !memory.no_prefix);
    assert_eq!(layout.all().count(), 5);
}

#[test]
fn legacy_and_absent() {
    let memory = "35 31 0:32 / /cg/memory rw - cgroup none rw,memory\n";
    assert_eq!(layout(memory, "4:memory:/\n", "").mode, Mode::Legacy);
    // A named hierarchy alone does not make a unified system hybrid.
    let named = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n31 25 0:27 / /run/elogind rw - cgroup none rw,name=elogind\n";
    assert_eq!(layout(named, "1:name=elogind:/1\n0::/\n", "pids").mode, Mode::Unified);
    let none = layout("24 1 254:1 / / rw - ext4 /dev/vda1 rw\n", "0::/\n", "");
    assert_eq!(none.mode, Mode::Absent);
    let plan = Plan::new(&none, &GroupPath::new("a").unwrap(), &Select::Usable).unwrap();
    assert!(plan.places().is_empty());
    let group = plan.make(libcontainer_cgroups::Existing::Refuse).unwrap();
    assert!(group.is_gone() && group.join_files().unwrap().tasks.is_empty());
    assert_eq!(none.why_missing("pids"), "no hierarchy is mounted");
}

/// Root of the mount, path of the process, and the way between them.
#[test]
fn nested_containers_and_namespaces() {
    let table = [
        ("/", "/a/b", "a/b"),
        ("/", "/", ""),
        ("/docker/0123", "/docker/0123", ""),
        ("/docker/0123", "/docker/0123/inner", "inner"),
        ("/docker/0123", "/docker/01234", "error"),
        ("/docker/0123", "/", "error"),
        ("/../..", "/../../sister", "sister"),
        ("/..", "/", "error"),
        ("/..", "/../..", "error"),
        ("/", "/../other", "error"),
        ("/has\\040space", "/has space/in", "in"),
        ("/delegated.slice", "/delegated.slice (deleted)", ""),
    ];
    for (root, own, expected) in table {
        for (fs, options, line) in [("cgroup2", "rw", "0::"), ("cgroup", "rw,pids", "8:pids:")] {
            let mountinfo = format!("30 25 0:26 {root} /sys/fs/cgroup rw - {fs} none {options}\n");
            let found = below(&layout(&mountinfo, &format!("{line}{own}\n"), "pids"), "pids");
            assert!(
                if expected == "error" { found.starts_with("error: cgroupsPath") } else { found == expected },
                "{root} {own}: {found}"
            );
        }
    }
}

#[test]
fn hidden_removed_and_repeated_mounts() {
    // A second tmpfs lies over the first with its hierarchies.
    let covered = format!("{HYBRID}40 31 0:50 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n");
    assert_eq!(layout(&covered, "0::/\n", "").mode, Mode::Absent);
    let covered = "\
20 1 8:1 / / rw - ext4 /dev/a rw
31 20 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs rw - tmpfs tmpfs rw
";
    assert_eq!(layout(covered, "4:memory:/\n", "").mode, Mode::Absent);
    let over_itself = "\
35 20 0:32 / /cg rw - cgroup cgroup rw,memory
36 35 0:40 / /cg rw - tmpfs tmpfs rw
";
    assert_eq!(layout(over_itself, "4:memory:/\n", "").mode, Mode::Absent);
    let removed = "35 20 0:32 /a//deleted /cg rw - cgroup cgroup rw,memory\n";
    assert_eq!(layout(removed, "4:memory:/\n", "").mode, Mode::Absent);
    // The mount that can be written and that holds the own group is the better one.
    let twice = "\
35 20 0:32 / /first ro - cgroup cgroup rw,memory
36 20 0:32 /elsewhere /second rw - cgroup cgroup rw,memory
37 20 0:32 /mine /third rw - cgroup cgroup rw,memory
";
    let layout = layout(twice, "4:memory:/mine/a\n", "");
    assert_eq!((layout.v1.len(), layout.v1[0].mountpoint.as_path()), (1, Path::new("/third")));
    assert_eq!(below(&layout, "memory"), "a");
}

#[test]
fn a_read_only_hierarchy_is_left_out_or_refused() {
    let mountinfo = "30 25 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
    let layout = layout(mountinfo, "0::/\n", "pids memory");
    let path = GroupPath::new("a").unwrap();
    let plan = Plan::new(&layout, &path, &Select::Usable).unwrap();
    assert!(plan.places().is_empty());
    assert!(plan.missing()["pids"].contains("read-only"), "{:?}", plan.missing());
    for name in ["pids", "unified"] {
        let select = Select::Only([name.to_owned()].into());
        let error = Plan::new(&layout, &path, &select).unwrap_err().to_string();
        assert!(error.contains("read-only"), "{error}");
    }
}

#[test]
fn lines_that_are_none_are_refused_with_their_text() {
    for (mountinfo, cgroup) in [
        ("rubbish\n", "0::/\n"),
        ("1 2 3:4 / /x rw no separator\n", "0::/\n"),
        ("x 2 3:4 / /x rw - tmpfs a rw\n", "0::/\n"),
        ("", "0:/\n"),
        ("", "0::relative\n"),
    ] {
        let texts = Texts { mountinfo: mountinfo.as_bytes(), cgroup: cgroup.as_bytes(), ..Texts::default() };
        assert!(matches!(Layout::parse(&texts), Err(Error::Content { .. })), "{mountinfo}{cgroup}");
    }
}

#[test]
fn this_process_is_where_procfs_says() {
    let layout = Layout::of_this_process().unwrap();
    for hierarchy in layout.all() {
        let Ok(below) = hierarchy.own_below() else { continue };
        let procs = std::fs::read_to_string(hierarchy.mountpoint.join(below).join("cgroup.procs")).unwrap();
        let own = std::process::id().to_string();
        assert!(procs.lines().any(|line| line == own), "{}", hierarchy.mountpoint.display());
    }
}

proptest! {
    #[test]
    fn no_text_breaks_it(mountinfo in any::<Vec<u8>>(), cgroup in any::<Vec<u8>>(), line in "[ -~]{0,60}") {
        let _ = Layout::parse(&Texts { mountinfo: &mountinfo, cgroup: &cgroup, ..Texts::default() });
        let mountinfo = format!("30 30 0:26 / /cg rw - cgroup {line} rw\n31 32 0:1 / /cg rw - cgroup none {line}\n32 31 0:1 / /cg rw - cgroup2 a b\n");
        let _ = Layout::parse(&Texts { mountinfo: mountinfo.as_bytes(), cgroup: &cgroup, ..Texts::default() });
    }
}
