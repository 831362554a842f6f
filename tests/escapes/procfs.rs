//! A `/proc` that the container has made for those who join (class 7).

use std::fs;

use libcontainer::{Container, ProcessConfig, Seccomp};
use libcontainer_tests::decoys::{COVER, TRACES};

use crate::{Attack, joined, sh};

/// What the host sees of how a process is confined.
fn confinement(container: &Container) -> Vec<String> {
    let mut process = container.start(ProcessConfig { terminal: false, ..sh("sleep 1000") }).unwrap();
    let proc = format!("/proc/{}", process.pid());
    let read = |name: &str| fs::read_to_string(format!("{proc}/{name}")).unwrap();
    let fields = ["Uid", "Gid", "Groups", "Umask", "Cap", "NoNewPrivs", "Seccomp", "Cpus_allowed_list"];
    let status = read("status");
    let mut all: Vec<_> = status
        .lines()
        .filter(|line| fields.iter().any(|field| line.starts_with(field)))
        .map(str::to_owned)
        .collect();
    all.extend(["limits", "oom_score_adj", "cgroup"].map(read));
    let link = |name: &str| fs::read_link(format!("{proc}/ns/{name}")).unwrap().display().to_string();
    all.extend(["mnt", "pid", "net", "user", "uts", "ipc"].map(link));
    process.signal(libc::SIGKILL).unwrap();
    process.wait().unwrap();
    all
}

/// LXC CVE-2015-1334: a process of a running container mounts a `/proc` of its own. Who joins is confined as before, and nothing there
/// was written to or believed.
#[test]
fn a_fake_procfs_inside_is_not_looked_at() {
    for user_namespace in [false, true] {
        let Some(mut attack) = Attack::new(&format!("fake-proc-{user_namespace}")) else { return };
        if user_namespace {
            attack.user_namespace();
        }
        attack.applets(&["find", "seq"]);
        let config = &mut attack.config;
        config.capabilities.push("SYS_ADMIN".into());
        (config.restrict_sys, config.seccomp) = (false, Seccomp::Default);
        (config.no_new_privileges, config.oom_score_adj, config.umask) = (true, Some(500), Some(0o27));
        config.user = "1000:1000".into();
        let container = attack.create();
        let root = |script: &str| ProcessConfig { user: Some("0".into()), ..sh(script) };
        let before = confinement(&container);
        assert_eq!(joined(&container, root(COVER)), "covered\n");
        assert_eq!(confinement(&container), before);
        // By every way in: with a terminal, as somebody else, by the first process's handle.
        let with = ProcessConfig { terminal: true, ..root("exit 7") };
        assert_eq!(container.start(with).unwrap().wait().unwrap().code(), Some(7));
        let found = joined(&container, root(TRACES));
        let (count, traces) = found.split_once('\n').unwrap();
        assert!(count.trim().parse::<u32>().unwrap() > 1000, "{found}");
        assert_eq!(traces, "");
        container.destroy().unwrap();
    }
}
