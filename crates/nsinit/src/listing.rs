//! list and state.

use std::ffi::OsStr;
use std::path::Path;

use libcontainer::security::user_name;
use libcontainer::{Container, ErrorKind, Listing, Pid, RunState, Summary};
use serde::Serialize;

use crate::arguments::ListArgs;
use crate::clock;
use crate::failure::{Failure, Named, Outcome, shown};
use crate::lifecycle::load;
use crate::output::{say, table};
use crate::root::State;
use crate::streams::note;
use crate::trial;

#[inline(never)]
pub(crate) fn state(root: &State, id: &str) -> Outcome {
    let container = load(root, id)?;
    say!("{}", serde_json::to_string_pretty(&describe(&container)?).named("the state as JSON")?)?;
    Ok(0)
}

/// One line of a list: what the specification calls the state, and what is known of a directory that is none.
#[derive(Debug, Serialize)]
struct Item {
    #[serde(flatten)]
    state: libcontainer_oci::State,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Item {
    /// What is shown of a directory that holds no container that could be looked at.
    fn failed(id: String, status: &str, error: String) -> Self {
        let (status, oci_version) = (status.to_owned(), libcontainer_oci::VERSION.to_owned());
        let state = libcontainer_oci::State { id, status, oci_version, ..libcontainer_oci::State::default() };
        Self { state, error: Some(error) }
    }
}

fn describe(container: &Container) -> libcontainer::Result<Item> {
    let (state, pid) = container.look()?;
    let config = container.config();
    let (id, created, labels) = (container.id(), container.created(), config.labels);
    Ok(shown_as(
        state,
        pid,
        created,
        libcontainer_oci::State {
            id,
            bundle: config.bundle,
            rootfs: config.rootfs,
            annotations: labels,
            ..libcontainer_oci::State::default()
        },
    ))
}

fn shown_as(state: RunState, pid: Option<Pid>, created: u64, known: libcontainer_oci::State) -> Item {
    let status = match state {
        RunState::Running => "running",
        RunState::Created => "created",
        RunState::Creating => "creating",
        RunState::Paused => "paused",
        RunState::Pausing => "pausing",
        RunState::Warm => "warm",
        _ => "stopped",
    };
    let state = libcontainer_oci::State {
        pid: pid.map_or(0, Pid::as_raw),
        status: status.to_owned(),
        created: clock::shown(created),
        oci_version: libcontainer_oci::VERSION.to_owned(),
        ..known
    };
    Item { state, error: None }
}

/// As [`describe`], and whose it is: only a list tells that, as in runc.
fn listed(found: Summary, passwd: &[u8]) -> Item {
    let known = libcontainer_oci::State {
        id: found.id,
        bundle: found.bundle,
        rootfs: found.rootfs,
        annotations: found.labels,
        owner: owner(found.owner, passwd),
        ..libcontainer_oci::State::default()
    };
    shown_as(found.state, found.pid, found.created, known)
}

/// The name of the user who has made a container, or `#` and the number, as runc shows it.
fn owner(uid: u32, passwd: &[u8]) -> String {
    let name = user_name(passwd, uid);
    name.map_or_else(|| format!("#{uid}"), |name| name.to_string_lossy().into_owned())
}

/// The names of users; without them there are numbers, and a word why.
fn passwd() -> Vec<u8> {
    const FILE: &str = "/etc/passwd";
    std::fs::read(FILE).unwrap_or_else(|error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            note(format_args!("names of owners: {FILE}: {}", shown(&error)));
        }
        Vec::new()
    })
}

#[inline(never)]
pub(crate) fn list(root: &State, args: &ListArgs) -> Outcome {
    let mut all = match Listing::open(root.dir()) {
        // No container was ever made.
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        listing => listing.and_then(|listing| items(root, &listing)).map_err(|error| of_root(&error))?,
    };
    all.sort_by(|one, other| one.state.id.cmp(&other.state.id));
    print(&all, args)?;
    // A damaged record is a fact, and is listed as one. What could not be found out is not.
    let unknown = all.iter().find(|item| item.state.status == UNKNOWN);
    match unknown.and_then(|item| Some((&item.state.id, item.error.as_ref()?))) {
        Some((id, error)) => Err(Failure::new(format!("container {id:?} could not be looked at: {error}"))),
        None => Ok(0),
    }
}

const UNKNOWN: &str = "unknown";

/// What the state directory could not be asked.
fn of_root(error: &libcontainer::Error) -> Failure {
    Failure::new(format!("state directory: {error}"))
}

/// What is shown of the entries; nothing of a file. One damaged entry must not hide the others.
fn items(root: &State, listing: &Listing) -> libcontainer::Result<Vec<Item>> {
    let mut names = listing.names()?;
    let passwd = passwd();
    let mut all = Vec::new();
    names.retain(|name| match tree(&root.dir().join(name)) {
        // What begins with a dot lies beside a container, and is no container's name.
        _ if name.as_encoded_bytes().starts_with(b".") => false,
        None => true,
        Some(item) => {
            all.extend(item);
            false
        }
    });
    let found = listing.summaries(&names);
    all.extend(names.iter().zip(found).filter_map(|(name, found)| item(name, found, &passwd)));
    Ok(all)
}

/// What is shown of the tree of a trial; `None` if the name is none of those.
fn tree(path: &Path) -> Option<Option<Item>> {
    match trial::owner_of(path) {
        Err(failure) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Some(Some(Item::failed(name, UNKNOWN, failure.to_string())))
        }
        // It is shown by its container; one that was killed earlier has none.
        Ok(Some(container)) => Some(abandoned(&container)),
        Ok(None) => None,
    }
}

fn item(name: &OsStr, found: libcontainer::Result<Option<Summary>>, passwd: &[u8]) -> Option<Item> {
    let failed =
        |status: &str, error: String| Some(Item::failed(name.to_string_lossy().into_owned(), status, error));
    match found {
        // It has gone since it was listed, or is no directory.
        Ok(found) => found.map(|found| listed(found, passwd)),
        Err(error) if error.kind() == ErrorKind::Corrupt => failed("broken", error.to_string()),
        Err(error) => failed(UNKNOWN, error.to_string()),
    }
}

fn abandoned(container: &Path) -> Option<Item> {
    let id = container.file_name()?.to_string_lossy();
    let told = |error: String| Some(Item::failed(id.clone().into_owned(), "broken", error));
    match container.try_exists() {
        Ok(true) => None,
        Ok(false) => told("a trial that was killed before it had a container".to_owned()),
        Err(error) => told(format!("{}: {}", container.display(), shown(&error))),
    }
}

fn print(all: &[Item], args: &ListArgs) -> Result<(), Failure> {
    if args.quiet {
        return all.iter().try_for_each(|item| say!("{}", item.state.id));
    }
    if args.format == "json" {
        return say!("{}", serde_json::to_string(all).named("the list as JSON")?);
    }
    let mut lines = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned).to_vec()];
    lines.extend(all.iter().map(|Item { state, .. }| {
        let bundle = state.bundle.display().to_string();
        let cells = [&state.id, &state.pid.to_string(), &state.status, &bundle, &state.created, &state.owner];
        cells.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell.clone() }).to_vec()
    }));
    table(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_without_a_name_have_a_number() {
        assert_eq!(owner(0, b"x:x:7:7::/:\nroot:x:0:0::/root:/bin/sh\n"), "root");
        assert_eq!(owner(0, b""), "#0");
    }
}
