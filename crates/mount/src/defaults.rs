//! Paths that engines hide or protect by habit. Nothing uses them unless a config names them.

/// Paths that Docker, containerd or Podman hide from every container that is not privileged: memory of the kernel, keys, timers and tables
/// of the scheduler, disks, firmware, the policy of SELinux. For [`crate::MountConfig::masked_paths`]; a path that is not there needs no hiding.
pub const DEFAULT_MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];

/// Paths that the same engines make read-only: settings of the whole kernel, interrupts, buses. For
/// [`crate::MountConfig::readonly_paths`]. `restrict_sys` of 2014 covers some of them: `/proc/sys`, `/proc/sysrq-trigger`, `/proc/irq`
/// and `/proc/bus`.
pub const DEFAULT_READONLY_PATHS: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MountConfig;

    #[test]
    fn they_are_paths_that_a_config_takes_and_has_not_by_itself() {
        let paths = |list: &[&str]| list.iter().map(Into::into).collect();
        let config = MountConfig {
            masked_paths: paths(DEFAULT_MASKED_PATHS),
            readonly_paths: paths(DEFAULT_READONLY_PATHS),
            ..MountConfig::default()
        };
        assert_eq!(config.problems(), []);
        assert!(DEFAULT_MASKED_PATHS.iter().all(|path| !DEFAULT_READONLY_PATHS.contains(path)));
        assert!(MountConfig::default().masked_paths.is_empty());
    }
}
