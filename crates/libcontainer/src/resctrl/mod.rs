//! Classes of resctrl: planned from the config, made by the host, entered by the init and by those that join, removed.

mod going;
mod mounted;
mod planned;
mod schema;

pub(crate) use going::{enter, remove};
pub use mounted::ResctrlMount;
pub(crate) use planned::{Made, Planned, ResctrlSteps, shown};
