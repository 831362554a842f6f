//! What a caller may ask of a checkpoint and of a restore: runc's options, by the same names.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

/// What a checkpoint and a restore have in common: criu(8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriuOptions {
    /// Directory of the images. Made by a checkpoint if it is missing, with mode 0700; the one above it must be there.
    pub images: PathBuf,
    /// Directory of criu's log and of its other files, made likewise; that of the images if `None`.
    pub work: Option<PathBuf>,
    /// The program; `criu` in this process's `PATH` if `None`.
    pub program: Option<PathBuf>,
    /// How long criu may say nothing; for ever if `None`, as it says nothing while it writes memory. It has 10 s at most to say which version it is.
    pub silence: Option<Duration>,
    /// Take TCP connections along that are established.
    pub tcp_established: bool,
    /// Allow Unix sockets that are connected to others outside.
    pub external_unix_sockets: bool,
    /// Allow a session and a terminal that are not the container's own.
    pub shell_job: bool,
    /// Take locks of files along.
    pub file_locks: bool,
    /// What is done with control groups.
    pub manage_cgroups: ManageCgroups,
    /// Leave out of images, or punch out of those of parents, what newer ones have.
    pub auto_dedup: bool,
    /// Memory is fetched when it is used: from the process that makes the checkpoint, by `criu lazy-pages`.
    pub lazy_pages: bool,
}

/// What criu does with control groups: `--manage-cgroups` of criu(8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManageCgroups {
    /// As criu has it by itself: `soft`.
    #[default]
    Default,
    /// Nothing.
    Ignore,
    /// Properties of groups that it had to make.
    Soft,
    /// Properties of all groups.
    Full,
    /// As `Full`, and a group that is there already is an error.
    Strict,
}

impl ManageCgroups {
    /// By its name for the command line; `None` for a word that is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "" => Self::Default,
            "ignore" => Self::Ignore,
            "soft" => Self::Soft,
            "full" => Self::Full,
            "strict" => Self::Strict,
            _ => return None,
        })
    }

    /// criu's number.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Ignore => 0,
            Self::Soft => 3,
            Self::Full => 4,
            Self::Strict => 5,
            Self::Default => 6,
        }
    }
}

/// What a checkpoint is to be: [`Container::checkpoint`](crate::Container::checkpoint).
#[derive(Debug, Default)]
pub struct CheckpointOptions {
    /// What it has in common with a restore.
    pub criu: CriuOptions,
    /// Let the container go on afterwards.
    pub leave_running: bool,
    /// Leave out TCP connections that are being made.
    pub tcp_skip_in_flight: bool,
    /// Allow files that were unlinked: links are made of them for the time being.
    pub link_remap: bool,
    /// Write memory only, to be followed by another checkpoint; the container goes on.
    pub pre_dump: bool,
    /// The images before these, as a path relative to their directory: only what has changed since is written.
    pub parent: Option<PathBuf>,
    /// Address and port of a `criu page-server` to which memory goes.
    pub page_server: Option<(String, u16)>,
    /// Gets a byte of 0 when pages can be fetched, with [`CriuOptions::lazy_pages`].
    pub status: Option<OwnedFd>,
}

/// What a restore is to be: [`Factory::restore`](crate::Factory::restore).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// What it has in common with a checkpoint.
    pub criu: CriuOptions,
    /// The profile or label of all processes instead of their own, such as `apparmor:NAME`.
    pub lsm_profile: Option<String>,
    /// The SELinux context of mounts instead of their own.
    pub lsm_mount_context: Option<String>,
    /// Close TCP connections that are in the images.
    pub tcp_close: bool,
}
