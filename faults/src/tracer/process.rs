//! What `/proc` says of a process that is traced.

use std::fs;

use nix::unistd::Pid;

use crate::bundle::HOOK;

/// A field of `/proc/PID/status`.
fn field(thread: Pid, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// The process that a thread belongs to; `None` if it has gone.
pub(super) fn group(thread: Pid) -> Option<Pid> {
    field(thread, "Tgid")?.parse().ok().map(Pid::from_raw)
}

/// Whether it stands still for its tracer.
pub(crate) fn is_stopped(thread: Pid) -> bool {
    field(thread, "State").is_some_and(|state| state.starts_with('t'))
}

/// Whether it executes the sealed init.
pub(super) fn executes_init(thread: Pid) -> bool {
    let link = fs::read_link(format!("/proc/{thread}/exe"));
    link.is_ok_and(|link| link.to_string_lossy().contains("memfd:libcontainer-init"))
}

/// The word by which criu is run as a service of one caller.
const CRIU: &str = "swrk";

/// Whether it executes a hook or criu, which are no programs of the container.
pub(super) fn is_of_host(thread: Pid) -> bool {
    let line = fs::read(format!("/proc/{thread}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|word| [HOOK, CRIU].iter().any(|known| word == known.as_bytes()))
}

/// What the descriptors lead to, without the numbers of what has no name. Those of processes that have ended are left out: a child that is traced can't be
/// reaped before its tracer has seen its end, so a parent that looks at once has to keep it for later.
pub(super) fn descriptors(process: Pid) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let link = |entry: fs::DirEntry| {
        let link = fs::read_link(entry.path()).ok()?.display().to_string();
        let name = entry.file_name();
        if !link.contains("pidfd") {
            return Some(unnumbered(&link));
        }
        let ended = is_of_ended(process, &name.to_string_lossy());
        (!ended).then(|| LIVING.to_owned())
    };
    let mut all: Vec<_> = entries.filter_map(link).collect();
    all.sort();
    all
}

/// The pidfd of a process that lives.
pub(crate) const LIVING: &str = "the pidfd of a process that lives";

/// Whether a pidfd is that of a process that has ended.
fn is_of_ended(process: Pid, number: &str) -> bool {
    let info = fs::read_to_string(format!("/proc/{process}/fdinfo/{number}")).unwrap_or_default();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    match pid {
        Some(pid) if pid > 0 => field(Pid::from_raw(pid), "State").is_none_or(|state| state.starts_with('Z')),
        _ => true,
    }
}

/// `socket:[4711]` is a socket, `anon_inode:[pidfd]` stays.
fn unnumbered(link: &str) -> String {
    match link.split_once(":[") {
        Some((kind, rest)) if rest.starts_with(|first: char| first.is_ascii_digit()) => kind.to_owned(),
        _ => link.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_without_a_name_are_told_by_kind() {
        assert_eq!(unnumbered("socket:[4711]"), "socket");
        assert_eq!(unnumbered("anon_inode:[pidfd]"), "anon_inode:[pidfd]");
        assert_eq!(unnumbered("/etc/x"), "/etc/x");
    }
}
