//! Masked and read-only paths, and `restrict_sys` (classes 3 and 7).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use libcontainer::mount::{DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS, Mount, MountConfig};

use crate::{Attack, paths};

/// CVE-2025-31133: masks come from the host's null device, whatever the image has in its place.
#[test]
fn masks_do_not_trust_the_image() {
    let Some(mut attack) = Attack::new("masks") else { return };
    fs::write(attack.rootfs("secret"), "secret").unwrap();
    fs::create_dir(attack.rootfs("hidden")).unwrap();
    fs::write(attack.rootfs("hidden/x"), "x").unwrap();
    symlink("/etc/passwd", attack.rootfs("dev/null")).unwrap();
    let masked = ["/secret", "/hidden", "/not-there"].map(PathBuf::from).to_vec();
    attack.config.mount_config = Some(MountConfig { masked_paths: masked, ..MountConfig::default() });
    let script =
        "cat /secret; ls /hidden; touch /hidden/y 2>/dev/null || echo refused; stat -c %t:%T /secret";
    assert_eq!(attack.run(script).unwrap(), "refused\n1:3\n");
}

/// 2014's restrict: kernel settings can't be changed from inside.
#[test]
fn restricted_paths_refuse_writes() {
    let Some(attack) = Attack::new("restricted") else { return };
    let script = "for f in /proc/sys/kernel/msgmax /proc/irq/default_smp_affinity; do (echo 1 > $f) 2>/dev/null && echo wrote $f; done; touch /sys/x 2>/dev/null || echo done";
    assert_eq!(attack.run(script).unwrap(), "done\n");
}

/// CVE-2025-31133, CVE-2025-62161: the image's own null device is a link, a file, or not there, and nothing lies over it.
#[test]
fn masks_are_empty_whatever_the_null_device_is() {
    let Some(mut attack) = Attack::new("null-kinds") else { return };
    fs::write(attack.rootfs("fake"), "fake").unwrap();
    fs::write(attack.rootfs("secret"), "secret").unwrap();
    fs::create_dir(attack.rootfs("hidden")).unwrap();
    fs::write(attack.rootfs("hidden/x"), "secret").unwrap();
    let masked_paths = paths(&["/secret", "/hidden", "/proc/keys"]);
    let proc = Mount { kind: "proc".into(), destination: "/proc".into(), ..Mount::default() };
    *attack.mounts() = MountConfig { bare: true, mounts: vec![proc], masked_paths, ..MountConfig::default() };
    let script = "cat /secret /proc/keys; ls /hidden; (echo overwritten > /secret) ; touch /hidden/y && echo made; stat -c %t:%T /secret";
    for kind in ["link", "file", "none"] {
        let null = attack.rootfs("dev/null");
        let _ = fs::remove_file(&null);
        match kind {
            "link" => symlink("/fake", null).unwrap(),
            "file" => fs::write(null, "secret").unwrap(),
            _ => {}
        }
        assert_eq!(attack.run(&format!("({script}) 2>&-")).unwrap(), "1:3\n", "{kind}");
        assert_eq!(fs::read_to_string(attack.rootfs("fake")).unwrap(), "fake", "{kind}");
        assert_eq!(fs::read_to_string(attack.rootfs("secret")).unwrap(), "secret", "{kind}");
    }
}

/// CVE-2015-3630, CVE-2017-16539, CVE-2018-10892: all that the field masks by default is empty and takes nothing, all that it makes
/// read-only refuses every write. Files are opened for writing and nothing is written: harmless where it works.
#[test]
fn default_paths_are_protected() {
    let Some(mut attack) = Attack::new("defaults") else { return };
    attack.applets(&["find"]);
    attack.mounts().masked_paths = paths(DEFAULT_MASKED_PATHS);
    attack.mounts().readonly_paths = paths(DEFAULT_READONLY_PATHS);
    // What a sysfs of its own would refuse anyway.
    attack.config.restrict_sys = false;
    attack.config.capabilities.push("SYSLOG".into());
    let masked = DEFAULT_MASKED_PATHS.iter().map(|path| format!(
        "if [ -d {path} ]; then ls -A {path}; touch {path}/x && echo made {path}; elif [ -e {path} ]; then cat {path}; \
         [ $(stat -c %t:%T {path}) = 1:3 ] || echo plain {path}; fi; "));
    let guarded = DEFAULT_READONLY_PATHS.iter().map(|path| format!(
        "for f in $(find {path} -type f 2>/dev/null | head -n 400); do (: >> $f) && echo opened $f; done; touch {path}/x && echo made {path}; "));
    let script: String = masked.chain(guarded).collect();
    assert_eq!(attack.run(&format!("({script}) 2>/dev/null; echo end")).unwrap(), "end\n");
}

/// `restrict_sys` alone, against root with every right that does not undo mounts.
#[test]
fn restricted_paths_hold_against_all_of_them() {
    let Some(mut attack) = Attack::new("restricted-all") else { return };
    attack.applets(&["find", "dd"]);
    let more =
        ["SYS_RAWIO", "NET_ADMIN", "SYS_PTRACE", "SYSLOG", "FOWNER", "DAC_READ_SEARCH"].map(str::to_owned);
    attack.config.capabilities.extend(more);
    let script = "for f in /proc/sysrq-trigger $(find /proc/sys /proc/irq /proc/bus -type f | head -n 2000) \
            $(find /sys -maxdepth 4 -type f | head -n 1000); do (: >> $f) && echo opened $f; done; \
        for d in /proc/sys/kernel /proc/irq /sys /sys/kernel; do mkdir $d/x && echo made $d; chmod 777 $d && echo changed $d; done; \
        [ $(dd if=/proc/kcore bs=1 count=1 | wc -c) = 0 ] || echo kcore; \
        mount -o remount,rw /proc/sys && echo remounted; mount -o remount,rw /sys && echo remounted; umount /proc/sys && echo unmounted";
    assert_eq!(attack.run(&format!("({script}) 2>/dev/null; echo end")).unwrap(), "end\n");
}

/// Path, whose default list has it (moby 28, containerd 2, podman 5), and why. Ours has them all.
const MASKED: [(&str, &str, &str); 14] = [
    ("/proc/acpi", "moby containerd podman", "switches devices off (CVE-2018-10892)"),
    ("/proc/asound", "moby containerd", "sound cards: what the host plays (CVE-2015-3630)"),
    ("/proc/interrupts", "moby", "counts keystrokes and packets of all"),
    ("/proc/kcore", "moby containerd podman", "all memory"),
    ("/proc/keys", "moby containerd podman", "names of keys of all users"),
    ("/proc/latency_stats", "moby containerd podman", "what the kernel waits for (CVE-2015-3630)"),
    ("/proc/sched_debug", "moby containerd podman", "names of all processes"),
    ("/proc/scsi", "moby containerd podman", "takes disks away (CVE-2017-16539)"),
    ("/proc/timer_list", "moby containerd podman", "timers with names of all processes"),
    ("/proc/timer_stats", "moby containerd podman", "the same, counted (CVE-2015-3630)"),
    ("/sys/dev/block", "podman", "names of all disks"),
    ("/sys/devices/virtual/powercap", "moby containerd podman", "power used: a side channel (CVE-2020-8694)"),
    ("/sys/firmware", "moby containerd podman", "variables and tables of the firmware"),
    ("/sys/fs/selinux", "podman", "the policy; a library that sees it labels for it"),
];

/// The same of read-only paths. podman makes `/proc/asound` read-only, which ours masks.
const READ_ONLY: [(&str, &str, &str); 5] = [
    ("/proc/bus", "moby containerd podman", "configuration space of devices"),
    ("/proc/fs", "moby containerd podman", "settings of filesystems and of NFS"),
    ("/proc/irq", "moby containerd podman", "which processor serves what"),
    ("/proc/sys", "moby containerd podman", "settings of the kernel"),
    ("/proc/sysrq-trigger", "moby containerd podman", "reboots the host"),
];

/// moby's `/sys/devices/system/cpu/cpuN/thermal_throttle` is not in a constant list: its names depend on the host's processors.
#[test]
fn default_lists_are_those_of_the_field() {
    let names =
        |table: &[(&'static str, &str, &str)]| table.iter().map(|(path, ..)| *path).collect::<Vec<_>>();
    assert_eq!(names(&MASKED), DEFAULT_MASKED_PATHS);
    assert_eq!(names(&READ_ONLY), DEFAULT_READONLY_PATHS);
    let all = MASKED.iter().chain(&READ_ONLY);
    assert!(all.clone().all(|(_, who, why)| !who.is_empty() && !why.is_empty()));
}
