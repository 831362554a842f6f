//! Copying between what a program has and what containerd has, without a thread. A stream that is idle has no buffer.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use tokio::sync::watch;
use tokio::time::Duration;

use crate::fifo::Sink;
use crate::ready::Ready;

/// Becomes true when the process has ended.
pub(crate) type Ended = watch::Receiver<bool>;

/// So long output is waited for that somebody keeps open whose process has ended.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

const SIZE: usize = 16 * 1024;

/// Copies to the end of the input, or until nothing comes any more of a process that has ended.
///
/// # Errors
/// Those of read(2) and write(2).
pub(crate) async fn copy(from: Ready, mut to: Sink, mut ended: Ended) -> io::Result<()> {
    copy_all(&from, &mut to, &mut ended).await?;
    // What somebody has to wait for is not held up by a program's pipe.
    drop(from);
    to.taken().await;
    Ok(())
}

async fn copy_all(from: &Ready, to: &mut Sink, ended: &mut Ended) -> io::Result<()> {
    loop {
        let mut ready = tokio::select! {
            ready = from.readable() => ready?,
            () = silent(ended) => return Ok(()),
        };
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

/// A while after the end of the process in which nothing was written: what it has left behind may keep its output open for ever.
async fn silent(ended: &mut Ended) {
    if ended.wait_for(|ended| *ended).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(PATIENCE).await;
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut program, ours) = UnixStream::pair().unwrap();
            let never = watch::Sender::new(false);
            let (theirs, mut client) = UnixStream::pair().unwrap();
            let copying = tokio::spawn(copy(waited(ours), Sink::Fifo(waited(theirs)), never.subscribe()));

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

    #[test]
    fn what_a_child_keeps_open_ends() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (mut program, ours) = UnixStream::pair().unwrap();
            let (theirs, mut client) = UnixStream::pair().unwrap();
            let ended = watch::Sender::new(false);
            let copying = tokio::spawn(copy(waited(ours), Sink::Fifo(waited(theirs)), ended.subscribe()));
            program.write_all(b"said").unwrap();
            ended.send_replace(true);
            copying.await.unwrap().unwrap();
            let mut read = String::new();
            client.read_to_string(&mut read).unwrap();
            assert_eq!(read, "said");
        });
    }
}
