//! `delete`: ends what a shim has left that was killed, and says how its container ended.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use containerd_shim_protos::api::DeleteResponse;
use containerd_shim_protos::protobuf::{Message, MessageField};
use libcontainer::{ErrorKind, Factory};

use crate::arguments::Arguments;
use crate::events::timestamp;
use crate::trouble::{Trouble, named};
use crate::{begin, place, rootfs};

/// 128 and SIGKILL: what is left is killed, and of what has ended by itself nobody knows how.
const KILLED: u32 = 137;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Trouble> {
    let bundle = bundle(arguments)?;
    let mut answer = DeleteResponse::new();
    answer.exit_status = KILLED;
    if let Some(container) = place::noted(&bundle)? {
        answer.pid = end(&container)?;
    }
    rootfs::unmount(&bundle.join("rootfs"))?;
    if let Some(socket) = place::socket(&bundle)? {
        // Others of the pod may listen there.
        begin::clear(&socket)?;
    }
    answer.exited_at = MessageField::some(timestamp(SystemTime::now()));
    let bytes =
        answer.write_to_bytes().map_err(|error| Trouble::failed(format!("encode the answer: {error}")))?;
    named(io::stdout().write_all(&bytes), "write the answer to standard output")
}

fn bundle(arguments: &Arguments) -> Result<PathBuf, Trouble> {
    if arguments.bundle.is_empty() {
        return named(std::env::current_dir(), "getcwd");
    }
    Ok(PathBuf::from(&arguments.bundle))
}

/// Ends the container, and returns the pid of its first process, if that lived.
fn end(container: &Path) -> Result<u32, Trouble> {
    let factory = Factory::new()?;
    let pid = match factory.load(container) {
        Ok(found) => found.init_pid()?.and_then(|pid| u32::try_from(pid.as_raw()).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        // It can be destroyed all the same.
        Err(error) if error.kind() == ErrorKind::Corrupt => None,
        Err(error) => return Err(error.into()),
    };
    factory.destroy(container)?;
    Ok(pid.unwrap_or(0))
}
