//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::seccomp::SeccompCommand;
use crate::size;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 it could not be done; 2 the command line is wrong; 126 the program is there and can't be executed; 127 it is \
not there; 128+n signal n ended it; else the program's own.";

/// Create and run Linux containers.
#[derive(Debug, Parser)]
#[command(name = "nsinit", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Directory of the containers' state [default: /run/nsinit; without root nsinit in XDG_RUNTIME_DIR, else /tmp/nsinit-UID]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Have systemd make the control group of a new container, as a scope: `"systemd": true` in `cgroups` of container.json
    #[arg(long, global = true)]
    pub(crate) systemd_cgroup: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command in a throw-away container made from the host; without one, show what a container is
    Try(TryArgs),
    /// Make a container, run its process and wait for it
    Run(RunArgs),
    /// Make a container whose process waits for `start`
    Create(CreateArgs),
    /// Let the process of a created container run
    Start {
        /// Name of the container
        id: String,
    },
    /// Run one more process in a running container
    Exec(ExecArgs),
    /// List containers
    List(ListArgs),
    /// Print the state of a container as JSON
    State {
        /// Name of the container
        id: String,
    },
    /// Send a signal to the first process of a container
    Kill {
        /// Name of the container
        id: String,
        /// Signal, by name (with or without SIG) or number
        #[arg(default_value = "TERM")]
        signal: String,
    },
    /// Stop all processes of a container where they are
    Pause {
        /// Name of the container
        id: String,
    },
    /// Let the processes of a paused container go on
    Resume {
        /// Name of the container
        id: String,
    },
    /// Print what containers use
    Stats(StatsArgs),
    /// List the processes of a container
    Ps(PsArgs),
    /// Print interfaces, addresses, routes and counters of a running container
    Net(NetArgs),
    /// Change the limits of a running container
    Update(UpdateArgs),
    /// Print what happens to a container, a JSON object per line
    Events(EventsArgs),
    /// Remove a container that has ended
    Delete {
        /// Kill it first if it runs; it is no error if there is none
        #[arg(short, long)]
        force: bool,
        /// Name of the container
        id: String,
    },
    /// Check a container.json and print it as it was understood
    Config(FileArgs),
    /// Print the plan of a container.json without running it; needs no root
    Explain(ExplainArgs),
    /// List, show, load or remove profiles of AppArmor
    Apparmor {
        #[command(subcommand)]
        command: Option<Apparmor>,
    },
    /// Tell what this host supports, what is missing and how to get it
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// System call filters: check profiles, say what they do and how they differ
    #[command(subcommand)]
    Seccomp(SeccompCommand),
    /// Print the completion script of a shell
    Completion {
        /// Whose script
        shell: Shell,
    },
    /// What `try` runs inside
    #[command(hide = true)]
    Inside,
}

/// Subcommands of `apparmor`.
#[derive(Debug, Subcommand)]
pub(crate) enum Apparmor {
    /// List profiles that are loaded, with their modes; needs root, and is the default
    List,
    /// Print the text of the default profile
    Show {
        /// Name of the profile
        #[arg(default_value = DEFAULT_PROFILE)]
        name: String,
    },
    /// Load profiles, in place of those of the same names
    Load {
        /// File with the text of profiles
        #[arg(required_unless_present = "default")]
        file: Option<PathBuf>,
        /// The default profile, under this name
        #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = DEFAULT_PROFILE, conflicts_with = "file")]
        default: Option<String>,
    },
    /// Remove a profile: what runs under it is unconfined then
    Remove {
        /// Name of the profile
        name: String,
    },
}

/// What the default profile is called if nobody says otherwise.
const DEFAULT_PROFILE: &str = "libcontainer-default";

/// Shells that have completion scripts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

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
    pub(crate) command: Vec<std::ffi::OsString>,
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
    /// Directory with container.json and by default rootfs/
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub(crate) bundle: PathBuf,
    /// Write the pid of the process to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Refuse keys of container.json that are unknown
    #[arg(long)]
    pub(crate) strict: bool,
    /// Name of the container
    pub(crate) id: String,
    /// Program and arguments in place of those in container.json
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<std::ffi::OsString>,
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
    pub(crate) env: Vec<std::ffi::OsString>,
    /// User, such as `daemon` or `1000:1000`
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// Write the pid of the process to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Name of the container
    pub(crate) id: String,
    /// Program and arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub(crate) args: Vec<std::ffi::OsString>,
}

/// Arguments of `stats`.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// `table` or `json`, an object per line
    #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
    pub(crate) format: String,
    /// Go on, every so many seconds
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", require_equals = true)]
    pub(crate) watch: Option<u64>,
    /// Names of the containers
    #[arg(required = true)]
    pub(crate) ids: Vec<String>,
}

/// Arguments of `ps`.
#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    /// `table`, or `json` for the pids alone
    #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
    pub(crate) format: String,
    /// Name of the container
    pub(crate) id: String,
}

/// Arguments of `net`.
#[derive(Debug, Args)]
pub(crate) struct NetArgs {
    /// `table` or `json`
    #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
    pub(crate) format: String,
    /// Name of the container
    pub(crate) id: String,
}

/// Arguments of `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Print the stats once and end
    #[arg(long)]
    pub(crate) stats: bool,
    /// Print the stats every so many seconds
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub(crate) interval: u64,
    /// Name of the container
    pub(crate) id: String,
}

/// Arguments of `update`. Sizes take a suffix: k, m, g.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Read limits from a file, in the form of the OCI runtime specification; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) resources: Option<PathBuf>,
    /// Memory in bytes; -1 is none
    #[arg(long, allow_hyphen_values = true, value_parser = size::parse)]
    pub(crate) memory: Option<i64>,
    /// Soft memory limit in bytes
    #[arg(long, allow_hyphen_values = true, value_parser = size::parse)]
    pub(crate) memory_reservation: Option<i64>,
    /// Memory and swap in bytes; -1 is none
    #[arg(long, allow_hyphen_values = true, value_parser = size::parse)]
    pub(crate) memory_swap: Option<i64>,
    /// Relative weight
    #[arg(long, alias = "cpu-share")]
    pub(crate) cpu_shares: Option<u64>,
    /// Microseconds in each period; -1 is none
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) cpu_quota: Option<i64>,
    /// Period in microseconds
    #[arg(long)]
    pub(crate) cpu_period: Option<u64>,
    /// Microseconds that may be saved up
    #[arg(long)]
    pub(crate) cpu_burst: Option<u64>,
    /// 1 to run only when nothing else does
    #[arg(long)]
    pub(crate) cpu_idle: Option<i64>,
    /// Processors, such as 0-2,4
    #[arg(long)]
    pub(crate) cpuset_cpus: Option<String>,
    /// Memory nodes
    #[arg(long)]
    pub(crate) cpuset_mems: Option<String>,
    /// Number of processes; -1 is none
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) pids_limit: Option<i64>,
    /// Weight of disk access, 10 to 1000
    #[arg(long)]
    pub(crate) blkio_weight: Option<u16>,
    /// Name of the container
    pub(crate) id: String,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// `table` or `json`
    #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
    pub(crate) format: String,
    /// Print names only
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// A config file or a bundle.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// A container.json, or a directory that holds one
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Refuse unknown keys
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Plan for the reaper instead of a program
    #[arg(long)]
    pub(crate) reaper: bool,
}
