//! Reads a group again and again: open files, one buffer, one pread(2) per file.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::uio::pread;

use super::files::{self, At, File};
use super::parse::io::devices_of_lists;
use super::units::Units;
use super::{Parts, Sources, Stats};
use crate::Dir;
use crate::error::{Error, Result};

/// What a [`Reader`] does with its files between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Keeps them open: fast, about 20 descriptors per group on version 2, 60 on version 1. A reader that finds the process
    /// out of descriptors closes its own and goes on as with [`Keep::Nothing`].
    #[default]
    Open,
    /// Opens and closes them each time: no descriptors besides those of the directories.
    Nothing,
}

/// Reads the measurements of one group repeatedly.
///
/// The first reading finds out which files there are; from the second on nothing is allocated. Files that turn up later
/// (a controller that is switched on) are seen by a new reader.
#[derive(Debug)]
pub struct Reader {
    dirs: Vec<Arc<Dir>>,
    entries: Vec<Entry>,
    keep: Keep,
    units: Units,
    buffer: Vec<u8>,
    /// Version 1's lists of block devices are read, so that the summary is to be made.
    lists: bool,
}

#[derive(Debug)]
struct Entry {
    dir: usize,
    file: &'static File,
    /// The file's name and, for huge pages, the page size in it.
    name: String,
    size: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Unknown,
    Absent,
    Present,
    Open(OwnedFd),
}

/// Most files have less; one that has more makes the buffer grow once.
const BUFFER: usize = 4096;

impl Reader {
    /// A reader of everything that keeps its files open.
    ///
    /// # Errors
    /// As [`Reader::with`].
    pub fn new(sources: &Sources) -> Result<Self> {
        Self::with(sources, Parts::all(), Keep::Open)
    }

    /// A reader of `parts` only.
    ///
    /// # Errors
    /// [`Error::Directory`] when the files of huge pages can't be listed, or when a directory is gone.
    pub fn with(sources: &Sources, parts: Parts, keep: Keep) -> Result<Self> {
        let mut reader = Self {
            dirs: Vec::new(),
            entries: Vec::new(),
            keep,
            units: Units::of_this_machine(),
            buffer: vec![0; BUFFER],
            lists: parts.contains(Parts::IO) && sources.v1.contains_key("blkio"),
        };
        for (controller, dir) in &sources.v1 {
            let files = files::V1.iter().chain(files::BOTH).filter(|file| file.controller == controller);
            reader.add(dir, files, files::PAGES_V1, (parts, controller == "hugetlb"))?;
        }
        if let Some(dir) = &sources.v2 {
            let covered = |name: &str| match name {
                "cpu" => sources.v1.contains_key("cpu") || sources.v1.contains_key("cpuacct"),
                "io" => sources.v1.contains_key("blkio"),
                other => sources.v1.contains_key(other),
            };
            let files = files::V2.iter().chain(files::BOTH).filter(|file| !covered(file.controller));
            reader.add(dir, files, files::PAGES_V2, (parts, !covered("hugetlb")))?;
        }
        Ok(reader)
    }

    /// Reads only the files of whose names `wanted` is true: what isn't read costs nothing.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.entries.retain(|entry| wanted(&entry.name));
        self
    }

    fn add(
        &mut self,
        dir: &Arc<Dir>,
        files: impl Iterator<Item = &'static File>,
        pages: &'static [File],
        (parts, hugetlb): (Parts, bool),
    ) -> Result<()> {
        dir.has("cgroup.procs")?;
        let at = self.dirs.len();
        self.dirs.push(Arc::clone(dir));
        let entry = |file, name, size| Entry { dir: at, file, name, size, state: State::Unknown };
        self.entries.extend(
            files
                .filter(|file| parts.contains(file.part))
                .map(|file| entry(file, file.name.to_owned(), String::new())),
        );
        if hugetlb && parts.contains(Parts::HUGETLB) {
            for name in names(dir)? {
                let Some((size, rest)) = files::page_size(&name) else { continue };
                let size = size.to_owned();
                if let Some(file) = pages.iter().find(|file| file.name == rest) {
                    self.entries.push(entry(file, name, size));
                }
            }
        }
        Ok(())
    }

    /// Reads into `stats`, of which every field is set anew. One value may serve many readers in turn.
    ///
    /// Syscalls: pread per file; the first time, and with [`Keep::Nothing`] each time, also openat2 (and close).
    ///
    /// # Errors
    /// [`Error::Read`] ([`Error::is_gone`] is true for a removed group), [`Error::Content`] with the file and the offending
    /// text. `stats` is then incomplete.
    pub fn read_into(&mut self, stats: &mut Stats) -> Result<()> {
        stats.reset();
        for at in 0..self.entries.len() {
            match self.read_entry(at, stats) {
                // RACE: other threads open files too. Give back ours, so that at least one is to be had.
                Err(error) if out_of_descriptors(&error) && self.keep == Keep::Open => {
                    self.close();
                    self.read_entry(at, stats)?;
                }
                other => other?,
            }
        }
        if self.lists {
            devices_of_lists(&mut stats.io);
        }
        Ok(())
    }

    /// Closes the files and opens them anew at each reading from now on.
    pub fn close(&mut self) {
        self.keep = Keep::Nothing;
        for entry in &mut self.entries {
            if matches!(entry.state, State::Open(_)) {
                entry.state = State::Present;
            }
        }
    }

    /// How many files the last reading left open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.state, State::Open(_))).count()
    }

    fn read_entry(&mut self, at: usize, stats: &mut Stats) -> Result<()> {
        let Self { dirs, entries, keep, units, buffer, .. } = self;
        let Some(entry) = entries.get_mut(at) else { return Ok(()) };
        let Some(dir) = dirs.get(entry.dir) else { return Ok(()) };
        if matches!(entry.state, State::Absent) || (entry.file.told)(stats) {
            return Ok(());
        }
        let at = At { units: *units, size: &entry.size };
        let read = match &entry.state {
            State::Open(fd) => read_all(fd, buffer),
            _ => match dir.file(&entry.name, OFlag::O_RDONLY) {
                Ok(fd) => {
                    let read = read_all(&fd, buffer);
                    entry.state = if *keep == Keep::Open { State::Open(fd) } else { State::Present };
                    read
                }
                Err(error) if error.errno() == Some(libc::ENOENT) => return entry.absent(dir, error),
                Err(error) => return Err(error),
            },
        };
        let text = match read {
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            // Switched off at boot: pressure (`psi=0`) or accounting of swap (`swapaccount=0`).
            Err(Errno::EOPNOTSUPP) => {
                entry.state = State::Absent;
                return Ok(());
            }
            Err(errno) => {
                return Err(Error::Read { path: dir.path().join(&entry.name), source: errno.into() });
            }
        };
        (entry.file.parse)(text, at, stats)
            .map_err(|wrong| Error::Content { path: dir.path().join(&entry.name), problem: wrong.0 })
    }
}

impl Entry {
    /// The file isn't there: remembers that, unless it was there before or the whole group is gone.
    fn absent(&mut self, dir: &Dir, error: Error) -> Result<()> {
        if matches!(self.state, State::Present) {
            return Err(error);
        }
        dir.has("cgroup.procs")?;
        self.state = State::Absent;
        Ok(())
    }
}

fn out_of_descriptors(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EMFILE | libc::ENFILE))
}

/// Reads the file from its start. The kernel hands out a control file whole if the buffer is large enough, so a read
/// that leaves room has seen the end.
fn read_all(fd: &OwnedFd, buffer: &mut Vec<u8>) -> nix::Result<usize> {
    loop {
        match pread(fd, buffer, 0) {
            Ok(length) if length < buffer.len() => return Ok(length),
            Ok(_) => buffer.resize(buffer.len() * 2, 0),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Names of the files of huge pages, sorted so that the sizes come in one order.
fn names(dir: &Dir) -> Result<Vec<String>> {
    let all = dir.entries()?.into_iter().filter_map(|entry| entry.name.into_string().ok());
    let mut names: Vec<String> = all.filter(|name| name.starts_with("hugetlb.")).collect();
    names.sort_unstable();
    Ok(names)
}
