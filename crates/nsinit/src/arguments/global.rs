//! Options of all commands.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// Options that stand before or behind the command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Directory of the containers' state [default: /run/nsinit; without root nsinit in XDG_RUNTIME_DIR, else /tmp/nsinit-UID]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Append errors and warnings to this file too
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// How they are written there
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// What is written there at least: nothing here is told below `warning`
    #[arg(long, global = true, value_name = "LEVEL", hide = true)]
    pub(crate) log_level: Option<String>,
    /// Tell too what is left out of a config.json
    #[arg(long, global = true)]
    pub(crate) debug: bool,
    /// Have systemd make the control group of a new container, as a scope: `"systemd": true` in `cgroups` of container.json
    #[arg(long, global = true)]
    pub(crate) systemd_cgroup: bool,
    /// Who makes control groups; `disabled` leaves containers in the caller's
    #[arg(long, global = true, value_enum, value_name = "WHO", conflicts_with = "systemd_cgroup")]
    pub(crate) cgroup_manager: Option<Groups>,
    /// Whether a control group that can't be made may be missing: `auto` is so without root. With `spec`: write a config for an ordinary user
    #[arg(long, global = true, value_name = "WHETHER", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "auto", action = ArgAction::Set, value_parser = ["auto", "true", "false"])]
    pub(crate) rootless: String,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `time="…" level=error msg="…"`
    Text,
    /// An object per line
    Json,
}

/// Who makes control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Groups {
    /// nsinit
    Cgroupfs,
    /// systemd
    Systemd,
    /// Nobody
    Disabled,
}
