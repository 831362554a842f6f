//! Configs of what is confined most.

use std::path::Path;

use serde_json::{Value, json};

/// What calls that the filter does not know fail with. No fault has it, and no kernel.
const REFUSED: i32 = libc::EXFULL;
/// What the agent says to calls that are left to it.
pub(crate) const ANSWERED: i32 = libc::EL2HLT;
/// All that busybox and a probe need.
const ALLOWED: &[&str] = &[
    "access",
    "arch_prctl",
    "brk",
    "clock_nanosleep",
    "close",
    "execve",
    "exit",
    "exit_group",
    "fcntl",
    "fstat",
    "get_mempolicy",
    "getcwd",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getppid",
    "getrandom",
    "getuid",
    "ioctl",
    "ioprio_get",
    "lseek",
    "mmap",
    "mprotect",
    "munmap",
    "nanosleep",
    "newfstatat",
    "open",
    "openat",
    "poll",
    "prctl",
    "prlimit64",
    "read",
    "readlink",
    "readlinkat",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sendfile",
    "set_robust_list",
    "set_tid_address",
    "setgid",
    "setuid",
    "uname",
    "write",
    "writev",
];

/// A filter that leaves mkdir(2) to the agent at `socket`.
pub(crate) fn listened(socket: &Path) -> Value {
    json!({"seccomp": {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": socket,
        "listenerMetadata": "faults",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]
    }})
}

/// Rules for files, a filter of what may be, and all that says when and where it runs.
pub(crate) fn guarded() -> Value {
    // A kernel without NUMA has no memory policies.
    let numa = Path::new("/proc/self/numa_maps").exists();
    let memory = if numa { json!({"mode": "MPOL_BIND", "nodes": "0"}) } else { Value::Null };
    json!({
        "seccomp": {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": REFUSED,
            "syscalls": [{"names": ALLOWED, "action": "SCMP_ACT_ALLOW"}]
        },
        "landlock": {
            "enforce": "required",
            "handled": ["execute", "read_file", "write_file", "make_reg"],
            "paths": [
                {"path": "/bin", "access": ["execute", "read_file"]},
                {"path": "/etc/passwd", "access": ["read_file"]},
                {"path": "/dev/null", "access": ["read_file", "write_file"]}
            ]
        },
        "scheduler": {"policy": "SCHED_BATCH", "nice": 3},
        "io_priority": {"class": "IOPRIO_CLASS_BE", "priority": 6},
        "cpu_affinity": {"initial": "0", "final": "0"},
        "memory_policy": memory
    })
}
