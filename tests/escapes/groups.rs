//! Control groups and devices (class 6).

use libcontainer::cgroups::Layout;
use libcontainer::mount::Mount;
use libcontainer::{Namespace, NamespaceKind};
use libcontainer_tests::skip;

use crate::{Attack, bind};

/// What a program finds that it can write to in hierarchies below `/sys/fs/cgroup`, and below `/mnt` if it can mount one there.
const SEARCH: &str = "for d in $(find /sys/fs/cgroup -maxdepth 3 -type d 2>/dev/null); do \
        mkdir $d/lct-evil && echo made $d && rmdir $d/lct-evil; \
        for f in release_agent notify_on_release cgroup.procs tasks; do [ -e $d/$f ] && (: >> $d/$f) && echo opened $d/$f; done; \
    done 2>/dev/null; echo end";

/// CVE-2022-0492: nothing inside leads to a release_agent, whatever the program mounts or unshares.
#[test]
fn no_release_agent_is_reached() {
    let Some(mut attack) = Attack::new("release-agent") else { return };
    attack.applets(&["find", "unshare", "rmdir"]);
    attack.config.namespaces.set(NamespaceKind::Cgroup, Namespace::New);
    attack.config.cgroups = Some(attack.place.cgroup());
    let evil = "for k in cgroup cgroup2; do for o in rdma memory devices none,name=x nsdelegate; do \
            mount -t $k -o $o $k /mnt && echo mounted $k $o; [ -e /mnt/release_agent ] && echo /cmd > /mnt/release_agent && echo AGENT; \
            umount /mnt; done; done 2>/dev/null";
    std::fs::create_dir_all(attack.rootfs("mnt")).unwrap();
    let script = format!(
        "{SEARCH}; {evil}; unshare -Ur sh -c '(: >> /sys/fs/cgroup/release_agent) && echo AGENT' 2>/dev/null; \
        unshare -UrmC sh -c \"{}\" 2>/dev/null; echo end",
        evil.replace("; [", "; rm -f /x; [").replace('$', "\\$")
    );
    let found = attack.run(&script).unwrap();
    // A user namespace of its own may mount what is already limited to its own group, but has no agent.
    assert!(found.starts_with("end\n") && found.ends_with("end\n") && !found.contains("AGENT"), "{found}");
    assert!(!found.lines().any(|line| line.starts_with("made") || line.starts_with("opened")), "{found}");
}

/// CVE-2023-25809: with the host's sysfs bound because there is no namespace for one of its own, and with a bind that the config asks
/// for, nothing of the host's control groups is writable.
#[test]
fn groups_of_the_host_are_read_only() {
    let Some(mut attack) = Attack::new("sys-rbind") else { return };
    let below = |layout: Layout| layout.all().any(|one| one.mountpoint.starts_with("/sys/fs/cgroup"));
    if !Layout::of_this_process().is_ok_and(below) {
        return skip("groups_of_the_host_are_read_only", "no control groups are mounted in /sys");
    }
    attack.applets(&["find", "rmdir"]);
    let good = attack.config.namespaces.clone();
    for own in [true, false] {
        attack.config.mount_config = None;
        attack.config.restrict_sys = own;
        if own {
            attack.user_namespace();
            attack.config.namespaces = libcontainer::Namespaces::new([
                NamespaceKind::Mount,
                NamespaceKind::Pid,
                NamespaceKind::Ipc,
                NamespaceKind::Uts,
                NamespaceKind::User,
            ]);
            attack.config.networks.clear();
        } else {
            attack.config.namespaces = good.clone();
            (attack.config.uid_mappings, attack.config.gid_mappings) = Default::default();
            attack.mounts().mounts =
                vec![Mount { options: vec!["rbind".into()], ..bind("/sys".as_ref(), "/sys") }];
        }
        let seen =
            attack.run("[ -d /sys/fs/cgroup ] && grep -c ' /sys/fs/cgroup' /proc/self/mountinfo").unwrap();
        assert!(seen.trim().parse::<u32>().unwrap() > 0, "the hierarchies are there: {seen}");
        assert_eq!(attack.run(SEARCH).unwrap(), "end\n", "{own}");
    }
}

/// A disk of the host's, by a node of the program's own making.
#[test]
fn disks_are_not_read() {
    let Some(mut attack) = Attack::new("disks") else { return };
    let layout = Layout::of_this_process();
    let devices = layout.is_ok_and(|layout| layout.v2.is_some() || layout.hierarchy("devices").is_some());
    if !devices {
        return skip("disks_are_not_read", "no controller of devices");
    }
    attack.applets(&["mknod"]);
    attack.config.capabilities.extend(["MKNOD", "SYS_RAWIO"].map(str::to_owned));
    attack.config.cgroups = Some(attack.place.cgroup());
    let numbers: Vec<_> = std::fs::read_dir("/sys/dev/block")
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().replace(':', " "))
        .collect();
    let kmem = ["c 1 1", "c 1 2", "c 1 4", "c 10 229"].map(str::to_owned);
    let nodes = numbers.iter().map(|number| format!("b {number}")).chain(kmem).take(60);
    let script: String = nodes.map(|node| format!("rm -f /tmp/n; mknod /tmp/n {node}; [ -e /tmp/n ] && head -c 1 /tmp/n > /tmp/byte && echo read {node};")).collect();
    attack.applets(&["rm"]);
    assert_eq!(attack.run(&format!("({script}) 2>/dev/null; echo end")).unwrap(), "end\n");
}
