//! Options of the runtime as text: the part of TOML that they need, a `Name = value` on each line.

use containerd_shim_protos::shim::oci::Options;

/// Reads them over defaults. Names are those that the shim for runc has in containerd's configuration.
///
/// # Errors
/// The line that is no option.
pub(super) fn read(text: &str) -> Result<Options, String> {
    let mut options = Options::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        set(&mut options, line).map_err(|wrong| format!("line {}: {line}: {wrong}", number + 1))?;
    }
    Ok(options)
}

fn set(options: &mut Options, line: &str) -> Result<(), String> {
    let (name, value) = line.split_once('=').ok_or("not Name = value")?;
    let value = value.trim();
    match name.trim() {
        "SystemdCgroup" => options.systemd_cgroup = truth(value)?,
        "NoPivotRoot" => options.no_pivot_root = truth(value)?,
        "NoNewKeyring" => options.no_new_keyring = truth(value)?,
        "Root" => options.root = quoted(value)?,
        _ => return Err("there are SystemdCgroup, NoPivotRoot, NoNewKeyring and Root".to_owned()),
    }
    Ok(())
}

fn truth(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "neither true nor false".to_owned())
}

fn quoted(value: &str) -> Result<String, String> {
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let inner = inner.filter(|inner| !inner.contains(['"', '\'', '\\']));
    inner.map(str::to_owned).ok_or_else(|| "not a text in quotes, without escapes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_named() {
        let read_all = read("# ours\n\nSystemdCgroup = true\nRoot='/run/x'\n NoPivotRoot=false\n");
        let wanted = Options { systemd_cgroup: true, root: "/run/x".to_owned(), ..Options::default() };
        assert_eq!(read_all, Ok(wanted));
        for (text, wrong) in [
            ("SystemdCgroup = yes", "line 1: SystemdCgroup = yes: neither"),
            ("\nBinaryName = \"runc\"", "line 2: BinaryName = \"runc\": there are"),
            ("Root = /run/x", "line 1: Root = /run/x: not a text"),
            ("[section]", "line 1: [section]: not Name"),
        ] {
            assert!(read(text).is_err_and(|error| error.starts_with(wrong)), "{text}");
        }
    }
}
