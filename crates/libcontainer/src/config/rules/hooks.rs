//! Rules of hooks, and of what they are told.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::problems::{PATH_MAX, Problems};
use super::process::{ARGUMENT, environment};
use crate::config::container::Config;
use crate::config::hooks::Hook;

impl Config {
    /// The bundle's directory, or another one without a bundle.
    pub(crate) fn bundle_or<'a>(&'a self, other: &'a Path) -> &'a Path {
        if self.bundle.as_os_str().is_empty() { other } else { &self.bundle }
    }

    pub(super) fn hook_problems(&self, all: &mut Problems) {
        for (key, hooks) in self.hooks.lists() {
            for (index, hook) in hooks.iter().enumerate() {
                one(hook, &format!("/hooks/{key}/{index}"), all);
            }
        }
        if !self.bundle.as_os_str().is_empty() {
            absolute(&self.bundle, "/bundle", all);
        }
        if self.labels.contains_key("") {
            all.add("/labels", "a label without a name");
        }
    }
}

fn one(hook: &Hook, pointer: &str, all: &mut Problems) {
    absolute(&hook.path, &format!("{pointer}/path"), all);
    for (index, arg) in hook.args.iter().enumerate() {
        if arg.contains('\0') {
            all.add(format!("{pointer}/args/{index}"), "contains NUL");
        }
        if arg.len() > ARGUMENT {
            all.add(format!("{pointer}/args/{index}"), format!("{} bytes, limit {ARGUMENT}", arg.len()));
        }
    }
    for (index, entry) in hook.env.iter().enumerate() {
        environment(entry.as_bytes(), &format!("{pointer}/env/{index}"), all);
    }
    if hook.timeout == Some(0) {
        all.hint(format!("{pointer}/timeout"), "0 seconds", "leave it out to wait without end");
    }
}

fn absolute(path: &Path, pointer: &str, all: &mut Problems) {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) {
        all.add(pointer, "contains NUL");
    } else if bytes.len() > PATH_MAX {
        all.add(pointer, format!("longer than {PATH_MAX} bytes"));
    } else if !path.is_absolute() {
        all.add(pointer, format!("{:?}: not absolute", path.display().to_string()));
    }
}
