//! Which containers share a shim, and where it listens.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::place;
use crate::trouble::Trouble;

/// Annotations whose value names a group, the first that is there counts.
const GROUPS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// What is read of a config.json before there is a shim to read all of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotated {
    annotations: Option<BTreeMap<String, String>>,
}

/// The group of the container of this bundle: its pod, or itself alone.
///
/// # Errors
/// A config.json that is none.
pub(crate) fn of(bundle: &Path, id: &str) -> Result<String, Trouble> {
    let path = bundle.join("config.json");
    let text = place::read(&path)?;
    let text = text.ok_or_else(|| Trouble::not_found(format!("{}: no such file", path.display())))?;
    in_config(&text, id).map_err(|error| Trouble::invalid(format!("{}: {error}", path.display())))
}

fn in_config(text: &[u8], id: &str) -> serde_json::Result<String> {
    let found: Annotated = serde_json::from_slice(text)?;
    let annotations = found.annotations.unwrap_or_default();
    let group = GROUPS.iter().find_map(|key| annotations.get(*key));
    Ok(group.cloned().unwrap_or_else(|| id.to_owned()))
}

/// The path of the socket of a group's shim. It is the same for all who ask, of whatever version.
pub(crate) fn socket(daemon: &str, namespace: &str, group: &str) -> String {
    let digest = Sha256::digest(format!("nsinit\n{daemon}\n{namespace}\n{group}"));
    let mut path = "/run/containerd/s/".to_owned();
    for byte in digest {
        // Writing to a string does not fail.
        let _ = write!(path, "{byte:02x}");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_a_group() {
        for (text, wanted) in [
            (r#"{}"#, "web"),
            (r#"{"annotations": null}"#, "web"),
            (r#"{"annotations": {"a": "b"}}"#, "web"),
            (r#"{"annotations": {"io.kubernetes.cri.sandbox-id": "pod"}}"#, "pod"),
            (
                r#"{"annotations": {"io.kubernetes.cri.sandbox-id": "pod", "io.containerd.runc.v2.group": "g"}}"#,
                "g",
            ),
        ] {
            assert_eq!(in_config(text.as_bytes(), "web").ok().as_deref(), Some(wanted), "{text}");
        }
        assert!(in_config(b"[", "web").is_err());
    }

    #[test]
    fn groups_and_namespaces_have_sockets_of_their_own() {
        let one = socket("/run/c.sock", "a", "b");
        assert!(one.len() < 108, "{one}: longer than sun_path");
        assert_eq!(one, socket("/run/c.sock", "a", "b"));
        for other in [
            socket("/run/c.sock", "a", "c"),
            socket("/run/c.sock", "c", "b"),
            socket("/run/d.sock", "a", "b"),
        ] {
            assert_ne!(one, other);
        }
    }
}
