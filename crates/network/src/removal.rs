//! A container's network is taken away: all at once, or but for what the kernel takes away by itself.

use std::fs::File;

use crate::config::NetworkState;
use crate::error::Result;
use crate::object::{Object, end_all};

/// Takes away what a plan has made on the host, or may have made: it looks for everything that the record speaks of, and what is not
/// there is no error. `namespace` is the container's, if its first process still lives: devices of the host's come back from there
/// (later the kernel brings physical ones back by itself). May be called again.
///
/// # Errors
/// Everything that could not be taken away, or that could not be looked for; all of it was tried.
pub fn remove(state: &NetworkState, namespace: Option<&File>) -> Result<()> {
    let (objects, errors) = Object::all(state);
    end_all(&objects, namespace, errors)
}
