#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod devices;
pub mod discovery;
pub mod events;
pub mod faults;
pub mod group;
pub mod legacy;
pub mod limits;
pub mod resources;
pub mod stats;
pub mod systemd;

mod dir;
mod error;
mod privilege;

pub use dir::Dir;
pub use discovery::Layout;
pub use error::{Error, Result};
pub use group::{
    Existing, FreezerState, Group, GroupPath, Join, Marked, NotMember, Pid, Place, Plan, ProcessReader,
    Select, check_member, check_own_room, find_marked, find_marked_like, mark_of, remove_empty, set_mark,
};
pub use resources::Resources;
