//! Standard input, output and error of a container's process.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
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
    /// Through a pipe to [`Process`](crate::Process).
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

/// A process to be started in a container.
///
/// Fields left at their defaults take the container's own settings.
#[derive(Debug, Default)]
pub struct ProcessConfig {
    /// The program and its arguments. A name without `/` is looked up in the `PATH` of `env`, inside the container.
    pub args: Vec<OsString>,
    /// Environment as `NAME=value`; the container's if `None`.
    pub env: Option<Vec<OsString>>,
    /// Working directory inside; the container's if `None`.
    pub cwd: Option<PathBuf>,
    /// User as `user`, `uid`, `user:group`, …; the container's if `None`.
    pub user: Option<String>,
    /// Capabilities to keep, by name; the container's if `None`.
    pub capabilities: Option<Vec<String>>,
    /// Standard input.
    pub stdin: Stdio,
    /// Standard output.
    pub stdout: Stdio,
    /// Standard error.
    pub stderr: Stdio,
    /// Give the process a terminal of the container's own in place of the three.
    pub terminal: bool,
    /// Further descriptors, which the process finds as 3, 4, …
    pub preserved: Vec<OwnedFd>,
}

impl ProcessConfig {
    /// A process with these arguments, the program first.
    pub fn new<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Input from nothing, output and error through pipes: what [`Process::output`](crate::Process::output) wants.
    #[must_use]
    pub fn piped(self) -> Self {
        Self { stdout: Stdio::Pipe, stderr: Stdio::Pipe, ..self }
    }

    /// The caller's own input, output and error.
    #[must_use]
    pub fn inherited(self) -> Self {
        Self { stdin: Stdio::Inherit, stdout: Stdio::Inherit, stderr: Stdio::Inherit, ..self }
    }
}

/// The three, opened: what the process gets, what the caller keeps, and what threads must copy.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) theirs: Vec<OwnedFd>,
    pub(crate) ours: [Option<File>; 3],
    pumps: Vec<Pump>,
}

enum Pump {
    In(Box<dyn Read + Send>, File),
    Out(File, Box<dyn Write + Send>),
}

pub(crate) fn open(stdin: Stdio, stdout: Stdio, stderr: Stdio) -> io::Result<Opened> {
    let mut opened = Opened::default();
    for (number, stdio) in [stdin, stdout, stderr].into_iter().enumerate() {
        let theirs = opened.one(number, stdio)?;
        opened.theirs.push(theirs);
    }
    Ok(opened)
}

impl Opened {
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

    /// Starts the threads that copy. Those for output are to be joined: they end when the process and its children have closed.
    pub(crate) fn pump(&mut self) -> io::Result<Vec<JoinHandle<()>>> {
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
