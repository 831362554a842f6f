//! A record that is written before there is time for it, and holds later.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::bytes;
use super::state::State;
use super::store::Store;

/// A record that was written for later.
#[derive(Debug)]
pub(crate) struct Ahead {
    bytes: Vec<u8>,
    state: Arc<State>,
}

impl Store {
    /// Writes a record for later, for who has time now and none then.
    pub(crate) fn write_ahead(&self, state: &State) -> io::Result<Ahead> {
        let bytes = bytes::encode(state).map_err(io::Error::other)?;
        bytes::write_ahead(self.dir(), &bytes).map_err(|error| self.unwritten(bytes::AHEAD, error))?;
        Ok(Ahead { bytes, state: Arc::new(bytes::as_written(state)) })
    }

    /// Holds the file of the record that there is: it goes when this is dropped, and not when another takes its place.
    pub(crate) fn hold_record(&self) -> io::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(self.dir(), bytes::FILE, flags, Mode::empty())?)
    }

    /// Makes it the one that holds; false if it is not there any more. It has to end like that one.
    pub(crate) fn commit_ahead(&self, Ahead { bytes, state }: Ahead) -> io::Result<bool> {
        let renamed = bytes::commit_ahead(self.dir());
        let is_there = renamed.map_err(|error| self.unwritten(bytes::FILE, error))?;
        if is_there {
            *self.seen() = Some((bytes, state));
        }
        Ok(is_there)
    }
}
