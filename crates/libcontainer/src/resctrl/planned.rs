//! A class that is planned from the config: what the host does to make it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libcontainer_plan::HostStep;

use super::change::write;
use super::going::{enter, mark, rmdir};
use super::mounted::{ResctrlMount, read};
use super::schema::differing;
use crate::config::{Resctrl, is_class};
use crate::error::{Error, ErrorKind, Result, named};
use crate::record::ResctrlGroup;

/// What a config asks for.
#[derive(Debug)]
pub(crate) struct Planned {
    mount: ResctrlMount,
    groups: Vec<ResctrlGroup>,
    /// Of a class that is new.
    schemata: Vec<String>,
}

/// The host steps for a class.
#[derive(Debug, Default)]
pub(crate) struct ResctrlSteps {
    /// Before there is an init.
    pub(crate) before: Vec<HostStep>,
    /// With an init that waits.
    pub(crate) born: Vec<HostStep>,
}

/// What is to be known of a group that is made.
#[derive(Clone)]
pub(crate) struct Notes {
    /// With what it is marked as the container's.
    pub(crate) token: Arc<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>,
    /// Told when it was made: which, and its inode.
    pub(crate) made: Arc<dyn Fn(usize, u64) + Send + Sync>,
}

impl Planned {
    /// Looks whether what is asked for can be. Makes nothing.
    pub(crate) fn new(config: &Resctrl, id: &str, mount: Option<&ResctrlMount>) -> Result<Self> {
        let mount = mount.cloned().map_or_else(ResctrlMount::find, Ok)?;
        let class = class_of(config, id, &mount.root)?;
        let text = |error| Error::io(format!("/resctrl: lstat {}", class.display()), error);
        let there = exists(&class).map_err(text)?;
        agrees(config, &mount, &class, there)?;
        let schemata = if there { Vec::new() } else { config.schemata.clone() };
        let monitor = config.monitoring.then(|| class.join(&mount.monitors).join(id));
        let group = |path, made| ResctrlGroup { path, tasks: mount.tasks.clone(), inode: None, made };
        let groups =
            [group(class, !there)].into_iter().chain(monitor.map(|path| group(path, true))).collect();
        Ok(Self { mount, groups, schemata })
    }

    /// The class and the group that measures, for the record.
    pub(crate) fn groups(&self) -> Vec<ResctrlGroup> {
        self.groups.clone()
    }

    /// The host steps: make, share out, enter.
    pub(crate) fn steps(self, notes: &Notes) -> ResctrlSteps {
        let mut before = Vec::new();
        for (index, group) in self.groups.iter().enumerate().filter(|(_, group)| group.made) {
            before.push(make(&self.mount, &group.path, index, notes.clone()));
            if index == 0 && !self.schemata.is_empty() {
                before.push(share(&self.mount, &group.path, &self.schemata));
            }
        }
        ResctrlSteps { before, born: enter(&self.groups).into_iter().collect() }
    }
}

/// The steps of a plan that is only shown.
pub(crate) fn shown(config: &Resctrl, id: &str) -> ResctrlSteps {
    let class = if config.class.is_empty() { id } else { &config.class };
    let step = |text: &str| HostStep::new(format!("{text} {class}"), "", |_| Ok(None));
    let before = [step("make, if it is missing, resctrl class")].into_iter();
    let monitor = config.monitoring.then(|| step("make a group that measures in resctrl class"));
    ResctrlSteps {
        before: before.chain(monitor).collect(),
        born: vec![step("move the init into resctrl class")],
    }
}

fn class_of(config: &Resctrl, id: &str, root: &Path) -> Result<PathBuf> {
    let named = config.class.is_empty() || config.monitoring;
    if named && !is_class(id) {
        let text = format!("/resctrl: {id:?}, the container's name, can't be that of a class");
        return Err(Error::new(ErrorKind::InvalidConfig, text));
    }
    Ok(match config.class.as_str() {
        "" => root.join(id),
        "/" => root.to_owned(),
        class => root.join(class),
    })
}

fn exists(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true),
    }
}

/// Whether the class that is there, or none, is one for this config.
fn agrees(config: &Resctrl, mount: &ResctrlMount, class: &Path, there: bool) -> Result<()> {
    let shown = class.display();
    match (config.class.is_empty(), config.schemata.is_empty(), there) {
        (true, _, true) => Err(Error::new(
            ErrorKind::AlreadyExists,
            format!(
                "/resctrl: class {shown} is there, and is no new container's: name it by \"class\" (closID) to share it, or rmdir it"
            ),
        )),
        (false, true, false) => Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "/resctrl/class: {shown} is not there: without schemata it has to be made by somebody else before"
            ),
        )),
        (false, false, true) => {
            let file = class.join(&mount.schemata);
            let found = read(&file)
                .map_err(|error| Error::io(format!("/resctrl: read {}", file.display()), error))?;
            match differing(&config.schemata, &found).as_slice() {
                [] => Ok(()),
                [line, ..] => Err(Error::new(
                    ErrorKind::InvalidConfig,
                    format!(
                        "/resctrl/schemata: class {shown} is there and has not {line:?} but {:?}",
                        found.trim()
                    ),
                )),
            }
        }
        _ => Ok(()),
    }
}

fn make(mount: &ResctrlMount, path: &Path, index: usize, notes: Notes) -> HostStep {
    let text = format!("make resctrl group {}", path.display());
    // Somebody else's, made since the look.
    let anothers = Arc::new(AtomicBool::new(false));
    let (mount, path, kept) = (mount.clone(), path.to_owned(), Arc::clone(&anothers));
    let undone = path.clone();
    let run = move |_: &mut _| {
        if let Err(error) = DirBuilder::new().create(&path) {
            kept.store(error.kind() == io::ErrorKind::AlreadyExists, Ordering::Relaxed);
            let hint = if error.raw_os_error() == Some(libc::ENOSPC) {
                ": the processor has no class left (num_closids)"
            } else {
                ""
            };
            return Err(mount.refused(format!("mkdir {}{hint}", path.display()), error));
        }
        // ORDER: right behind, and long before the record says which it is: who was killed since has left it with the mark.
        (notes.token)().and_then(|token| mark(&path, &token))?;
        let data =
            fs::symlink_metadata(&path).map_err(|error| named(format!("lstat {}", path.display()), error))?;
        (notes.made)(index, data.ino());
        Ok(())
    };
    let undo = move || if anothers.load(Ordering::Relaxed) { Ok(()) } else { rmdir(&undone) };
    HostStep::guarded(text, "remove it", run, undo)
}

fn share(mount: &ResctrlMount, class: &Path, schemata: &[String]) -> HostStep {
    let file = class.join(&mount.schemata);
    let lines = schemata.join("\n");
    let text = format!("write {:?} to {}", lines, file.display());
    let mount = mount.clone();
    HostStep::new(text, "", move |_| write(&mount, &file, &lines).map(|()| None))
}
