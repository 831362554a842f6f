//! Options of `checkpoint` and `restore`: those of runc.

use std::path::PathBuf;

use clap::Args;

/// What both have.
#[derive(Debug, Args)]
pub(crate) struct CriuArgs {
    /// Directory of the images [default: checkpoint in the working directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) image_path: Option<PathBuf>,
    /// Directory of criu's log and of its other files [default: that of the images]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_path: Option<PathBuf>,
    /// Take TCP connections along that are established
    #[arg(long)]
    pub(crate) tcp_established: bool,
    /// Allow Unix sockets that are connected to others outside
    #[arg(long)]
    pub(crate) ext_unix_sk: bool,
    /// Allow a session and a terminal that are not the container's own
    #[arg(long)]
    pub(crate) shell_job: bool,
    /// Take locks of files along
    #[arg(long)]
    pub(crate) file_locks: bool,
    /// What is done with control groups: `soft`, `full`, `strict` or `ignore`; soft if nothing is said
    #[arg(long, value_name = "MODE", default_value = "", hide_default_value = true, value_parser = ["", "soft", "full", "strict", "ignore"])]
    pub(crate) manage_cgroups_mode: String,
    /// Kinds of namespaces that are made empty: `network`, which always is
    #[arg(long, value_name = "KIND", value_parser = ["network"])]
    pub(crate) empty_ns: Vec<String>,
    /// Leave out of images, or punch out of those of parents, what newer ones have
    #[arg(long)]
    pub(crate) auto_dedup: bool,
    /// Memory is fetched when it is used: userfaultfd(2)
    #[arg(long)]
    pub(crate) lazy_pages: bool,
    /// The program criu [default: that in PATH]
    #[arg(long, value_name = "FILE")]
    pub(crate) criu: Option<PathBuf>,
    /// How many seconds criu may say nothing before it is ended; for ever if nothing is said
    #[arg(long, value_name = "SECONDS")]
    pub(crate) criu_timeout: Option<u64>,
}

/// Arguments of `checkpoint`.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    #[command(flatten)]
    pub(crate) criu: CriuArgs,
    /// The images before these, as a path relative to their directory: only what has changed since is written
    #[arg(long, value_name = "DIR")]
    pub(crate) parent_path: Option<PathBuf>,
    /// Let the container go on afterwards
    #[arg(long)]
    pub(crate) leave_running: bool,
    /// Leave out TCP connections that are being made
    #[arg(long)]
    pub(crate) tcp_skip_in_flight: bool,
    /// Allow files that were unlinked: links are made of them for the time being
    #[arg(long)]
    pub(crate) link_remap: bool,
    /// Descriptor that gets a byte of 0 when pages can be fetched, with --lazy-pages
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) status_fd: Option<i32>,
    /// A criu page-server to which memory goes
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) page_server: Option<String>,
    /// Write memory only, to be followed by another checkpoint; the container goes on
    #[arg(long)]
    pub(crate) pre_dump: bool,
    /// Name of the container
    pub(crate) id: String,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    pub(crate) criu: CriuArgs,
    /// Directory with config.json or container.json and by default rootfs/
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub(crate) bundle: PathBuf,
    /// Leave it running and return at once
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Write the pid of the process to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Send the master of its terminal to this Unix socket
    #[arg(long, value_name = "SOCKET")]
    pub(crate) console_socket: Option<PathBuf>,
    /// Accepted for callers of other runtimes: criu makes the root
    #[arg(long, hide = true)]
    pub(crate) no_pivot: bool,
    /// Accepted for callers of other runtimes: nsinit is no subreaper
    #[arg(long, hide = true)]
    pub(crate) no_subreaper: bool,
    /// containerd writes `-no-subreaper`
    #[arg(short = 'n', hide = true, value_parser = ["o-subreaper"])]
    pub(crate) one_dash: Option<String>,
    /// Close TCP connections that are in the images
    #[arg(long)]
    pub(crate) tcp_close: bool,
    /// Profile or label of all processes instead of their own, such as `apparmor:NAME`
    #[arg(long, value_name = "TYPE:NAME")]
    pub(crate) lsm_profile: Option<String>,
    /// SELinux context of mounts instead of their own
    #[arg(long, value_name = "CONTEXT")]
    pub(crate) lsm_mount_context: Option<String>,
    /// Name of the container
    pub(crate) id: String,
}
