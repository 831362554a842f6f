//! The control group of a container: planned from the config, made and limited by the host, entered by the init, frozen, changed.

mod entry;
mod freezer;
mod limits;
mod planned;
mod process_limit;
mod shown;
mod unit;

pub(crate) use entry::{Entry, PATIENCE, WayIn, setup};
pub(crate) use freezer::{frozen, let_die};
pub(crate) use limits::change;
pub(crate) use planned::{GroupSteps, Planned};
pub(crate) use process_limit::{check_move, explain, limit_of};
pub(crate) use shown::shown;
pub(crate) use unit::{attach, stop};
