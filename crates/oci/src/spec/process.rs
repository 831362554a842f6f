//! `process`.

use std::path::PathBuf;

use libcontainer::Problem;

use super::borrowed::{CpuAffinity, IoPriority, Rlimit, Scheduler};
use super::object::object;
use super::read;

object! {
    /// The program, or one that joins (`exec --process`).
    Process {
        /// It has a terminal of its own.
        terminal: bool = "terminal",
        /// Size of the terminal, in characters.
        console_size: Option<ConsoleSize> = "consoleSize",
        /// Who it is.
        always user: User = "user",
        /// The program and its arguments.
        args: Vec<String> = "args",
        /// Command line of Windows; of no meaning here.
        command_line: String = "commandLine",
        /// The whole environment, each `NAME=value`.
        env: Vec<String> = "env",
        /// Working directory.
        always cwd: PathBuf = "cwd",
        /// Its capabilities; none if absent.
        capabilities: Option<Capabilities> = "capabilities",
        /// Resource limits.
        rlimits: Vec<Rlimit> = "rlimits",
        /// No program gains rights by exec.
        no_new_privileges: bool = "noNewPrivileges",
        /// AppArmor profile.
        apparmor_profile: String = "apparmorProfile",
        /// Adjustment for the out-of-memory killer.
        oom_score_adj: Option<i32> = "oomScoreAdj",
        /// Scheduling policy.
        scheduler: Option<Scheduler> = "scheduler",
        /// SELinux label.
        selinux_label: String = "selinuxLabel",
        /// Priority of input and output.
        io_priority: Option<IoPriority> = "ioPriority",
        /// CPUs of a program that joins.
        exec_cpu_affinity: Option<CpuAffinity> = "execCPUAffinity",
        /// As those of a [`Spec`](super::Spec), if this is the whole text.
        beside notes: Vec<Problem>,
    }
}

impl Process {
    /// Reads what `exec --process` is given.
    ///
    /// # Errors
    /// As [`Spec::from_json`](super::Spec::from_json).
    pub fn from_json(text: &[u8]) -> Result<Self, super::Error> {
        let (process, notes) = read::read::<Self>(text)?;
        Ok(Self { notes, ..process })
    }
}

object! {
    /// Size of a terminal, in characters.
    ConsoleSize {
        /// Rows.
        always height: u64 = "height",
        /// Columns.
        always width: u64 = "width",
    }
}

object! {
    /// Who a program is.
    User {
        /// User id inside.
        always uid: u32 = "uid",
        /// Group id inside.
        always gid: u32 = "gid",
        /// File mode creation mask.
        umask: Option<u32> = "umask",
        /// Further groups.
        additional_gids: Vec<u32> = "additionalGids",
        /// Name on Windows; of no meaning here.
        username: String = "username",
    }
}

object! {
    /// Names of capabilities, such as `CAP_KILL`.
    Capabilities {
        /// Bounding set.
        bounding: Vec<String> = "bounding",
        /// Effective set.
        effective: Vec<String> = "effective",
        /// Inheritable set.
        inheritable: Vec<String> = "inheritable",
        /// Permitted set.
        permitted: Vec<String> = "permitted",
        /// Ambient set.
        ambient: Vec<String> = "ambient",
    }
}
