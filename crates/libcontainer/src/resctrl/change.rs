//! Shares of a class that are changed while its container runs.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::mounted::{ResctrlMount, read};
use crate::config::is_schema;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::record::ResctrlGroup;

/// A change that was looked at.
#[derive(Debug)]
pub(crate) struct Change {
    mount: ResctrlMount,
    file: PathBuf,
    /// What the file has.
    before: String,
    lines: String,
}

impl Change {
    /// Looks whether it can be done: only a class that was made for the container is its own to change.
    pub(crate) fn new(
        groups: &[ResctrlGroup],
        lines: &[String],
        mount: Option<&ResctrlMount>,
    ) -> Result<Self> {
        let problems: Vec<_> = (0..).zip(lines).filter_map(|(index, line)| problem(index, line)).collect();
        if !problems.is_empty() {
            return Err(Error::problems("update", problems));
        }
        let refused = |text: String| Error::new(ErrorKind::InvalidConfig, format!("/resctrl: {text}"));
        let Some(class) = groups.first() else {
            let text =
                "the container is in no class of its own: it is given one when it is made (linux.intelRdt)";
            return Err(refused(text.to_owned()));
        };
        let shown = class.path.display();
        if !class.made {
            return Err(refused(format!(
                "class {shown} was there before, and is not the container's to change"
            )));
        }
        let found = fs::symlink_metadata(&class.path)
            .map_err(|error| Error::io(format!("/resctrl: lstat {shown}"), error))?;
        if class.inode != Some(found.ino()) {
            return Err(refused(format!("class {shown} is not that which was made for the container")));
        }
        let mount = mount.cloned().map_or_else(ResctrlMount::find, Ok)?;
        let file = class.path.join(&mount.schemata);
        let before =
            read(&file).map_err(|error| Error::io(format!("/resctrl: read {}", file.display()), error))?;
        Ok(Self { mount, file, before, lines: lines.join("\n") })
    }

    /// Does it.
    pub(crate) fn write(&self) -> io::Result<()> {
        write(&self.mount, &self.file, &self.lines)
    }

    /// Gives the class what it had.
    pub(crate) fn take_back(&self) -> io::Result<()> {
        write(&self.mount, &self.file, self.before.trim_end())
    }
}

fn problem(index: usize, line: &str) -> Option<Problem> {
    let message = format!("{line:?}: one line such as L3:0=f;1=f");
    let pointer = format!("/resctrl/schemata/{index}");
    (!is_schema(line)).then_some(Problem { pointer, message, remedy: None })
}

/// Writes lines to a file `schemata`. One call: the kernel takes all of them or none.
pub(super) fn write(mount: &ResctrlMount, file: &Path, lines: &str) -> io::Result<()> {
    let written = fs::File::options()
        .write(true)
        .open(file)
        .and_then(|mut out| out.write_all(format!("{lines}\n").as_bytes()));
    written.map_err(|error| mount.refused(format!("write {lines:?} to {}", file.display()), error))
}

/// Lines with those in their place that are of the same resource.
pub(crate) fn merged(old: &[String], new: &[String]) -> Vec<String> {
    fn resource(line: &str) -> &str {
        line.split_once(':').map_or("", |(resource, _)| resource.trim())
    }
    let stays = |line: &&String| !new.iter().any(|other| resource(other) == resource(line));
    old.iter().filter(stays).chain(new).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_the_place_of_that_of_its_resource() {
        let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let found = merged(&lines(&["L3:0=f", "MB:0=50"]), &lines(&["L3:0=3"]));
        assert_eq!(found, lines(&["MB:0=50", "L3:0=3"]));
        assert_eq!(merged(&lines(&[]), &lines(&["MB:0=10"])), lines(&["MB:0=10"]));
    }
}
