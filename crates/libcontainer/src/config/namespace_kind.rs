//! The kinds of namespaces, one line each.

use libcontainer_plan::wire::unsigned;

/// What all kinds have, from one table: so no list of them can be short of one.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $key:literal, $file:literal, $flag:expr;)*) => {
        /// The kinds of namespaces: namespaces(7).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum NamespaceKind {
            $($(#[$doc])* $name,)*
        }

        impl NamespaceKind {
            /// All kinds.
            pub const ALL: [Self; [$($key),*].len()] = [$(Self::$name),*];

            /// The key in JSON, the name in `/proc/PID/ns`, the `CLONE_NEW…` bit.
            const fn row(self) -> (&'static str, &'static str, i32) {
                match self {
                    $(Self::$name => ($key, $file, $flag),)*
                }
            }
        }
    };
}

kinds! {
    /// `NEWNS`: mounts.
    Mount, "NEWNS", "mnt", libc::CLONE_NEWNS;
    /// `NEWUTS`: host and domain name.
    Uts, "NEWUTS", "uts", libc::CLONE_NEWUTS;
    /// `NEWIPC`: System V IPC and POSIX message queues.
    Ipc, "NEWIPC", "ipc", libc::CLONE_NEWIPC;
    /// `NEWUSER`: ids and capabilities.
    User, "NEWUSER", "user", libc::CLONE_NEWUSER;
    /// `NEWPID`: process ids.
    Pid, "NEWPID", "pid", libc::CLONE_NEWPID;
    /// `NEWNET`: network.
    Network, "NEWNET", "net", libc::CLONE_NEWNET;
    /// `NEWCGROUP`: cgroup root.
    Cgroup, "NEWCGROUP", "cgroup", libc::CLONE_NEWCGROUP;
    /// `NEWTIME`: boot and monotonic clocks.
    Time, "NEWTIME", "time", 0x80;
}

impl NamespaceKind {
    /// The key in JSON, such as `NEWPID`.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.row().0
    }

    /// The file's name in `/proc/PID/ns`.
    #[must_use]
    pub fn file(self) -> &'static str {
        self.row().1
    }

    /// The `CLONE_NEW…` bit.
    #[must_use]
    pub const fn flag(self) -> u32 {
        unsigned(self.row().2)
    }

    /// The kind with that key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.key().eq_ignore_ascii_case(key))
    }
}
