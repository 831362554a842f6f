//! The workspace's files and packages.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::{cargo, root};

/// A tracked text file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// All tracked files, and those not yet added, that are text.
pub(crate) fn files() -> Result<Vec<Source>> {
    let output = Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("git ls-files")?;
    let names = String::from_utf8(output.stdout)?;
    let read = |path: &str| {
        std::fs::read_to_string(root().join(path)).ok().map(|text| Source { path: path.to_owned(), text })
    };
    Ok(names.lines().filter_map(read).collect())
}

/// Names of the workspace's packages.
pub(crate) fn packages() -> Result<Vec<String>> {
    Ok(dependencies()?.into_iter().map(|(name, _)| name).collect())
}

/// Each package with its normal dependencies.
pub(crate) fn dependencies() -> Result<Vec<(String, Vec<String>)>> {
    let output =
        cargo(&["metadata", "--no-deps", "--format-version", "1"]).output().context("cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let packages = metadata.get("packages").and_then(Value::as_array).cloned().unwrap_or_default();
    let normal = |dependency: &&Value| dependency.get("kind").is_none_or(Value::is_null);
    let of = |package: &Value| {
        let all = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        let names = all.filter(normal).map(|dependency| text(dependency, "name"));
        (text(package, "name"), names.collect())
    };
    Ok(packages.iter().map(of).collect())
}

/// All Cargo.toml files of the workspace.
pub(crate) fn manifests() -> Result<Vec<Source>> {
    Ok(files()?.into_iter().filter(|file| PathBuf::from(&file.path).ends_with("Cargo.toml")).collect())
}
