//! A `/proc` that the container has made for those who join.

use std::fs;

use libcontainer::security::selinux::{self, Relabel};
use libcontainer::{Factory, ProcessConfig, Seccomp};
use libcontainer_tests::decoys::{COVER, TRACES};
use libcontainer_tests::text;

use super::{Ground, file, shell};

/// CVE-2015-1334: a process inside has laid a `/proc` of its own over the kernel's. Who joins has the label by which it is denied what is another's,
/// and no decoy was written to or read.
#[test]
fn what_lies_over_proc_inside_does_not_keep_a_join_from_its_label() {
    let Some(ground) = Ground::new("what_lies_over_proc_inside_does_not_keep_a_join_from_its_label") else {
        return;
    };
    for applet in ["find", "seq"] {
        std::os::unix::fs::symlink("busybox", ground.rootfs.join("bin").join(applet)).unwrap();
    }
    let secret = ground.rootfs.join("secret");
    fs::write(&secret, "secret\n").unwrap();
    Relabel::of("Z", file("s0:c3,c4")).unwrap().run(&secret).unwrap();
    let mut config = ground.config("s0:c1,c2");
    (config.restrict_sys, config.seccomp) = (false, Seccomp::Unconfined);
    config.capabilities.push("SYS_ADMIN".to_owned());
    let container = Factory::new().unwrap().create(ground.place.join("c"), &config).unwrap();
    let joined = |script: &str| text(&container.start(shell(script)).unwrap().output(1 << 20).unwrap());
    assert_eq!(joined(COVER), "covered\n");
    for terminal in [false, true] {
        let process = ProcessConfig { terminal, ..ProcessConfig::new(["sleep", "1000"]) };
        let mut process = container.start(process).unwrap();
        // By the host's procfs: inside there is none.
        let label = selinux::of_process(process.pid()).unwrap().to_string();
        process.signal(libc::SIGKILL).unwrap();
        process.wait().unwrap();
        assert_eq!(label, config.process_label);
    }
    assert_eq!(joined("cat /secret"), "cat: can't open '/secret': Permission denied\n");
    let found = joined(TRACES);
    let (count, traces) = found.split_once('\n').unwrap();
    assert!(count.trim().parse::<u32>().unwrap() > 1000, "{found}");
    assert_eq!(traces, "");
    container.destroy().unwrap();
}
