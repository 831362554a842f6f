//! Options of `update`.

use std::path::PathBuf;

use clap::Args;

use crate::size;

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
    /// Parts of the caches of level 3, such as L3:0=f;1=f
    #[arg(long, value_name = "LINES")]
    pub(crate) l3_cache_schema: Option<String>,
    /// Memory bandwidth, such as MB:0=50;1=50
    #[arg(long, value_name = "LINES")]
    pub(crate) mem_bw_schema: Option<String>,
    /// Name of the container
    pub(crate) id: String,
}
