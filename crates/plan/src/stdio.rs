//! Standard input, output and error of a program that an init becomes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use nix::sys::signal::{SigSet, Signal};

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
    pumps: Vec<Pump>,
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
    /// `InvalidInput` for one that can't lead there; else that of open(2), fcntl(2) or pipe2(2).
    pub fn open(stdin: Stdio, stdout: Stdio, stderr: Stdio) -> io::Result<Self> {
        let mut opened = Self::default();
        for (number, stdio) in [stdin, stdout, stderr].into_iter().enumerate() {
            let theirs = opened.one(number, stdio)?;
            opened.theirs.push(theirs);
        }
        Ok(opened)
    }

    fn one(&mut self, number: usize, stdio: Stdio) -> io::Result<OwnedFd> {
        match stdio {
            Stdio::Null => Ok(File::options().read(true).write(true).open("/dev/null")?.into()),
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

    /// Starts the threads that copy. Those for output are to be joined: they end when the program and its children have closed.
    ///
    /// # Errors
    /// If a thread can't be made.
    pub fn pump(&mut self) -> io::Result<Vec<JoinHandle<()>>> {
        let mut joined = Vec::new();
        for pump in std::mem::take(&mut self.pumps) {
            let builder = std::thread::Builder::new().name("container-stdio".to_owned());
            match pump {
                // Not joined: a reader such as the caller's terminal may block for ever.
                Pump::In(mut from, mut to) => {
                    let copy = move || {
                        // A process that stops reading must not end this program, whatever it does about SIGPIPE.
                        let mut pipe = SigSet::empty();
                        pipe.add(Signal::SIGPIPE);
                        if pipe.thread_block().is_ok() {
                            drop(io::copy(&mut from, &mut to));
                        }
                    };
                    drop(builder.spawn(copy)?);
                }
                Pump::Out(mut from, mut to) => joined.push(builder.spawn(move || {
                    // An error of the caller's writer ends the copy; the process then gets EPIPE, as with any closed pipe.
                    let _ = io::copy(&mut from, &mut to).and_then(|_| to.flush());
                })?),
            }
        }
        Ok(joined)
    }
}

fn wrong(number: usize) -> io::Error {
    let text = format!(
        "descriptor {number}: a reader serves for input, a writer for output, `Stdout` for standard error"
    );
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// A pipe: the process's end for descriptor `number`, and ours.
fn pipe(number: usize) -> io::Result<(OwnedFd, File)> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok(if number == 0 { (reader, writer.into()) } else { (writer, reader.into()) })
}
