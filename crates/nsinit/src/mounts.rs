//! mounts: what is mounted in a running container.

use std::path::{Path, PathBuf};

use libcontainer::MountEntry;
use libcontainer::mount::Mount;
use serde_json::json;

use crate::arguments::Mounts;
use crate::failure::{Failure, Named, Outcome};
use crate::lifecycle::load;
use crate::output::{say, table};
use crate::root::State;

#[inline(never)]
pub(crate) fn run(root: &State, command: Mounts) -> Outcome {
    match command {
        Mounts::List { format, id } => print(&load(root, &id)?.mounts()?, format == "json")?,
        Mounts::Add { kind, options, id, source, destination } => {
            load(root, &id)?.add_mount(&mount(kind, &options, &source, destination)?)?;
        }
        Mounts::Remove { id, destination } => load(root, &id)?.remove_mount(&destination)?,
    }
    Ok(0)
}

/// As config.json would have it: writable unless it says `ro`.
fn mount(kind: String, options: &str, source: &Path, destination: PathBuf) -> Result<Mount, Failure> {
    let mut options: Vec<String> =
        options.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
    let bind = kind == "bind" || options.iter().any(|option| option == "bind" || option == "rbind");
    let source = if bind {
        std::path::absolute(source).named(format_args!("{source:?}: make it absolute: getcwd"))?
    } else {
        source.to_owned()
    };
    if !bind && options.is_empty() {
        // Else a tmpfs would get those of 2014.
        options.push("defaults".to_owned());
    }
    let kind = if bind { "bind".to_owned() } else { kind };
    Ok(Mount { kind, source, destination, writable: bind, options, ..Mount::default() })
}

fn print(all: &[MountEntry], as_json: bool) -> Result<(), Failure> {
    if as_json {
        let all: Vec<_> = all
            .iter()
            .map(|one| {
                json!({"id": one.id, "parent": one.parent, "destination": one.destination, "type": one.kind,
                       "source": one.source, "options": one.options, "added": one.added})
            })
            .collect();
        return say!("{}", serde_json::to_string(&all).named("the mounts as JSON")?);
    }
    let mut lines = vec![["DESTINATION", "TYPE", "SOURCE", "OPTIONS", "ADDED"].map(str::to_owned).to_vec()];
    lines.extend(all.iter().map(|one| {
        let added = if one.added { "yes" } else { "-" };
        let [to, from] = [&one.destination, &one.source].map(|path| path.display().to_string());
        vec![to, one.kind.clone(), from, one.options.join(","), added.to_owned()]
    }));
    table(&lines)
}
