//! The programs that are tried, as they lie beside this one.

use std::path::PathBuf;
use std::process::Command;

/// The shim.
pub(crate) const SHIM: &str = "containerd-shim-nsinit-v2";
/// What stands in for criu.
pub(crate) const STANDIN: &str = "standin";
/// Those that are run, as they are called in a place.
pub(crate) const ALL: [&str; 5] = ["nsinit", "library_host", "faults", SHIM, STANDIN];

/// Whether one is there to be tried.
pub(crate) fn is_there(name: &str) -> bool {
    std::env::current_exe().is_ok_and(|own| own.with_file_name(name).exists())
}

/// The criu that `cargo xtask criu` has fetched, or the system's.
pub(crate) fn criu() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let fetched = own.parent()?.parent()?.join("criu/criu");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&path).map(|dir| dir.join("criu"));
    let found = [fetched].into_iter().chain(all).find(|path| path.is_file())?;
    let checked = Command::new(&found).arg("check").output().ok()?;
    checked.status.success().then_some(found)
}
