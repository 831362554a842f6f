//! Copying between what a program has and what containerd has, without a thread. A stream that is idle has no buffer.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::fifo::Sink;
use crate::ready::Ready;

const SIZE: usize = 16 * 1024;

/// Copies to the end of the input.
///
/// # Errors
/// Those of read(2) and write(2).
pub(crate) async fn copy(from: Ready, mut to: Sink) -> io::Result<()> {
    copy_all(&from, &mut to).await?;
    // What somebody has to wait for is not held up by a program's pipe.
    drop(from);
    to.taken().await;
    Ok(())
}

async fn copy_all(from: &Ready, to: &mut Sink) -> io::Result<()> {
    loop {
        let mut ready = from.readable().await?;
        let mut buffer = vec![0; SIZE];
        loop {
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd.as_fd(), &mut buffer)?));
            let Ok(read) = read else { break };
            match read {
                Ok(0) => return Ok(()),
                Ok(count) => to.write(buffer.get(..count).unwrap_or_default()).await?,
                // Of a terminal that no program has open any more.
                Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use tokio::io::Interest;

    use super::*;

    fn waited(stream: UnixStream) -> Ready {
        stream.set_nonblocking(true).unwrap();
        crate::ready::ready(OwnedFd::from(stream), Interest::READABLE | Interest::WRITABLE, "a socket")
            .unwrap()
    }

    #[test]
    fn all_is_copied_though_the_reader_is_slow() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let (mut program, ours) = UnixStream::pair().unwrap();
            let (theirs, mut client) = UnixStream::pair().unwrap();
            let copying = tokio::spawn(copy(waited(ours), Sink::Fifo(waited(theirs))));
            let written: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
            let expected = written.clone();
            let writing = tokio::task::spawn_blocking(move || program.write_all(&written));
            let reading = tokio::task::spawn_blocking(move || {
                let mut read = Vec::new();
                client.read_to_end(&mut read).map(|_| read)
            });
            writing.await.unwrap().unwrap();
            copying.await.unwrap().unwrap();
            assert!(reading.await.unwrap().unwrap() == expected);
        });
    }
}
