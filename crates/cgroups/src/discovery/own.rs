//! `/proc/self/cgroup` and `/proc/cgroups`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::{malformed, path};
use crate::error::Result;

/// One line of `/proc/self/cgroup`.
pub(super) struct Own {
    /// Empty for version 2.
    pub(super) controllers: Vec<String>,
    pub(super) path: PathBuf,
}

pub(super) fn parse(text: &[u8]) -> Result<Vec<Own>> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            // The path may have colons; the kernel escapes nothing here.
            let mut fields = line.splitn(3, |byte| *byte == b':');
            let (Some(_), Some(controllers), Some(own)) = (fields.next(), fields.next(), fields.next())
            else {
                return Err(malformed("/proc/self/cgroup", line));
            };
            if !own.starts_with(b"/") {
                return Err(malformed("/proc/self/cgroup", line));
            }
            let own = own.strip_suffix(b" (deleted)").unwrap_or(own);
            let controllers = String::from_utf8_lossy(controllers);
            let controllers = controllers.split(',').filter(|name| !name.is_empty());
            Ok(Own { controllers: controllers.map(str::to_owned).collect(), path: path(own) })
        })
        .collect()
}

pub(super) fn is_listed(own: &[Own], name: &str) -> bool {
    own.iter().any(|line| line.controllers.iter().any(|one| one == name))
}

/// `/proc/cgroups`, read once: which controllers there are, and which of them are enabled, is settled at boot. Empty on a kernel without
/// version 1.
pub(super) fn kernel() -> Result<&'static [u8]> {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(text) = TEXT.get() {
        return Ok(text);
    }
    match super::read("/proc/cgroups") {
        Ok(text) => Ok(TEXT.get_or_init(|| text)),
        Err(error) if error.is_gone() => Ok(b""),
        Err(error) => Err(error),
    }
}

/// Names of `/proc/cgroups`, and whether each is enabled. Lines of another shape are passed over.
pub(super) fn controllers_of_kernel(text: &[u8]) -> BTreeMap<String, bool> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let name = fields.next()?;
            Some((name.to_owned(), fields.nth(2)? != "0"))
        })
        .collect()
}
