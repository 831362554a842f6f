//! Input and output of a process.
//!
//! The program has pipes of its own, which are copied: so its output ends with it although a child that it left behind keeps the pipe open.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libcontainer::{ProcessConfig, Stdio, Terminal};
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::Interest;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fifo::{self, Sink, Source};
use crate::journal;
use crate::pump::{self, Ended, PATIENCE};
use crate::ready::{Ready, ready};
use crate::trouble::{Trouble, named};

/// So long the end of a process is kept back for output that is still on its way.
const MOMENT: Duration = Duration::from_millis(250);

/// What containerd says of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) terminal: bool,
    pub(crate) stdin: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Those of a process, opened.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    keeper: Mutex<Option<File>>,
    input: Mutex<Option<JoinHandle<()>>>,
    output: Mutex<Vec<JoinHandle<()>>>,
    ended: watch::Sender<bool>,
    /// For the terminal that is still to come.
    waiting: Option<(Option<Source>, Sink)>,
}

impl Wanted {
    /// Opens them, and gives the process its ends.
    ///
    /// # Errors
    /// What can't be opened, or no pipe.
    pub(crate) fn open(&self, process: &mut ProcessConfig) -> Result<Streams, Trouble> {
        process.terminal = self.terminal;
        let source = fifo::source(&self.stdin)?;
        if self.terminal {
            return self.for_terminal(source);
        }
        let mut streams = Streams::default();
        let outputs = [(&self.stdout, &mut process.stdout), (&self.stderr, &mut process.stderr)];
        for (name, place) in outputs {
            if let Some(sink) = fifo::sink(name)? {
                let (reader, writer) = pipe()?;
                *place = Stdio::Fd(writer);
                streams.add_output(ours(reader, Interest::READABLE)?, sink);
            }
        }
        if let Some(source) = source {
            let (reader, writer) = pipe()?;
            process.stdin = Stdio::Fd(reader);
            streams.set_input(source, Sink::Fifo(ours(writer, Interest::WRITABLE)?));
        }
        Ok(streams)
    }

    fn for_terminal(&self, source: Option<Source>) -> Result<Streams, Trouble> {
        let sink = match fifo::sink(&self.stdout)? {
            Some(sink) => sink,
            // A terminal that nobody reads stops its programs.
            None => Sink::File(named(File::options().write(true).open("/dev/null"), "open /dev/null")?),
        };
        let mut streams = Streams::default();
        streams.waiting = Some((source, sink));
        Ok(streams)
    }
}

impl Streams {
    /// Copies from and to the terminal, now that there is one.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub(crate) fn attach(&mut self, terminal: Option<&Terminal>) -> Result<(), Trouble> {
        let (Some((source, sink)), Some(terminal)) = (self.waiting.take(), terminal) else { return Ok(()) };
        let copied = |interest| {
            let file = named(terminal.file().try_clone(), "fcntl of the terminal")?;
            ours(file.into(), interest)
        };
        self.add_output(copied(Interest::READABLE)?, sink);
        if let Some(source) = source {
            self.set_input(source, Sink::Fifo(copied(Interest::WRITABLE)?));
        }
        Ok(())
    }

    fn add_output(&mut self, from: Ready, to: Sink) {
        let output = self.output.get_mut().unwrap_or_else(PoisonError::into_inner);
        output.push(tokio::spawn(told("output", from, to, self.ended.subscribe())));
    }

    fn set_input(&mut self, source: Source, to: Sink) {
        *self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner) = source.keeper;
        let input = tokio::spawn(told("input", source.reader, to, self.ended.subscribe()));
        *self.input.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(input);
    }

    /// Lets the input end when its last writer has closed it.
    pub(crate) fn close_input(&self) {
        drop(self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The process has ended: nobody reads the input any more.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
        self.close_input();
        let input = self.input.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(input) = input {
            input.abort();
        }
    }

    /// Waits a moment until all output is read: clients stop reading when they are told of the end.
    pub(crate) async fn settle(&self) {
        let left = self.wait(MOMENT).await;
        self.output.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
    }

    /// Waits until all output is passed on, or for as long as that is to be expected. Then nothing is open any more.
    pub(crate) async fn finish(&self) {
        self.end();
        self.wait(PATIENCE).await.iter().for_each(JoinHandle::abort);
    }

    /// Those that have not ended by then.
    async fn wait(&self, limit: Duration) -> Vec<JoinHandle<()>> {
        let output = std::mem::take(&mut *self.output.lock().unwrap_or_else(PoisonError::into_inner));
        let end = tokio::time::Instant::now() + limit;
        let mut left = Vec::new();
        for mut copying in output {
            if tokio::time::timeout_at(end, &mut copying).await.is_err() {
                left.push(copying);
            }
        }
        left
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.end();
        let output = self.output.get_mut().unwrap_or_else(PoisonError::into_inner);
        output.drain(..).for_each(|copying| copying.abort());
    }
}

async fn told(what: &str, from: Ready, to: Sink, ended: Ended) {
    match pump::copy(from, to, ended).await {
        // A program that reads no more, or has ended.
        Err(error) if what == "input" && error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => journal::warn(format_args!("copy {what}: {error}")),
        Ok(()) => {}
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Trouble> {
    named(pipe_with(PipeFlags::CLOEXEC).map_err(Into::into), "pipe2")
}

/// Our end. The program's is another open file, and stays as programs expect it.
fn ours(fd: OwnedFd, interest: Interest) -> Result<Ready, Trouble> {
    let flags = rustix::fs::fcntl_getfl(&fd);
    let set = flags.and_then(|flags| rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK));
    named(set.map_err(Into::into), "fcntl of a stream")?;
    ready(fd, interest, "a stream")
}
