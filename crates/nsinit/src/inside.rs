//! What `try` shows from inside a container.

use std::fs;
use std::io::Read;

use libcontainer::plan::names;

use crate::failure::{Named, Outcome, shown};
use crate::output::say;

/// Variable that carries the host's namespaces to the inside.
pub(crate) const HOST: &str = "NSINIT_HOST_NAMESPACES";

const KINDS: [(&str, &str); 8] = [
    ("mnt", "mounts"),
    ("pid", "process ids"),
    ("uts", "host name"),
    ("ipc", "message queues, shared memory"),
    ("net", "network"),
    ("cgroup", "view of cgroups"),
    ("user", "user ids"),
    ("time", "clocks"),
];

/// The namespaces of this process as one word; one that can't be read is `?`.
pub(crate) fn namespaces() -> String {
    let inode = |(name, _): &(&str, &str)| {
        let link = fs::read_link(format!("/proc/self/ns/{name}"));
        link.map_or_else(|_| UNKNOWN.to_owned(), |link| link.display().to_string())
    };
    KINDS.iter().map(inode).collect::<Vec<_>>().join(",")
}

const UNKNOWN: &str = "?";

#[inline(never)]
pub(crate) fn run() -> Outcome {
    say!("This is a container: this program, its shared libraries, and nothing else.\n")?;
    let host = std::env::var(HOST).unwrap_or_else(|_| [UNKNOWN; KINDS.len()].join(","));
    for ((name, what), (theirs, ours)) in KINDS.iter().zip(host.split(',').zip(namespaces().split(','))) {
        let state = match (theirs, ours) {
            (UNKNOWN, _) | (_, UNKNOWN) => "not known",
            (theirs, ours) if theirs == ours => "shared with the host",
            _ => "its own",
        };
        say!("  {name:<8} {state:<22} {what}")?;
    }
    say!("")?;
    let status = read("/proc/self/status");
    for (label, field) in [
        ("pid", "NSpid"),
        ("user", "Uid"),
        ("capabilities", "CapEff"),
        ("can be gained", "CapBnd"),
        ("no new privileges", "NoNewPrivs"),
    ] {
        say!("  {label:<18} {}", field_of(&status, field))?;
    }
    let mounts = read("/proc/self/mountinfo").lines().count();
    for (label, text) in [
        ("host name", read("/proc/sys/kernel/hostname")),
        (
            "processes",
            list("/proc", |name| name.bytes().all(|byte| byte.is_ascii_digit()))
                .split(' ')
                .count()
                .to_string(),
        ),
        ("mounts", mounts.to_string()),
        ("interfaces", list("/sys/class/net", |_| true)),
        ("devices", list("/dev", |_| true)),
        ("root directory", list("/", |_| true)),
        ("descriptors", list("/proc/self/fd", is_open)),
    ] {
        say!("  {label:<18} {text}")?;
    }
    let mut stages = String::new();
    std::io::stdin().lock().take(64 * 1024).read_to_string(&mut stages).named("read standard input")?;
    say!("\nHow long the start took:\n\n{stages}")?;
    say!("Next: nsinit try -- sh")?;
    Ok(0)
}

fn field_of<'a>(status: &'a str, name: &str) -> &'a str {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or(UNKNOWN).trim()
}

/// The text of a file, or why there is none.
fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|error| shown(&error), |text| text.trim().to_owned())
}

/// Names in a directory, or why there are none.
fn list(dir: &str, wanted: impl Fn(&str) -> bool) -> String {
    fs::File::open(dir).and_then(names).map_or_else(
        |error| shown(&error),
        |names| {
            let names = names.iter().map(|name| name.to_string_lossy().into_owned());
            let mut names: Vec<_> = names.filter(|name| wanted(name)).collect();
            names.sort();
            names.join(" ")
        },
    )
}

/// All but the one by which they are read: it is closed by now, and can't be looked at.
fn is_open(descriptor: &str) -> bool {
    fs::symlink_metadata(format!("/proc/self/fd/{descriptor}")).is_ok()
}
