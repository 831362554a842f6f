//! Plans as text, and their sizes: a change of either shows in the review. `cargo xtask golden` rewrites them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]
#![allow(clippy::print_stderr, reason = "says what was rewritten")]

use std::path::{Path, PathBuf};

use libcontainer::cgroups::Layout;
use libcontainer::cgroups::discovery::Texts;
use libcontainer::{Config, Factory, Probe, ProcessConfig};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

fn check(name: &str, found: &str) {
    let path = golden(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(golden("")).unwrap();
        std::fs::write(&path, found).unwrap();
        eprintln!("wrote {}", path.display());
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = wanted.lines().zip(found.lines()).position(|(wanted, found)| wanted != found);
    assert!(
        wanted == found,
        "{name}: first difference in line {differs:?}; `cargo xtask golden` rewrites the file"
    );
}

fn sample(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/libcontainer/samples").join(name);
    let (mut config, unknown) = Config::from_file(&path, libcontainer::Mode::Strict).unwrap();
    assert!(unknown.is_empty(), "{unknown:?}");
    config.rootfs = "/srv/rootfs".into();
    config
}

/// Control groups as a recorded machine has them.
fn layout(v1: bool) -> Layout {
    let v1_mounts = b"30 1 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n31 1 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
    let (mountinfo, cgroup, cgroups): (&[u8], &[u8], &[u8]) = if v1 {
        (v1_mounts, b"3:memory:/\n2:cpu,cpuacct:/\n", b"#n\nmemory 3 1 1\ncpu 2 1 1\ncpuacct 2 1 1\n")
    } else {
        (b"32 1 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", b"0::/\n", b"")
    };
    Layout::parse(&Texts { mountinfo, cgroup, cgroups, controllers: b"cpu memory pids" }).unwrap()
}

fn plan(config: &Config, process: Option<&ProcessConfig>) -> libcontainer::Plan {
    let factory = Factory::with_probe(Probe::linux(6, 18)).layout(layout(false));
    factory.explain(config, process).unwrap()
}

#[test]
fn joining_on_both_versions() {
    let mut config = sample("minimal.json");
    config.namespaces.set(libcontainer::NamespaceKind::Cgroup, libcontainer::Namespace::New);
    for (name, v1) in [("cgroup-v1.txt", true), ("cgroup-v2.txt", false)] {
        let factory = Factory::with_probe(Probe::linux(6, 18)).layout(layout(v1));
        let plan = factory.explain(&config, Some(&ProcessConfig::new(["sh"]))).unwrap();
        check(name, &plan.explain().to_string());
    }
}

#[test]
fn sample_configs() {
    let mut sizes = String::from("name steps system-calls host-steps bytes\n");
    for name in ["minimal", "apparmor", "attach_to_bridge", "selinux"] {
        let config = sample(&format!("{name}.json"));
        let terminal = ProcessConfig { terminal: true, ..ProcessConfig::new(["sh"]) };
        for (kind, process) in [("program", Some(&terminal)), ("reaper", None)] {
            let plan = plan(&config, process);
            let counts = plan.counts();
            let line = format!(
                "{name}-{kind} {} {} {} {}\n",
                counts.child_steps, counts.child_syscalls, counts.host_steps, counts.bytes
            );
            sizes.push_str(&line);
            check(&format!("{name}-{kind}.txt"), &plan.explain().to_string());
        }
    }
    check("sizes.txt", &sizes);
}

#[test]
fn a_user_namespace_without_root() {
    let mut config = sample("minimal.json");
    config.user = String::new();
    config.working_dir = "/srv/app".into();
    config.namespaces.set(libcontainer::NamespaceKind::User, libcontainer::Namespace::New);
    let map = libcontainer::mount::IdMapping { container_id: 0, host_id: 1000, size: 1 };
    (config.uid_mappings, config.gid_mappings) = (vec![map], vec![map]);
    let probe = Probe { euid: 1000, egid: 1000, ..Probe::linux(6, 18) };
    let plan = Factory::with_probe(probe)
        .layout(layout(false))
        .explain(&config, Some(&ProcessConfig::new(["sh"])))
        .unwrap();
    check("rootless.txt", &plan.explain().to_string());
    let json: serde_json::Value = serde_json::from_str(&plan.to_json().unwrap()).unwrap();
    assert_eq!(json["counts"]["child_steps"], plan.counts().child_steps);
}

/// Where this machine has proc and sysfs as a whole: without pivot_root(2) they are taken away.
fn whole() -> Vec<String> {
    let text = std::fs::read("/proc/self/mountinfo").unwrap();
    let entries = libcontainer::mount::parse_mountinfo(&text).map(Result::unwrap);
    let whole = entries.filter(|entry| matches!(&*entry.fstype, b"proc" | b"sysfs") && *entry.root == *b"/");
    let mut all: Vec<_> = whole.map(|entry| String::from_utf8_lossy(&entry.target).into_owned()).collect();
    all.sort();
    all
}

#[test]
fn mounts_of_every_sort() {
    if whole() != ["/proc", "/sys"] {
        libcontainer_tests::skip("mounts_of_every_sort", "this machine has proc or sysfs elsewhere too");
        return;
    }
    let text = r#"{"namespaces":{"NEWNS":true},"mount_config":{"bare":true,"readonly_fs":true,"no_pivot_root":true,"masked_paths":["/a"],"readonly_paths":["/b"],
        "rootfs_propagation":"rslave","mounts":[{"type":"bind","source":"/etc","destination":"/e","options":["rbind","rro","nosuid","private"]},
        {"type":"tmpfs","source":"t","destination":"/t","options":["size=1m","mode=700","noatime"]},{"type":"bind","source":"/etc/passwd","destination":"/x/y"},
        {"type":"proc","destination":"/proc"}],"device_nodes":[{"type":"c","path":"/dev/net/tun","major_number":10,"minor_number":200,"uid":5}]}}"#;
    let (mut config, _) = Config::from_json(text.as_bytes()).unwrap();
    config.rootfs = "/srv/rootfs".into();
    check("mounts.txt", &plan(&config, None).explain().to_string());
}

#[test]
fn attributes_of_every_sort() {
    let text = r#"{"namespaces":{"NEWNS":true},"mount_config":{"bare":true},"scheduler":{"policy":"SCHED_DEADLINE","flags":["SCHED_FLAG_DL_OVERRUN"],"runtime":1024,
        "deadline":2048},"io_priority":{"class":"IOPRIO_CLASS_RT","priority":1},"memory_policy":{"mode":"MPOL_BIND","nodes":"0-1,3","flags":["MPOL_F_STATIC_NODES"]},
        "personality":{"domain":"LINUX32","flags":["UNAME26"]},"rlimits":[{"type":"RLIMIT_NOFILE","soft":64,"hard":128}],"parent_death_signal":9,
        "securebits":["NOROOT","NOROOT_LOCKED"],"capabilities":["KILL"]}"#;
    let (mut config, _) = Config::from_json(text.as_bytes()).unwrap();
    config.rootfs = "/srv/rootfs".into();
    check("attributes.txt", &plan(&config, Some(&ProcessConfig::new(["sh"]))).explain().to_string());
}

#[test]
fn landlock() {
    let text = r#"{"namespaces":{"NEWNS":true},"mount_config":{"bare":true},"capabilities":["KILL"],"landlock":{"enforce":"best_effort",
        "paths":[{"path":"/usr","access":["read","execute"]},{"path":"/etc","access":["read_file"],"if_exists":true}],"bind_tcp":[80],"connect_tcp":[],"bind_udp":[],
        "scopes":["signal","abstract_unix_socket"]}}"#;
    let (mut config, _) = Config::from_json(text.as_bytes()).unwrap();
    config.rootfs = "/srv/rootfs".into();
    check("landlock.txt", &plan(&config, Some(&ProcessConfig::new(["sh"]))).explain().to_string());
}

/// Beside the same without them: nothing but their wait is another step of the init.
#[test]
fn hooks() {
    let text = r#"{"namespaces":{"NEWNS":true},"mount_config":{"bare":true},"hooks":{"prestart":[{"path":"/a"}],"create_runtime":[{"path":"/b"},{"path":"/c"}],
        "create_container":[{"path":"/d"}],"start_container":[{"path":"/e"}],"poststart":[{"path":"/f"}],"poststop":[{"path":"/g"}]}}"#;
    let (mut config, _) = Config::from_json(text.as_bytes()).unwrap();
    config.rootfs = "/srv/rootfs".into();
    let with = [plan(&config, Some(&ProcessConfig::new(["sh"]))), plan(&config, None)];
    check("hooks-created.txt", &with[0].explain().to_string());
    check("hooks-reaper.txt", &with[1].explain().to_string());
    config.hooks = libcontainer::Hooks { poststop: config.hooks.poststop, ..libcontainer::Hooks::default() };
    let without = plan(&config, None);
    assert_eq!(without.counts().child_steps + 2, with[1].counts().child_steps);
}
