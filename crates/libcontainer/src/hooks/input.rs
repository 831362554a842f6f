//! What a hook reads from its standard input.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;

use libcontainer_plan::{memory_file, pipe};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::write;

const NAME: &CStr = c"libcontainer-state";

/// A descriptor from which `bytes` and then the end are read. All is written before anybody has it: a hook that does not read hinders nobody, and
/// there is no SIGPIPE. A pipe, as hooks expect, if that takes it all; else a memory file.
pub(crate) fn input(bytes: &[u8]) -> io::Result<OwnedFd> {
    let (reader, writer) = pipe()?;
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    match write(&writer, bytes) {
        Ok(written) if written == bytes.len() => return Ok(reader),
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut file = File::from(memory_file(NAME)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn everything_is_read_and_then_the_end() {
        for length in [0, 1, 4096, 65536, 65537, 3 << 20] {
            let bytes = vec![b'x'; length];
            let mut found = Vec::new();
            File::from(input(&bytes).unwrap()).read_to_end(&mut found).unwrap();
            assert!(found == bytes, "{length}");
        }
    }
}
