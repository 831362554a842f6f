//! `--pid-file`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use libcontainer::Pid;

use crate::failure::{Failure, Named};

/// A file that is to hold a pid: made under another name before there is a process, so that a wrong path is told first, and renamed into place.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl PidFile {
    pub(crate) fn prepare(path: &Path) -> Result<Self, Failure> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let file = File::create(&temporary).named(shown(path))?;
        Ok(Self { path: path.to_owned(), temporary, file })
    }

    pub(crate) fn write(mut self, pid: Pid) -> Result<(), Failure> {
        let written = self.file.write_all(pid.to_string().as_bytes());
        written.and_then(|()| fs::rename(&self.temporary, &self.path)).named(shown(&self.path))
    }
}

fn shown(path: &Path) -> String {
    format!("--pid-file {}", path.display())
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Not there if it was renamed; and else the error that came before is the one that counts.
        let _ = fs::remove_file(&self.temporary);
    }
}
