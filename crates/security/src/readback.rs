//! A ready init as the host sees it, compared with what the plan wanted: ids, capabilities, `no_new_privs`, namespaces.

use std::ffi::OsString;
use std::fmt::Display;
use std::io;

use libcontainer_plan::Pid;
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;

use crate::process_dir::{ProcessDir, ProcessFile};
use crate::status::{Ids, Status};

/// What the host expects of a ready init, in the host's own ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// User id in the host's user namespace; `None` if it has no name there.
    pub uid: Option<u32>,
    /// Group id likewise.
    pub gid: Option<u32>,
    /// Supplementary groups likewise, sorted.
    pub groups: Option<Vec<u32>>,
    /// Inheritable, permitted, effective, bounding, ambient: as masks.
    pub capabilities: [u64; 5],
    /// The flag.
    pub no_new_privs: bool,
    /// What SELinux is going to label the program with: `/proc/PID/attr/exec`. `None` if that is not looked at.
    pub exec_label: Option<String>,
    /// Namespace files in `/proc/PID/ns` that must differ from the host's, and those that must be the same.
    pub namespaces: Vec<(String, bool)>,
    /// Namespaces that were joined, each with its kind and inode as `/proc/PID/ns` shows them: `net:[4026531840]`.
    pub joined: Vec<String>,
}

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// Those of [`Expected`]: new or shared, and joined.
type Namespaces = (Vec<(String, bool)>, Vec<String>);

/// A process that is about to be read back: what can be looked up before it is ready.
#[derive(Debug)]
pub struct ReadBack {
    dir: ProcessDir,
    /// Its `status`, of which the kernel makes the text anew for each reading.
    status: ProcessFile,
    /// Names of the host's own namespaces, in the order of [`Expected::namespaces`].
    own: Vec<OsString>,
    /// What its namespaces were compared with already.
    compared: Option<Namespaces>,
}

impl ReadBack {
    /// Opens `/proc/PID` of a child and looks at the host's own namespaces.
    ///
    /// # Errors
    /// Those of open(2) and readlink(2).
    pub fn prepare(pid: Pid, expected: &Expected) -> io::Result<Self> {
        let dir = ProcessDir::open(pid)?;
        let status = dir.keep_open("status")?;
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let named = |call: String| {
            move |errno: Errno| io::Error::new(io::Error::from(errno).kind(), format!("{call}: {errno}"))
        };
        let place = "/proc/thread-self/ns";
        let ns = nix::fcntl::open(place, flags, Mode::empty()).map_err(named(format!("open {place}")))?;
        let mut own = Vec::with_capacity(expected.namespaces.len());
        for (name, _) in &expected.namespaces {
            let found = readlinkat(&ns, name.as_str());
            own.push(found.map_err(named(format!("readlink {place}/{name}")))?);
            // Only to have the kernel make the entry now: what counts is looked at again when the init is ready.
            let _ = dir.link(&format!("ns/{name}"));
        }
        for file in expected.joined.iter().filter_map(|link| file_of(link)) {
            // Likewise.
            let _ = dir.link(&file);
        }
        Ok(Self { dir, status, own, compared: None })
    }

    /// Reads `/proc/PID` and compares.
    ///
    /// # Errors
    /// Names the first item that differs, with both values.
    pub fn compare(&mut self, expected: &Expected) -> io::Result<()> {
        let status = Status::parse(self.status.read()?).map_err(io::Error::other)?;
        identity(&status, expected)?;
        privileges(&status, expected)?;
        exec_label(&self.dir, expected)?;
        let known =
            |(namespaces, joined): &(_, _)| *namespaces == expected.namespaces && *joined == expected.joined;
        if self.compared.as_ref().is_some_and(known) { Ok(()) } else { self.look_at_namespaces(expected) }
    }

    /// Compares what an init that stands by is not going to change: its namespaces, which [`ReadBack::compare`] leaves out from then on unless it is given
    /// others, the label of its program, and its bounding set, if it has that by now.
    ///
    /// # Errors
    /// As [`ReadBack::compare`].
    pub fn compare_standing(&mut self, expected: &Expected, bounding: Option<u64>) -> io::Result<()> {
        self.look_at_namespaces(expected)?;
        exec_label(&self.dir, expected)?;
        let status = Status::parse(self.status.read()?).map_err(io::Error::other)?;
        if let Some(wanted) = bounding {
            same_set("CapBnd", status.capabilities.bounding.bits(), wanted)?;
        }
        self.compared = Some((expected.namespaces.clone(), expected.joined.clone()));
        Ok(())
    }

    fn look_at_namespaces(&self, expected: &Expected) -> io::Result<()> {
        namespaces(&self.dir, &self.own, &expected.namespaces)?;
        joined(&self.dir, &expected.joined)
    }

    /// The process's directory.
    #[must_use]
    pub fn dir(&self) -> &ProcessDir {
        &self.dir
    }
}

fn differs(item: &str, wanted: impl Display, found: impl Display) -> io::Error {
    io::Error::other(format!("read back {item} of the init: wanted {wanted}, found {found}"))
}

fn identity(status: &Status, expected: &Expected) -> io::Result<()> {
    for (item, found, wanted) in [("Uid", status.uids, expected.uid), ("Gid", status.gids, expected.gid)] {
        if let Some(wanted) = wanted.filter(|wanted| found != Ids::all(*wanted)) {
            return Err(differs(item, wanted, found));
        }
    }
    let mut found = status.groups.clone();
    found.sort_unstable();
    match &expected.groups {
        Some(wanted) if *wanted != found => {
            Err(differs("Groups", format!("{wanted:?}"), format!("{found:?}")))
        }
        _ => Ok(()),
    }
}

fn privileges(status: &Status, expected: &Expected) -> io::Result<()> {
    let sets = &status.capabilities;
    let found = [sets.inheritable, sets.permitted, sets.effective, sets.bounding, sets.ambient];
    for ((item, found), wanted) in SETS.into_iter().zip(found).zip(expected.capabilities) {
        same_set(item, found.bits(), wanted)?;
    }
    if status.no_new_privs == expected.no_new_privs {
        return Ok(());
    }
    Err(differs("NoNewPrivs", expected.no_new_privs, status.no_new_privs))
}

fn same_set(item: &str, found: u64, wanted: u64) -> io::Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(differs(item, format!("{wanted:016x}"), format!("{found:016x}")))
}

fn exec_label(dir: &ProcessDir, expected: &Expected) -> io::Result<()> {
    let Some(wanted) = &expected.exec_label else { return Ok(()) };
    let found = dir.read("attr/exec")?;
    let found = found.strip_suffix(b"\0").unwrap_or(&found);
    if found == wanted.as_bytes() {
        return Ok(());
    }
    Err(differs("the label of the program", wanted, found.escape_ascii()))
}

/// The link's text has the inode, as `net:[4026531840]`; following it would make the kernel set up a file for each namespace.
fn namespaces(dir: &ProcessDir, own: &[OsString], wanted: &[(String, bool)]) -> io::Result<()> {
    if own.len() != wanted.len() {
        return Err(differs("namespaces", wanted.len(), own.len()));
    }
    for ((name, own_one), ours) in wanted.iter().zip(own) {
        let theirs = dir.link(&format!("ns/{name}"))?;
        if (theirs != *ours) != *own_one {
            let state = if *own_one { "one of its own" } else { "the host's" };
            return Err(io::Error::other(format!("read back namespace {name} of the init: wanted {state}")));
        }
    }
    Ok(())
}

/// No two namespaces that live have one inode, and those that are wanted live: the host or the container's first process holds them.
fn joined(dir: &ProcessDir, wanted: &[String]) -> io::Result<()> {
    for link in wanted {
        let found = match file_of(link) {
            Some(file) => dir.link(&file)?,
            None => OsString::new(),
        };
        if found != link.as_str() {
            return Err(differs("namespace", link, found.to_string_lossy()));
        }
    }
    Ok(())
}

fn file_of(link: &str) -> Option<String> {
    link.split_once(':').map(|(kind, _)| format!("ns/{kind}"))
}
