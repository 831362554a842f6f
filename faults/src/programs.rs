//! The programs that are tried, as they lie beside this one.

/// The shim.
pub(crate) const SHIM: &str = "containerd-shim-nsinit-v2";
/// Those that are run, as they are called in a place.
pub(crate) const ALL: [&str; 4] = ["nsinit", "library_host", "faults", SHIM];

/// Whether the shim is there to be tried.
pub(crate) fn has_shim() -> bool {
    std::env::current_exe().is_ok_and(|own| own.with_file_name(SHIM).exists())
}
