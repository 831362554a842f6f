//! The control group of a container: planned from the config, made and limited by the host, entered by the init, frozen, changed.

mod entry;
mod freezer;
mod limits;
mod mark;
mod own;
mod planned;
mod process_limit;
mod shown;
mod unit;

pub(crate) use entry::{Entry, WayIn, setup, setup_shown};
pub(crate) use freezer::{frozen, let_die};
pub(crate) use limits::change;
pub(crate) use mark::{beginning_of, end_marked, is_anothers, living_like, marked, token, token_of};
pub(crate) use own::own;
pub(crate) use planned::{GroupSteps, Planned, give_step};
pub(crate) use process_limit::{check_move, explain, limit_of};
pub(crate) use shown::shown;
pub(crate) use unit::{attach, stands, stop};

/// How long a group may take to get empty.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
