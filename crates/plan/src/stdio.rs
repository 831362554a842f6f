//! Standard input, output and error of a program that an init becomes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use libcontainer_thread::{Thread, spawn};
use nix::sys::signal::{SigSet, Signal};

use crate::rest::rest;

/// Of a thread that copies.
const NAME: &str = "container-stdio";

/// Where one of the three standard descriptors leads.
#[derive(Default)]
pub enum Stdio {
    /// To the host's `/dev/null`: empty input, discarded output. The default, as in 2014.
    #[default]
    Null,
    /// To the caller's own.
    Inherit,
    /// Through a pipe to the caller: [`OpenStdio::ours`].
    Pipe,
    /// To this descriptor.
    Fd(OwnedFd),
    /// From this object, which a thread reads: for input.
    Reader(Box<dyn Read + Send>),
    /// To this object, to which a thread writes; dropped when the process has closed its end: for output.
    Writer(Box<dyn Write + Send>),
    /// Where standard output leads: for standard error.
    Stdout,
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Inherit => "Inherit",
            Self::Pipe => "Pipe",
            Self::Fd(_) => "Fd",
            Self::Reader(_) => "Reader",
            Self::Writer(_) => "Writer",
            Self::Stdout => "Stdout",
        })
    }
}

/// The three, opened: what the program gets, what the caller keeps, and what threads must copy.
#[derive(Default)]
pub struct OpenStdio {
    /// For the program's descriptors 0, 1 and 2.
    pub theirs: Vec<OwnedFd>,
    /// The caller's ends of pipes.
    pub ours: [Option<File>; 3],
    /// Which of the program's is the null device.
    null: Option<usize>,
    /// The null device, if it was opened before.
    spare: Option<OwnedFd>,
    pumps: Vec<Pump>,
    parked: Vec<Parked>,
}

impl fmt::Debug for OpenStdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStdio")
            .field("theirs", &self.theirs)
            .field("ours", &self.ours)
            .finish_non_exhaustive()
    }
}

enum Pump {
    In(Box<dyn Read + Send>, File),
    Out(File, Box<dyn Write + Send>),
}

impl OpenStdio {
    /// Opens input, output and error.
    ///
    /// # Errors
    /// `InvalidInput` for one that can't lead there; else that of open(2), fcntl(2), pipe2(2) or pthread_create(3).
    pub fn open(stdin: Stdio, stdout: Stdio, stderr: Stdio) -> io::Result<Self> {
        Self::open_with(None, [stdin, stdout, stderr])
    }

    /// The same with the null device, if that was opened before by [`OpenStdio::null_device`]. No two programs should have one open file in common: each could change
    /// the flags of the other's.
    ///
    /// # Errors
    /// As [`OpenStdio::open`].
    pub fn open_with(null: Option<OwnedFd>, all: [Stdio; 3]) -> io::Result<Self> {
        let mut opened = Self { spare: null, ..Self::default() };
        for (number, stdio) in all.into_iter().enumerate() {
            let theirs = opened.one(number, stdio).map_err(|error| {
                let what = ["input", "output", "error"].get(number).copied().unwrap_or("descriptor");
                crate::errno::named(format!("take standard {what} for the program"), error)
            })?;
            opened.theirs.push(theirs);
        }
        // ORDER: before the program is there, which would run on if a thread could not be made.
        for pump in std::mem::take(&mut opened.pumps) {
            opened.parked.push(pump.park()?);
        }
        opened.spare = None;
        Ok(opened)
    }

    fn one(&mut self, number: usize, stdio: Stdio) -> io::Result<OwnedFd> {
        match stdio {
            Stdio::Null => self.null(),
            Stdio::Inherit => match number {
                0 => io::stdin().as_fd().try_clone_to_owned(),
                1 => io::stdout().as_fd().try_clone_to_owned(),
                _ => io::stderr().as_fd().try_clone_to_owned(),
            },
            Stdio::Fd(fd) => Ok(fd),
            Stdio::Pipe => {
                let (theirs, ours) = pipe(number)?;
                if let Some(place) = self.ours.get_mut(number) {
                    *place = Some(ours);
                }
                Ok(theirs)
            }
            Stdio::Reader(reader) if number == 0 => {
                let (theirs, ours) = pipe(number)?;
                self.pumps.push(Pump::In(reader, ours));
                Ok(theirs)
            }
            Stdio::Writer(writer) if number > 0 => {
                let (theirs, ours) = pipe(number)?;
                self.pumps.push(Pump::Out(ours, writer));
                Ok(theirs)
            }
            Stdio::Stdout if number == 2 => {
                self.theirs.get(1).map_or_else(|| Err(wrong(number)), |fd| fd.try_clone())
            }
            Stdio::Reader(_) | Stdio::Writer(_) | Stdio::Stdout => Err(wrong(number)),
        }
    }

    /// The null device, opened once for all that lead there.
    fn null(&mut self) -> io::Result<OwnedFd> {
        if let Some(open) = self.null.and_then(|index| self.theirs.get(index)) {
            return open.try_clone();
        }
        self.null = Some(self.theirs.len());
        match self.spare.take() {
            Some(null) => Ok(null),
            None => Self::null_device(),
        }
    }

    /// The host's null device, open for both.
    ///
    /// # Errors
    /// That of open(2).
    pub fn null_device() -> io::Result<OwnedFd> {
        Ok(File::options().read(true).write(true).open("/dev/null")?.into())
    }

    /// Lets the threads that copy begin. Those for output are returned, to be joined: they end when the program and its children have closed.
    pub fn pump(&mut self) -> Vec<Thread<()>> {
        let begin = |Parked { gate, thread, is_output }: Parked| {
            // It waits for this, and has room for it.
            let _ = gate.send(());
            // The other is not joined: a reader such as the caller's terminal may block for ever.
            is_output.then_some(thread)
        };
        self.parked.drain(..).filter_map(begin).collect()
    }
}

/// A thread that copies when it is let go, and ends if it never is.
struct Parked {
    gate: SyncSender<()>,
    thread: Thread<()>,
    is_output: bool,
}

impl Pump {
    fn park(self) -> io::Result<Parked> {
        let (gate, wait) = sync_channel(1);
        let is_output = matches!(self, Self::Out(..));
        let thread = spawn(NAME, move || {
            if wait.recv().is_ok() {
                self.copy();
            }
        })?;
        Ok(Parked { gate, thread, is_output })
    }

    /// An error of the caller's object ends the copy. A process that is written to is closed then, one that is read from gets EPIPE, as with any closed pipe.
    fn copy(self) {
        match self {
            Self::In(mut from, to) => {
                // A process that stops reading must not end this program, whatever it does about SIGPIPE.
                let mut pipe = SigSet::empty();
                pipe.add(Signal::SIGPIPE);
                if pipe.thread_block().is_ok() {
                    let _ = io::copy(&mut from, &mut Patient(to));
                }
            }
            Self::Out(from, mut to) => {
                let _ = io::copy(&mut Patient(from), &mut to).and_then(|_| to.flush());
            }
        }
    }
}

/// Our end of a pipe. That there is no page for it passes, and is no reason to cut a stream off of which nobody would hear.
struct Patient(File);

/// Before the same is tried again.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(1), Duration::from_millis(10), Duration::from_millis(100)];

impl Read for Patient {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        patiently(|| self.0.read(bytes))
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        patiently(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn patiently(mut act: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    for pause in PAUSES {
        match act() {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => rest(pause),
            done => return done,
        }
    }
    act()
}

fn wrong(number: usize) -> io::Error {
    let text = format!(
        "descriptor {number}: a reader serves for input, a writer for output, `Stdout` for standard error"
    );
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// A pipe: the process's end for descriptor `number`, and ours.
fn pipe(number: usize) -> io::Result<(OwnedFd, File)> {
    let (reader, writer) = crate::launch::pipe()?;
    Ok(if number == 0 { (reader, writer.into()) } else { (writer, reader.into()) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends by panicking")]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_null_device_that_was_opened_before_is_used_or_closed() {
        let spare = || OpenStdio::null_device().unwrap();
        let null = spare();
        let number = null.as_raw_fd();
        let opened = OpenStdio::open_with(Some(null), [Stdio::Null, Stdio::Pipe, Stdio::Null]).unwrap();
        assert_eq!((opened.theirs[0].as_raw_fd(), opened.null), (number, Some(0)));
        let opened =
            OpenStdio::open_with(Some(spare()), [Stdio::Fd(spare()), Stdio::Pipe, Stdio::Stdout]).unwrap();
        assert_eq!((opened.theirs.len(), opened.null), (3, None));
        assert!(opened.spare.is_none());
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn want_of_memory_passes_and_nothing_else_is_waited_for() {
        for (errno, failures, calls, works) in [
            (libc::ENOMEM, 0, 1, true),
            (libc::ENOMEM, 3, 4, true),
            (libc::ENOMEM, 9, 4, false),
            (libc::EPIPE, 1, 1, false),
        ] {
            let mut called = 0;
            let result = patiently(|| {
                called += 1;
                if called <= failures { Err(io::Error::from_raw_os_error(errno)) } else { Ok(7) }
            });
            assert_eq!((called, result.is_ok()), (calls, works), "{errno} {failures}");
        }
    }
}
