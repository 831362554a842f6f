//! Classes of resctrl: planned from the config, made by the host, entered by the init and by those that join, changed, measured, removed.

mod change;
mod going;
mod marked;
mod mounted;
mod planned;
mod schema;
mod stats;

pub(crate) use change::{Change, merged};
pub(crate) use going::{enter, remove};
pub(crate) use marked::remove_marked;
pub use mounted::ResctrlMount;
pub(crate) use planned::{Notes, Planned, ResctrlSteps, shown};
pub(crate) use stats::stats;
pub use stats::{BandwidthInfo, BandwidthStats, CacheInfo, CacheStats, ResctrlStats};
