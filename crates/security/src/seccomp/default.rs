//! The profile of containers that ask for none: what programs need, without what has let them out of containers or into the kernel.
//!
//! It has the effect of Docker's default of autumn 2026; the groups and the reasons are ours.

use super::action::{Action, Outcome};
use super::arch::Arch;
use super::docker::Kernel;
use super::profile::{Arg, Operator, Profile, Rule};
use super::syscalls::Name;
use super::wanted::{Clause, Names, Wanted};
use crate::capability::{CapSet, Capability};

/// The system calls of a text, looked up by the compiler: what no architecture has is an error of compiling.
macro_rules! names {
    ($text:expr) => {{
        const TEXT: &[u8] = $text.as_bytes();
        const NAMES: [Name; words(TEXT)] = known(TEXT);
        &NAMES
    }};
}

/// How many words there are, with one blank or more between them.
#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn words(text: &[u8]) -> usize {
    let (mut at, mut words) = (0, 0);
    while at < text.len() {
        if text[at] != b' ' && (at == 0 || text[at - 1] == b' ') {
            words += 1;
        }
        at += 1;
    }
    words
}

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn known<const N: usize>(text: &[u8]) -> [Name; N] {
    let (mut all, mut word, mut rest) = ([Name::known(b"read"); N], 0, text);
    while word < N {
        while let [b' ', behind @ ..] = rest {
            rest = behind;
        }
        let mut end = 0;
        while end < rest.len() && rest[end] != b' ' {
            end += 1;
        }
        let (name, behind) = rest.split_at(end);
        all[word] = Name::known(name);
        rest = behind;
        word += 1;
    }
    all
}

/// System calls that every container may make, by what they are for. What is missing fails with EPERM: among others those that
/// lend kernel code to the caller (bpf, io_uring, userfaultfd, perf_event_open), keys, which have no namespace (add_key, keyctl, request_key),
/// what changes the machine (kexec_load, swapon, settimeofday, modules), mounts and namespaces, and calls of 30 years ago.
const EVERYONE: [(&str, &[Name]); 17] = [
    (
        "Files by name: what a user may do is a matter of modes and labels",
        names!(
            "access chdir chmod chown chown32 creat faccessat faccessat2 fchmodat fchmodat2 fchownat fstatat64 futimesat getcwd \
         getxattr getxattrat lchown lchown32 lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lsetxattr \
         lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 readlink readlinkat \
         removexattr removexattrat rename renameat renameat2 rmdir setxattr setxattrat stat stat64 statfs statfs64 statx \
         symlink symlinkat truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes"
        ),
    ),
    (
        "Open files",
        names!(
            "_llseek close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 fallocate fchdir fchmod fchown \
         fchown32 fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatfs fstatfs64 \
         fsync ftruncate ftruncate64 getdents getdents64 ioctl lseek memfd_create memfd_secret pipe pipe2 pread64 preadv \
         preadv2 pwrite64 pwritev pwritev2 read readahead readv sendfile sendfile64 splice sync sync_file_range syncfs tee \
         vmsplice write writev"
        ),
    ),
    ("What is mounted, of the own namespace", names!("listmount statmount")),
    (
        "Waiting for files",
        names!(
            "_newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old \
         eventfd eventfd2 poll ppoll ppoll_time64 pselect6 pselect6_time64 select"
        ),
    ),
    (
        "Changes of files; marks alone, as the groups need a capability",
        names!("fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch"),
    ),
    (
        "Files in the background, the old way",
        names!("io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit"),
    ),
    (
        "The own memory",
        names!(
            "brk cachestat madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap mseal \
         msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages"
        ),
    ),
    (
        "Programs and threads; clone has conditions of its own",
        names!(
            "execve execveat exit exit_group fork get_robust_list get_thread_area getcpu gettid getpid getppid pidfd_open \
         restart_syscall rseq set_robust_list set_thread_area set_tid_address vfork wait4 waitid waitpid"
        ),
    ),
    ("Locks between threads", names!("futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake")),
    (
        "Signals, within the own process namespace",
        names!(
            "alarm kill pause pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn \
         rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sigprocmask \
         sigreturn tgkill tkill"
        ),
    ),
    (
        "Users, groups and rights: the capabilities say which",
        names!(
            "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 \
         getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 \
         setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32"
        ),
    ),
    (
        "Confinement of oneself",
        names!("landlock_add_rule landlock_create_ruleset landlock_restrict_self prctl seccomp"),
    ),
    (
        "Sessions, limits, processors and their time",
        names!(
            "getpgid getpgrp getpriority getrlimit getrusage getsid ioprio_get ioprio_set prlimit64 sched_get_priority_max \
         sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval \
         sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield setpgid \
         setpriority setrlimit setsid sysinfo times ugetrlimit uname"
        ),
    ),
    (
        "Clocks and timers; setting a clock takes a capability",
        names!(
            "adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 \
         clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete \
         timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime \
         timerfd_gettime64 timerfd_settime timerfd_settime64"
        ),
    ),
    (
        // What socketcall is about can't be seen: a label has to keep 32-bit programs from AF_ALG.
        "Sockets; socket has conditions of its own",
        names!(
            "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg \
         send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair"
        ),
    ),
    (
        "IPC, which has a namespace",
        names!(
            "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink \
         msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget"
        ),
    ),
    ("Randomness, and what processors tell of themselves", names!("getrandom riscv_hwprobe uretprobe")),
];

/// What single architectures need: their names by Go, and the calls.
const BY_ARCH: [(&[Arch], &[Name]); 6] = [
    (&[Arch::Ppc64Le], names!("swapcontext sync_file_range2")),
    (
        &[Arch::Arm, Arch::Aarch64],
        names!("arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"),
    ),
    (&[Arch::X86_64, Arch::X32], names!("arch_prctl")),
    (&[Arch::X86_64, Arch::X32, Arch::X86], names!("modify_ldt")),
    (&[Arch::S390, Arch::S390X], names!("s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr")),
    (&[Arch::Riscv64], names!("riscv_flush_icache")),
];

/// What the kernel would allow a holder of the capability only, or what is safe in such hands only.
const BY_CAPABILITY: [(&str, &[Name]); 14] = [
    ("DAC_READ_SEARCH", names!("open_by_handle_at")),
    (
        "SYS_ADMIN",
        names!(
            "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules \
         lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname \
         sethostname setns syslog umount umount2 unshare"
        ),
    ),
    ("SYS_BOOT", names!("reboot")),
    ("SYS_CHROOT", names!("chroot")),
    ("SYS_MODULE", names!("delete_module finit_module init_module")),
    ("SYS_PACCT", names!("acct")),
    ("SYS_PTRACE", names!("kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace")),
    ("SYS_RAWIO", names!("ioperm iopl")),
    ("SYS_TIME", names!("clock_settime clock_settime64 settimeofday stime")),
    ("SYS_TTY_CONFIG", names!("vhangup")),
    ("SYS_NICE", names!("get_mempolicy mbind set_mempolicy set_mempolicy_home_node")),
    ("SYSLOG", names!("syslog")),
    ("BPF", names!("bpf")),
    ("PERFMON", names!("perf_event_open")),
];

/// Before Linux 4.8 a tracer could get past the filter.
const TRACING: &[Name] = names!("process_vm_readv process_vm_writev ptrace");
const TRACING_SINCE: Kernel = (4, 8);

/// `CLONE_NEW*` without the time namespace, whose bit is part of the signal's number here.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// Address families that no kernel has any more, and those that lead out of the network namespace (AF_VSOCK, 40) or into rarely
/// watched code (AF_ALG, 38): DECnet, Econet, ATM SVC, IrDA, WAN pipe, ISDN, CAIF. All above AF_MCTP (45) are newer than this list.
const NO_FAMILIES: [u64; 9] = [12, 19, 20, 23, 25, 34, 37, 38, 40];
const LAST_FAMILY: u64 = 45;

/// Linux, 32-bit inode numbers for NFS, both with addresses at the low end (ADDR_NO_RANDOMIZE is not), and the question which it is.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

const ENOSYS: u32 = 38;

/// The profile for a container whose bounding set is `caps`, on this architecture and kernel. Programs of the 32-bit architectures that the
/// kernel of `arch` runs may call, too.
#[must_use]
pub fn default_profile(caps: &CapSet, arch: Arch, kernel: Kernel) -> Profile {
    let rules = rules(caps, arch, kernel);
    Profile {
        architectures: with(arch).to_vec(),
        syscalls: rules.iter().map(Given::rule).collect(),
        ..Profile::new(Action::Errno)
    }
}

/// The same, for the compiler.
pub(super) fn with_rules<T>(
    (caps, arch, kernel): (&CapSet, Arch, Kernel),
    compile: impl FnOnce(&Wanted<'_>) -> T,
) -> T {
    let rules = rules(caps, arch, kernel);
    let default = Outcome::new(Action::Errno, None);
    compile(&Wanted { default, architectures: with(arch), rules: rules.iter().map(Given::clause).collect() })
}

/// A rule of the default profile.
struct Given {
    names: &'static [Name],
    action: Action,
    errno: Option<u32>,
    arg: Option<Arg>,
}

impl Given {
    fn rule(&self) -> Rule {
        let names = self.names.iter().map(|name| name.text().to_owned()).collect();
        let args = self.arg.into_iter().collect();
        Rule { names, action: self.action, errno_ret: self.errno, args }
    }

    fn clause(&self) -> Clause<'_> {
        let outcome = Outcome::new(self.action, self.errno);
        Clause { names: Names::Known(self.names), args: self.arg.as_slice(), outcome }
    }
}

fn rules(caps: &CapSet, arch: Arch, kernel: Kernel) -> Vec<Given> {
    let mut rules = Vec::with_capacity(96);
    rules.extend(EVERYONE.iter().map(|(_, names)| allow(names)));
    if kernel >= TRACING_SINCE {
        rules.push(allow(TRACING));
    }
    rules.extend(families());
    rules.extend(PERSONALITIES.map(|value| only(names!("personality"), 0, Operator::Eq, value)));
    rules.extend(BY_ARCH.iter().filter(|(archs, _)| archs.contains(&arch)).map(|(_, names)| allow(names)));
    let holds = |name: &str| name.parse::<Capability>().is_ok_and(|capability| caps.contains(capability));
    rules.extend(BY_CAPABILITY.iter().filter(|(name, _)| holds(name)).map(|(_, names)| allow(names)));
    if !holds("SYS_ADMIN") {
        // s390 has the flags in the second argument.
        let flags = if matches!(arch, Arch::S390 | Arch::S390X) { 1 } else { 0 };
        rules.push(only(names!("clone"), flags, Operator::MaskedEq, NEW_NAMESPACES));
        // Its flags lie in memory. The C library goes on with clone if it does not exist.
        rules.push(Given { action: Action::Errno, errno: Some(ENOSYS), ..allow(names!("clone3")) });
    }
    rules
}

/// The architectures that run beside one.
fn with(arch: Arch) -> &'static [Arch] {
    match arch {
        Arch::X86_64 => &[Arch::X86_64, Arch::X86, Arch::X32],
        Arch::Aarch64 => &[Arch::Aarch64, Arch::Arm],
        Arch::Mips64 => &[Arch::Mips64, Arch::Mips, Arch::Mips64N32],
        Arch::Mips64N32 => &[Arch::Mips64N32, Arch::Mips, Arch::Mips64],
        Arch::Mipsel64 => &[Arch::Mipsel64, Arch::Mipsel, Arch::Mipsel64N32],
        Arch::Mipsel64N32 => &[Arch::Mipsel64N32, Arch::Mipsel, Arch::Mipsel64],
        Arch::S390X => &[Arch::S390X, Arch::S390],
        Arch::Riscv64 => &[Arch::Riscv64],
        Arch::Loongarch64 => &[Arch::Loongarch64],
        _ => &[],
    }
}

fn allow(names: &'static [Name]) -> Given {
    Given { names, action: Action::Allow, errno: None, arg: None }
}

/// Allows a call with such an argument; a mask is compared with nothing.
fn only(name: &'static [Name], index: u32, op: Operator, value: u64) -> Given {
    Given { arg: Some(Arg { index, value, value_two: 0, op }), ..allow(name) }
}

/// One rule for each run of families would need two conditions on one argument, which are alternatives: so one for each family.
fn families() -> impl Iterator<Item = Given> {
    let (first, rest) = (NO_FAMILIES.first().copied().unwrap_or(0), LAST_FAMILY + 1);
    let others = (first..rest).filter(|family| !NO_FAMILIES.contains(family));
    let below = only(names!("socket"), 0, Operator::Lt, first);
    [below].into_iter().chain(others.map(|family| only(names!("socket"), 0, Operator::Eq, family)))
}
