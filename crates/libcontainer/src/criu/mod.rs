//! criu, which writes processes to files and makes them of these again: found, started by `lifecycle`, and spoken to by the protocol of its rpc.proto.

mod log;
mod mark;
mod message;
mod options;
mod protobuf;
mod request;
mod session;
mod version;

pub(crate) use log::errors;
pub(crate) use mark::Mark;
pub(crate) use message::Feature;
pub use options::{CheckpointOptions, CriuOptions, ManageCgroups, RestoreOptions};
pub(crate) use request::{Dirs, External, Request, RequestKind};
pub(crate) use session::{Event, Session, connection};
pub(crate) use version::program;
