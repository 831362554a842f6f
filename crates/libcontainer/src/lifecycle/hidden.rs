//! A `/proc` that hides processes from ordinary users: its option `hidepid`, proc(5).

use std::io;

use libcontainer_mount::{Entry, parse_mountinfo};

/// Whether an ordinary user's look at a process of his own was refused by that option. It hides what is not dumpable, and an init that joins never is.
/// If it can't be known the refusal stands for what it says.
pub(super) fn is_why(error: &io::Error) -> bool {
    let refused = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
    refused && std::fs::read("/proc/thread-self/mountinfo").is_ok_and(|text| hides(&text))
}

/// Whether the topmost mount on `/proc` has it.
fn hides(text: &[u8]) -> bool {
    let of_proc = |entry: &Entry<'_>| *entry.target == *b"/proc" && *entry.fstype == *b"proc";
    let top = parse_mountinfo(text).filter_map(Result::ok).filter(of_proc).last();
    let is_set =
        |option: &[u8]| option.strip_prefix(b"hidepid=").is_some_and(|value| !matches!(value, b"0" | b"off"));
    top.is_some_and(|entry| entry.super_options.split(|byte| *byte == b',').any(is_set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_option_of_the_topmost_proc_counts() {
        let line = |target: &str, kind: &str, options: &str| {
            format!("21 1 0:5 / {target} rw,relatime - {kind} {kind} {options}\n")
        };
        let plain = line("/proc", "proc", "rw");
        for value in ["noaccess", "invisible", "ptraceable", "1", "2", "4"] {
            let hidden = line("/proc", "proc", &format!("rw,gid=7,hidepid={value}"));
            assert!(hides(hidden.as_bytes()), "{value}");
            assert!(hides([plain.as_str(), &hidden].concat().as_bytes()), "{value}");
            assert!(!hides([hidden.as_str(), &plain].concat().as_bytes()), "{value}");
        }
        for (target, kind, options) in [
            ("/proc", "proc", "rw,hidepid=off"),
            ("/proc", "proc", "rw,hidepid=0"),
            ("/x/proc", "proc", "rw,hidepid=invisible"),
            ("/proc", "tmpfs", "rw,hidepid=invisible"),
        ] {
            assert!(!hides(line(target, kind, options).as_bytes()), "{target} {kind} {options}");
        }
    }
}
