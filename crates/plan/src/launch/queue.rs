//! Descriptors that wait in a socket until the init takes them: the host's side of [`crate::Builder::take_fd`].

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::control;
use crate::step::Point;

/// Puts descriptors into a queue for the init, which takes them in this order. Each is opened when it is its turn and closed right
/// after it, so that neither side ever has two of them open. The queue is to be given to the launch.
///
/// Syscalls: socketpair, sendmsg and close for each (unix(7), `SCM_RIGHTS`).
///
/// # Errors
/// The first error of `files`, and those of the calls.
pub fn queue(files: impl IntoIterator<Item = io::Result<OwnedFd>>) -> io::Result<OwnedFd> {
    let named = |call| move |error| crate::errno::named(call, error);
    let (ours, theirs) = control::pair().map_err(named("socketpair of the descriptors that wait"))?;
    for file in files {
        let sent = ours.send(Point(0), Some(file?.as_fd()));
        sent.map_err(named("sendmsg of a descriptor that waits"))?;
    }
    Ok(theirs)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use super::*;

    /// More than `net.unix.max_dgram_qlen`, which does not count between the two ends of a pair.
    const MANY: usize = 40;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn all_come_in_their_order_and_then_the_end() {
        let open =
            |_| nix::fcntl::open("/dev/zero", nix::fcntl::OFlag::O_RDONLY, nix::sys::stat::Mode::empty());
        let queue = queue((0..MANY).map(|index| Ok(open(index)?))).unwrap();
        for _ in 0..MANY {
            let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
            let mut byte = [1];
            let mut slices = [io::IoSliceMut::new(&mut byte)];
            let flags = nix::sys::socket::MsgFlags::MSG_CMSG_CLOEXEC;
            let received =
                nix::sys::socket::recvmsg::<()>(queue.as_raw_fd(), &mut slices, Some(&mut space), flags);
            let received = received.unwrap();
            assert_eq!(received.cmsgs().unwrap().count(), 1);
            let Some(nix::sys::socket::ControlMessageOwned::ScmRights(fds)) =
                received.cmsgs().unwrap().next()
            else {
                panic!("no descriptor")
            };
            let mut file = std::fs::File::from(super::super::raw::own(fds[0]));
            let mut byte = [1];
            file.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [0]);
        }
        assert_eq!(nix::unistd::read(&queue, &mut [0]).unwrap(), 0);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn an_error_of_a_file_is_the_queue_s() {
        let error = queue([Err(io::Error::from_raw_os_error(libc::EMFILE))]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    }
}
