//! Hooks as programs that run: when, what they are told, how long they are waited for, and what is said of one that fails.

mod failure;
mod heard;
mod input;
mod moment;
mod wait;

pub(crate) use failure::{Cause, HookFailure};
pub(crate) use heard::Heard;
pub(crate) use input::input;
pub(crate) use moment::Moment;
pub(crate) use wait::{BreakOff, output, wait};
