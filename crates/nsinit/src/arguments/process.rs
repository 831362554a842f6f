//! Options of the commands that start processes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// Arguments of `try`.
#[derive(Debug, Default, Args)]
pub(crate) struct TryArgs {
    /// Lay an overlay over /usr, so that the command can write there; it is thrown away
    #[arg(long)]
    pub(crate) writable: bool,
    /// Give it an address, a default route and the host's DNS servers: on a bridge of its own that goes with it, without root by pasta
    #[arg(long)]
    pub(crate) net: bool,
    /// Draw the start-up to this file as SVG
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) timeline: Option<PathBuf>,
    /// Have the container stand by before the command is handed to it, and say what both took
    #[arg(long, conflicts_with = "timeline", requires = "command")]
    pub(crate) warm: bool,
    /// Command and arguments
    #[arg(last = true)]
    pub(crate) command: Vec<OsString>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Leave it running and return at once
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Keep the container's directory after the process has ended
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) create: CreateArgs,
}

/// Arguments of `create` and `run`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Directory with config.json or container.json and by default rootfs/
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub(crate) bundle: PathBuf,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
    /// Move the rootfs over `/` and change root instead of pivot_root(2): for a rootfs on a ramdisk
    #[arg(long)]
    pub(crate) no_pivot: bool,
    /// Leave the process in the caller's session keyring
    #[arg(long)]
    pub(crate) no_new_keyring: bool,
    /// Take this one if the bundle has both a config.json and a container.json
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Refuse keys of container.json that are unknown
    #[arg(long)]
    pub(crate) strict: bool,
    /// Name of the container
    pub(crate) id: String,
    /// Program and arguments in place of those in container.json
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<OsString>,
}

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// Give the process a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Leave it running and return at once
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Working directory inside
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Add a variable to the environment
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<OsString>,
    /// User, such as `daemon` or `1000:1000`
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
    /// Groups, by number
    #[arg(short = 'g', long, value_name = "GID")]
    pub(crate) additional_gids: Vec<u32>,
    /// Add a capability to those of the container
    #[arg(short, long, value_name = "NAME")]
    pub(crate) cap: Vec<String>,
    /// Label of SELinux
    #[arg(long, value_name = "LABEL")]
    pub(crate) process_label: Option<String>,
    /// Profile of AppArmor
    #[arg(long, value_name = "PROFILE")]
    pub(crate) apparmor: Option<String>,
    /// Set no_new_privs
    #[arg(long)]
    pub(crate) no_new_privs: bool,
    /// Put it into a control group below the container's, which has to be there; with `CONTROLLER[,CONTROLLER]:GROUP` in the hierarchies of these alone
    #[arg(long, value_name = "GROUP")]
    pub(crate) cgroup: Vec<String>,
    /// Do so in a paused container too: it goes on when the container does
    #[arg(long)]
    pub(crate) ignore_paused: bool,
    /// Read the process from a file, in the form of `process` in config.json
    #[arg(short = 'p', long = "process", value_name = "FILE", conflicts_with_all = ["args", "cwd", "env", "user"])]
    pub(crate) file: Option<PathBuf>,
    /// Name of the container
    pub(crate) id: String,
    /// Program and arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required_unless_present = "file")]
    pub(crate) args: Vec<OsString>,
}

/// What the caller and a process that it starts have to do with each other.
#[derive(Debug, Args)]
pub(crate) struct ProcessArgs {
    /// Write the pid of the process to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Send the master of its terminal to this Unix socket
    #[arg(long, value_name = "SOCKET")]
    pub(crate) console_socket: Option<PathBuf>,
    /// Send a pidfd of the process to this Unix socket
    #[arg(long, value_name = "SOCKET")]
    pub(crate) pidfd_socket: Option<PathBuf>,
    /// Hand on so many more descriptors, from 3 or behind those of LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) preserve_fds: u32,
    /// Accepted for callers of other runtimes: nsinit is no subreaper
    #[arg(long, hide = true)]
    pub(crate) no_subreaper: bool,
}
