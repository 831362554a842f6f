//! The command line, as clap reads it.

mod criu;
mod global;
mod late;
mod limits;
mod look;
mod process;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::seccomp::SeccompCommand;

pub(crate) use criu::{CheckpointArgs, CriuArgs, RestoreArgs};
pub(crate) use global::{Global, Groups, LogFormat};
pub(crate) use late::Late;
pub(crate) use limits::UpdateArgs;
pub(crate) use look::{
    EventsArgs, ExplainArgs, FileArgs, ListArgs, NetArgs, PsArgs, SpecArgs, StatsArgs, ValidateArgs,
};
pub(crate) use process::{CreateArgs, ExecArgs, ProcessArgs, RunArgs, TryArgs};

/// As callers of OCI runtimes read it: three lines. The last is crun's, of what is always built in.
const VERSION: &str = concat!(
    "version ",
    env!("CARGO_PKG_VERSION"),
    "\nspec: 1.3.0\n+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +CRIU"
);

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 it could not be done; 2 the command line is wrong; 126 the program is there and can't be executed; 127 it is \
not there; 128+n signal n ended it; else the program's own.";

/// Create and run Linux containers.
#[derive(Debug, Parser)]
#[command(name = "nsinit", version = VERSION, disable_version_flag = true, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Print version
    #[arg(id = "version", short = 'v', short_alias = 'V', long, action = ArgAction::Version)]
    _version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command in a throw-away container made from the host; without one, show what a container is
    Try(Late<TryArgs>),
    /// Make a container, run its process and wait for it
    Run(Late<RunArgs>),
    /// Make a container whose process waits for `start`
    Create(Late<CreateArgs>),
    /// Let the process of a created container run
    Start(Late<NameArgs>),
    /// Run one more process in a running container
    Exec(Late<ExecArgs>),
    /// List containers
    List(Late<ListArgs>),
    /// Print the state of a container as JSON
    State(Late<NameArgs>),
    /// Send a signal to the first process of a container
    Kill {
        /// To all its processes
        #[arg(short, long)]
        all: bool,
        /// Name of the container
        id: String,
        /// Signal, by name (with or without SIG) or number
        #[arg(default_value = "TERM")]
        signal: String,
    },
    /// Stop all processes of a container where they are
    Pause(Late<NameArgs>),
    /// Let the processes of a paused container go on
    Resume(Late<NameArgs>),
    /// Write a running container to files, by criu, and end it
    Checkpoint(Late<CheckpointArgs>),
    /// Make a container of what `checkpoint` has written
    Restore(Late<RestoreArgs>),
    /// Print what containers use
    Stats(Late<StatsArgs>),
    /// List the processes of a container
    Ps(Late<PsArgs>),
    /// Print interfaces, addresses, routes and counters of a running container
    Net(Late<NetArgs>),
    /// List the mounts of a running container, add some, take them away
    #[command(subcommand)]
    Mounts(Late<Mounts>),
    /// Change the limits of a running container
    Update(Late<UpdateArgs>),
    /// Print what happens to a container, a JSON object per line
    Events(Late<EventsArgs>),
    /// Remove a container that has ended
    Delete {
        /// Kill it first if it runs; it is no error if there is none
        #[arg(short, long)]
        force: bool,
        /// All whose names match: the name is a regular expression, which a part of theirs may match
        #[arg(long)]
        regex: bool,
        /// Name of the container
        id: String,
    },
    /// Write a config.json to begin with
    Spec(Late<SpecArgs>),
    /// Print what this program can do, as the OCI runtime specification has it
    Features,
    /// Tell everything that is wrong with a config.json or container.json, each with its JSON pointer; exit code 1 if anything is
    Validate(Late<ValidateArgs>),
    /// Check a config.json or container.json, and print what is understood as container.json
    Config(Late<FileArgs>),
    /// Print the plan of a config without running it; needs no root
    Explain(Late<ExplainArgs>),
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
    Seccomp(Late<SeccompCommand>),
    /// Print the completion script of a shell
    Completion {
        /// Whose script
        shell: Shell,
    },
    /// What `try` runs inside
    #[command(hide = true)]
    Inside,
}

/// Subcommands of `mounts`.
#[derive(Debug, Subcommand)]
pub(crate) enum Mounts {
    /// List all that its first process sees
    List {
        /// `table` or `json`
        #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
        format: String,
        /// Name of the container
        id: String,
    },
    /// Mount a file or directory of the host, or a tmpfs
    Add {
        /// `bind` or `tmpfs`
        #[arg(short = 't', long = "type", default_value = "bind", value_name = "TYPE")]
        kind: String,
        /// Options as in config.json, separated by commas
        #[arg(short, long, default_value = "", value_name = "OPTIONS")]
        options: String,
        /// Name of the container
        id: String,
        /// Path on the host; of a tmpfs any word
        source: PathBuf,
        /// Path inside, made if it is missing
        destination: PathBuf,
    },
    /// Unmount what was added
    Remove {
        /// Name of the container
        id: String,
        /// Path inside
        destination: PathBuf,
    },
}

/// Arguments of commands that take nothing else.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// Name of the container
    pub(crate) id: String,
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
