//! What `try` shows from inside a container.

use std::fs;
use std::io::Read;

use crate::Outcome;
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

/// The namespaces of this process as one word.
pub(crate) fn namespaces() -> String {
    let inode = |(name, _): &(&str, &str)| {
        fs::read_link(format!("/proc/self/ns/{name}"))
            .map(|link| link.display().to_string())
            .unwrap_or_default()
    };
    KINDS.iter().map(inode).collect::<Vec<_>>().join(",")
}

pub(crate) fn run() -> Outcome {
    say!("This is a container: this program, its shared libraries, and nothing else.\n");
    let host = std::env::var(HOST).unwrap_or_default();
    for ((name, what), (theirs, ours)) in KINDS.iter().zip(host.split(',').zip(namespaces().split(','))) {
        let state = if theirs == ours { "shared with the host" } else { "its own" };
        say!("  {name:<8} {state:<22} {what}");
    }
    say!("");
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (label, field) in [
        ("pid", "NSpid"),
        ("user", "Uid"),
        ("capabilities", "CapEff"),
        ("can be gained", "CapBnd"),
        ("no new privileges", "NoNewPrivs"),
    ] {
        say!("  {label:<18} {}", field_of(&status, field));
    }
    say!("  {:<18} {}", "host name", read("/proc/sys/kernel/hostname"));
    say!("  {:<18} {}", "processes", entries("/proc", |name| name.bytes().all(|byte| byte.is_ascii_digit())));
    say!("  {:<18} {}", "mounts", read("/proc/self/mountinfo").lines().count());
    say!("  {:<18} {}", "interfaces", names("/sys/class/net"));
    say!("  {:<18} {}", "devices", names("/dev"));
    say!("  {:<18} {}", "root directory", names("/"));
    say!("  {:<18} {}", "descriptors", descriptors());
    let mut stages = String::new();
    std::io::stdin().lock().take(64 * 1024).read_to_string(&mut stages)?;
    say!("\nHow long the start took:\n\n{stages}");
    say!("Next: nsinit try -- sh");
    Ok(0)
}

fn field_of<'a>(status: &'a str, name: &str) -> &'a str {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or("?").trim()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|error| error.to_string(), |text| text.trim().to_owned())
}

fn list(dir: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn names(dir: &str) -> String {
    list(dir).join(" ")
}

fn entries(dir: &str, wanted: impl Fn(&str) -> bool) -> usize {
    list(dir).iter().filter(|name| wanted(name)).count()
}

/// All but the one by which they are read.
fn descriptors() -> String {
    let all = list("/proc/self/fd");
    let open = |name: &&String| fs::read_link(format!("/proc/self/fd/{name}")).is_ok();
    all.iter().filter(open).cloned().collect::<Vec<_>>().join(" ")
}
