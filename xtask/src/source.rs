//! The workspace's files and packages.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::{cargo, output, root};

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
    let mut all = Vec::new();
    for path in names()? {
        match std::fs::read_to_string(root().join(&path)) {
            Ok(text) => all.push(Source { path, text }),
            // Deleted and not committed yet; no text.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {}
            Err(error) => return Err(error).context(path),
        }
    }
    Ok(all)
}

/// Names of all tracked files, and of those not yet added.
pub(crate) fn names() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    let text = output(git.args(["ls-files", "-co", "--exclude-standard"]).current_dir(root()))?;
    Ok(String::from_utf8(text)?.lines().map(str::to_owned).collect())
}

/// Names of the workspace's packages.
pub(crate) fn packages() -> Result<Vec<String>> {
    Ok(dependencies()?.into_iter().map(|(name, _)| name).collect())
}

/// Each package with its normal dependencies.
pub(crate) fn dependencies() -> Result<Vec<(String, Vec<String>)>> {
    let normal = |dependency: &&Value| dependency.get("kind").is_none_or(Value::is_null);
    let of = |package: &Value| {
        let names = list(package, "dependencies")?.iter().filter(normal).map(|one| text(one, "name"));
        Ok((
            text(package, "name")?.to_owned(),
            names.map(|name| name.map(str::to_owned)).collect::<Result<_>>()?,
        ))
    };
    list(&metadata()?, "packages")?.iter().map(of).collect()
}

/// The root files of all crates: libraries, programs, tests, benchmarks, examples, build scripts, and the init, which is cargo's to
/// build for nobody.
pub(crate) fn roots() -> Result<Vec<String>> {
    let (top, metadata) = (root(), metadata()?);
    let mut all = vec!["crates/plan/init/main.rs".to_owned()];
    for package in list(&metadata, "packages")? {
        for target in list(package, "targets")? {
            let path = PathBuf::from(text(target, "src_path")?);
            all.push(path.strip_prefix(&top)?.to_str().context("a name that is no text")?.to_owned());
        }
    }
    Ok(all)
}

fn metadata() -> Result<Value> {
    let args = ["metadata", "--no-deps", "--format-version", "1"];
    serde_json::from_slice(&output(&mut cargo(&args))?).context("what cargo metadata has printed")
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value.get(key).and_then(Value::as_array).with_context(|| format!("cargo metadata: no list {key}"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value.get(key).and_then(Value::as_str).with_context(|| format!("cargo metadata: no text {key}"))
}

/// All Cargo.toml files of the workspace.
pub(crate) fn manifests() -> Result<Vec<Source>> {
    Ok(files()?.into_iter().filter(|file| PathBuf::from(&file.path).ends_with("Cargo.toml")).collect())
}
