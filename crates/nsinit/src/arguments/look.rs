//! Options of the commands that look.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

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
    /// Have ps(1) print the table, with these options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) options: Vec<OsString>,
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
    /// Print the stats that often: seconds, or with a unit as in 500ms, 5s, 1m30s
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = crate::clock::interval)]
    pub(crate) interval: Duration,
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
    /// A config.json or container.json, or a directory that holds one
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Refuse unknown keys
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// `text`, or `json` for a list of objects
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    pub(crate) format: String,
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

/// Arguments of `spec`.
#[derive(Debug, Args)]
pub(crate) struct SpecArgs {
    /// Directory to write it to
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub(crate) bundle: PathBuf,
}
