//! list and state.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libcontainer::plan::names;
use libcontainer::security::user_name;
use libcontainer::{Container, ErrorKind, Factory, RunState};
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
    let status = match state {
        RunState::Running => "running",
        RunState::Created => "created",
        RunState::Creating => "creating",
        RunState::Paused => "paused",
        RunState::Pausing => "pausing",
        RunState::Warm => "warm",
        _ => "stopped",
    };
    let config = container.config();
    let state = libcontainer_oci::State {
        id: container.id(),
        pid: pid.map_or(0, libcontainer::Pid::as_raw),
        status: status.to_owned(),
        bundle: config.bundle,
        rootfs: config.rootfs,
        created: clock::shown(container.created()),
        annotations: config.labels,
        // Only a list tells it, as in runc.
        owner: String::new(),
        oci_version: libcontainer_oci::VERSION.to_owned(),
    };
    Ok(Item { state, error: None })
}

/// The name of the user who has made a container, or `#` and the number, as runc shows it; nothing if the directory has gone meanwhile.
fn owner(dir: &Path, passwd: &[u8]) -> String {
    let data = match dir.symlink_metadata() {
        Ok(data) => data,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                note(format_args!("whose {} is: {error}", dir.display()));
            }
            return String::new();
        }
    };
    let name = user_name(passwd, data.uid());
    name.map_or_else(|| format!("#{}", data.uid()), |name| name.to_string_lossy().into_owned())
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
    let called = |call: &str| format!("state directory {}: {call}", root.dir().display());
    let names = match File::open(root.dir()).and_then(names) {
        // No container was ever made.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        names => names.named(called("read"))?,
    };
    let (factory, passwd) = (Factory::new()?, passwd());
    // What begins with a dot lies beside a container, and is no container's name.
    let names = names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b"."));
    let mut all: Vec<_> = names.filter_map(|name| item(&factory, &root.dir().join(name), &passwd)).collect();
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

/// What is shown of an entry; nothing of a file. One damaged entry must not hide the others.
fn item(factory: &Factory, path: &Path, passwd: &[u8]) -> Option<Item> {
    let id = path.file_name()?.to_string_lossy().into_owned();
    let failed = |status: &str, error: String| Some(Item::failed(id.clone(), status, error));
    match path.symlink_metadata() {
        // It is gone since it was listed.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return failed(UNKNOWN, format!("{}: {}", path.display(), shown(&error))),
        Ok(kind) if !kind.is_dir() => return None,
        Ok(_) => {}
    }
    match trial::owner_of(path) {
        Err(failure) => return failed(UNKNOWN, failure.to_string()),
        // It is shown by its container; one that was killed earlier has none.
        Ok(Some(container)) => return abandoned(&container),
        Ok(None) => {}
    }
    let described = factory.load(path).and_then(|container| describe(&container));
    match described {
        Ok(mut item) => {
            item.state.owner = owner(path, passwd);
            Some(item)
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => failed("broken", error.to_string()),
        // Another process has destroyed it meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => None,
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
        let root = Path::new("/");
        assert_eq!(owner(root, b"x:x:7:7::/:\nroot:x:0:0::/root:/bin/sh\n"), "root");
        assert_eq!(
            (owner(root, b""), owner(Path::new("/no-such/record"), b"")),
            ("#0".to_owned(), String::new())
        );
    }
}
