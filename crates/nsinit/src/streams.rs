//! Standard output and standard error. Nothing else in this program writes to them, and nothing here panics: `println!` would, if the write fails.
//!
//! A descriptor that was closed when the program began is `/dev/null`: Rust's runtime opens that, so that no file gets its number.

use std::borrow::Cow;
use std::fmt::Arguments;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

/// Writes bytes to standard output.
///
/// # Errors
/// Those of write(2); `EPIPE` if nobody reads, as the runtime ignores the signal.
pub(crate) fn output(bytes: &[u8]) -> nix::Result<()> {
    all(io::stdout().as_fd(), bytes)
}

/// Writes bytes to standard error. What can't be written is lost: there is nobody else to tell, and the exit code says that something is wrong.
pub(crate) fn error(bytes: &[u8]) {
    let _ = all(io::stderr().as_fd(), bytes);
}

/// Writes a line to standard error.
pub(crate) fn note(text: Arguments<'_>) {
    error(format!("nsinit: {}\n", harmless(&text.to_string())).as_bytes());
}

/// Text as a terminal may have it: names of mounts, links and processes are what a program in the container makes them, also commands to
/// the terminal of whoever looks. Lines stay lines.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| letter.is_control() && !matches!(letter, '\n' | '\t'))
}

/// The same of what is a part of a line: it makes no further ones.
pub(crate) fn harmless_part(text: &str) -> Cow<'_, str> {
    escaped(text, char::is_control)
}

fn escaped(text: &str, command: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&command) {
        return text.into();
    }
    let escaped =
        |letter: char| if command(letter) { letter.escape_default().collect() } else { letter.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

/// Writes everything. Interrupted writes go on, and so does one to a descriptor that somebody has made non-blocking.
pub(crate) fn all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            // Nobody knows whether more would ever be taken.
            Ok(0) => return Err(Errno::EIO),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => ready(fd)?,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn ready(fd: BorrowedFd<'_>) -> nix::Result<()> {
    match poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use nix::fcntl::OFlag;

    use super::{all, harmless, harmless_part};

    #[test]
    fn a_terminal_is_told_nothing() {
        assert_eq!(harmless("a\tb\nü"), "a\tb\nü");
        assert_eq!(harmless("a\u{1b}]0;b\u{7}\r\u{9b}c"), "a\\u{1b}]0;b\\u{7}\\r\\u{9b}c");
        assert_eq!(harmless_part("a\tb\nü\u{1b}"), "a\\tb\\nü\\u{1b}");
    }

    /// A pipe that takes 4 KiB at a time and does not block: everything arrives all the same.
    #[test]
    fn all_is_written_to_a_slow_reader() {
        let (read, write) = nix::unistd::pipe2(OFlag::O_NONBLOCK).unwrap();
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let sent = bytes.clone();
        let writer = std::thread::spawn(move || all(write.as_fd(), &sent));
        let mut found = Vec::new();
        let mut file = std::fs::File::from(read);
        while found.len() < bytes.len() {
            let mut part = [0; 4096];
            match file.read(&mut part) {
                Ok(count) => found.extend_from_slice(&part[..count]),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
        }
        writer.join().unwrap().unwrap();
        assert_eq!(found, bytes);
    }

    #[test]
    fn errors_are_returned() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(all(full.as_fd(), b"x"), Err(nix::errno::Errno::ENOSPC));
        let (_, write) = nix::unistd::pipe().unwrap();
        assert_eq!(all(write.as_fd(), b"x"), Err(nix::errno::Errno::EPIPE));
        assert_eq!(all(write.as_fd(), b""), Ok(()));
    }
}
