//! Which capabilities a call may need: capabilities(7). Whether it does depends on what it is made on, so all of them are to be tried.

/// `SOCK_RAW`, and the family of packet(7).
const RAW: u64 = 3;
const PACKET: u64 = 17;

/// Names of the capabilities that a call may need.
pub(super) fn of(name: &str, args: &[u64; 6]) -> &'static [&'static str] {
    match name {
        "chown" | "fchown" | "lchown" | "fchownat" => &["CHOWN", "FSETID"],
        "chmod" | "fchmod" | "fchmodat" | "fchmodat2" => &["FOWNER", "FSETID"],
        "utime" | "utimes" | "utimensat" | "futimesat" => &["FOWNER"],
        "setuid" | "setreuid" | "setresuid" | "setfsuid" => &["SETUID"],
        "setgid" | "setregid" | "setresgid" | "setfsgid" | "setgroups" => &["SETGID"],
        "kill" | "tkill" | "tgkill" | "rt_sigqueueinfo" | "rt_tgsigqueueinfo" | "pidfd_send_signal" => {
            &["KILL"]
        }
        "capset" => &["SETPCAP"],
        "prctl" => privileged_option(args),
        "setxattr" | "lsetxattr" | "fsetxattr" => &["SETFCAP", "SYS_ADMIN"],
        "mknod" | "mknodat" => &["MKNOD"],
        "chroot" => &["SYS_CHROOT"],
        "socket" if args.first() == Some(&PACKET) || args.get(1).map(|kind| kind & 0xf) == Some(RAW) => {
            &["NET_RAW"]
        }
        "socket" if args.first() == Some(&16) => &["NET_ADMIN"],
        "ptrace" | "process_vm_readv" | "process_vm_writev" | "kcmp" | "pidfd_getfd" => &["SYS_PTRACE"],
        "mlock" | "mlock2" | "mlockall" => &["IPC_LOCK"],
        "setpriority" | "sched_setscheduler" | "sched_setparam" | "sched_setattr" | "sched_setaffinity"
        | "ioprio_set" => &["SYS_NICE"],
        "setrlimit" | "prlimit64" => &["SYS_RESOURCE"],
        "settimeofday" | "clock_settime" | "adjtimex" | "clock_adjtime" | "stime" => &["SYS_TIME"],
        "init_module" | "finit_module" | "delete_module" => &["SYS_MODULE"],
        "reboot" | "kexec_load" | "kexec_file_load" => &["SYS_BOOT"],
        "iopl" | "ioperm" => &["SYS_RAWIO"],
        "acct" => &["SYS_PACCT"],
        "syslog" => &["SYSLOG"],
        "vhangup" => &["SYS_TTY_CONFIG"],
        "bpf" => &["BPF", "SYS_ADMIN"],
        "perf_event_open" => &["PERFMON", "SYS_ADMIN"],
        "open_by_handle_at" => &["DAC_READ_SEARCH"],
        "mount" | "umount2" | "umount" | "pivot_root" | "setns" | "unshare" | "sethostname"
        | "setdomainname" | "swapon" | "swapoff" | "quotactl" | "open_tree" | "move_mount" | "fsopen"
        | "fsmount" | "fsconfig" | "fspick" | "mount_setattr" | "fanotify_init" => &["SYS_ADMIN"],
        "open" | "openat" | "openat2" | "creat" | "mkdir" | "mkdirat" | "unlink" | "unlinkat" | "rmdir"
        | "rename" | "renameat" | "renameat2" | "link" | "linkat" | "symlink" | "symlinkat" | "truncate"
        | "access" | "faccessat" | "faccessat2" | "chdir" | "execve" | "execveat" => &["DAC_OVERRIDE"],
        _ => &[],
    }
}

fn privileged_option(args: &[u64; 6]) -> &'static [&'static str] {
    const CAPBSET_DROP: u64 = 24;
    const SET_SECUREBITS: u64 = 28;
    match args.first() {
        Some(&(CAPBSET_DROP | SET_SECUREBITS)) => &["SETPCAP"],
        _ => &[],
    }
}
