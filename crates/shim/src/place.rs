//! Where things lie: containers' directories, and files of ours in a bundle.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::trouble::{Trouble, named};

/// Where the containers of all namespaces are kept if containerd's configuration names no other place. `nsinit --root DIR/NAMESPACE list` shows them.
const ROOT: &str = "/run/containerd/nsinit";
/// In a bundle: the directory of its container, for `delete`, which is not told how the shim was configured.
const WHERE: &str = "nsinit-container";
/// In a bundle: where the shim listens. containerd reads it when it starts anew.
const ADDRESS: &str = "address";
/// Bytes that a config.json, or a file of ours, may have.
const LIMIT: u64 = 16 * 1024 * 1024;

/// The directory of a container, below the root that was configured, if one was.
///
/// # Errors
/// A name that leads elsewhere.
pub(crate) fn container(root: &str, namespace: &str, id: &str) -> Result<PathBuf, Trouble> {
    let root = if root.is_empty() { Path::new(ROOT) } else { Path::new(root) };
    if !root.is_absolute() {
        return Err(Trouble::invalid(format!("root {}: must be absolute", root.display())));
    }
    for name in [namespace, id] {
        let leads = name.is_empty() || name.contains(['/', '\0']) || name == "." || name == "..";
        if leads {
            return Err(Trouble::invalid(format!("{name:?} is no name of a namespace or container")));
        }
    }
    Ok(root.join(namespace).join(id))
}

/// Makes the directory in which that of a container is made.
pub(crate) fn ready(container: &Path) -> Result<(), Trouble> {
    let Some(parent) = container.parent() else { return Ok(()) };
    let made = DirBuilder::new().mode(0o700).recursive(true).create(parent);
    let made = match made {
        // It says so too if the one that is there could not be looked at.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = named(fs::metadata(parent), format_args!("stat {}", parent.display()))?;
            if found.is_dir() { Ok(()) } else { Err(error) }
        }
        made => made,
    };
    named(made, format_args!("mkdir {}", parent.display()))
}

/// Notes in a bundle where its container lies.
pub(crate) fn note(bundle: &Path, container: &Path) -> Result<(), Trouble> {
    write(&bundle.join(WHERE), &container.to_string_lossy())
}

/// What [`note`] has noted; nothing if no container was made of this bundle.
pub(crate) fn noted(bundle: &Path) -> Result<Option<PathBuf>, Trouble> {
    let path = bundle.join(WHERE);
    let text = read(&path)?;
    let text = text.map(String::from_utf8).transpose();
    let text = text.map_err(|_| Trouble::failed(format!("{}: not UTF-8", path.display())))?;
    Ok(text.map(PathBuf::from))
}

/// Writes where the shim listens.
pub(crate) fn write_address(bundle: &Path, address: &str) -> Result<(), Trouble> {
    write(&bundle.join(ADDRESS), address)
}

/// The path of the socket at which the shim of this bundle listens, or has listened.
pub(crate) fn socket(bundle: &Path) -> Result<Option<PathBuf>, Trouble> {
    let text = read(&bundle.join(ADDRESS))?.and_then(|bytes| String::from_utf8(bytes).ok());
    // What is no such address is not ours.
    Ok(text
        .and_then(|text| text.strip_prefix("unix://").map(PathBuf::from))
        .filter(|path| path.is_absolute()))
}

/// All of a file, or nothing if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Trouble> {
    let what = format!("read {}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => named(file, &what)?,
    };
    let mut bytes = Vec::new();
    let count = named(file.take(LIMIT + 1).read_to_end(&mut bytes), &what)?;
    if count as u64 > LIMIT {
        return Err(Trouble::invalid(format!("{what}: more than {LIMIT} bytes")));
    }
    Ok(Some(bytes))
}

/// A reader sees all of it or the old file.
fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    let what = format!("write {}", path.display());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    named(written.and_then(|()| fs::rename(&new, path)), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_elsewhere() {
        let found = |root, namespace, id| container(root, namespace, id).ok();
        assert_eq!(found("", "k8s.io", "web"), Some(PathBuf::from("/run/containerd/nsinit/k8s.io/web")));
        assert_eq!(found("/r", "a", "b"), Some(PathBuf::from("/r/a/b")));
        for (root, namespace, id) in [
            ("", "..", "b"),
            ("", "a", ".."),
            ("", "a", "../b"),
            ("", "a/b", "c"),
            ("", "a", ""),
            ("r", "a", "b"),
        ] {
            assert_eq!(found(root, namespace, id), None, "{root} {namespace} {id}");
        }
    }
}
