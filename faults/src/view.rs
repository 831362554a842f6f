//! What a container is confined by, as seen from outside: compared with the same of a run in which nothing failed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nix::unistd::Pid;

use crate::world;

/// Lines that say how a process is confined.
pub(crate) type View = Vec<String>;

/// Files of a control group that hold limits. Those that count are left out.
const LIMITS: &[&str] = &[
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.max",
    "memory.low",
    "memory.swap.max",
    "pids.max",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.shares",
    "cpu.max",
    "cpu.weight",
    "cpuset.cpus",
    "cpuset.mems",
    "devices.list",
    "freezer.state",
    "cgroup.freeze",
    "io.weight",
];

/// How a process is confined at its first instruction.
pub(crate) fn of_process(pid: Pid) -> View {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let link = |name: &str| {
        fs::read_link(format!("/proc/{pid}/{name}"))
            .map(|link| link.display().to_string())
            .unwrap_or_default()
    };
    let mut view = status(&read("status"));
    view.extend(namespaces(&link));
    view.extend(read("limits").lines().map(|line| format!("limit {line}")));
    view.extend(world::mounts(&read("mountinfo")).into_iter().map(|mount| format!("mount {mount}")));
    view.extend(read("cgroup").lines().map(|line| format!("in group {}", group_line(line))));
    view.extend(
        [
            "environ",
            "oom_score_adj",
            "cmdline",
            "uid_map",
            "gid_map",
            "setgroups",
            "personality",
            "attr/current",
        ]
        .iter()
        .map(|name| format!("{name} {}", read(name).replace('\0', " ").trim())),
    );
    view.push(format!("scheduler {}", scheduler(&read("stat"))));
    view.extend(["cwd", "root", "exe"].iter().map(|name| format!("{name} {}", link(name))));
    view.extend(descriptors(pid));
    view.extend(links(&read("net/dev")));
    view.extend(read("net/route").lines().skip(1).map(|line| format!("route {}", route(line))));
    view.extend(
        read("net/fib_trie")
            .lines()
            .filter(|line| line.contains("|--"))
            .map(|line| format!("address {}", line.trim())),
    );
    view
}

/// Without the number of a hierarchy.
fn group_line(line: &str) -> &str {
    line.split_once(':').map_or(line, |(_, rest)| rest)
}

/// Nice value, real-time priority and policy: fields 19, 40 and 41 of proc_pid_stat(5).
fn scheduler(stat: &str) -> String {
    let rest: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let field = |number: usize| rest.get(number - 3).copied().unwrap_or_default();
    [19, 40, 41].map(field).join(" ")
}

/// Interface, destination, gateway and flags. Addresses may be drawn at random: only whether there is one is told.
fn route(line: &str) -> String {
    let word =
        |word: &str| if word.len() == 8 && word != "00000000" { "#".to_owned() } else { word.to_owned() };
    line.split_whitespace().take(4).map(word).collect::<Vec<_>>().join(" ")
}

fn links(text: &str) -> View {
    let name = |line: &str| Some(format!("link {}", line.split_once(':')?.0.trim()));
    text.lines().filter_map(name).collect()
}

/// Ids, capabilities, masks, and what else confines; no counters.
fn status(text: &str) -> View {
    const FIELDS: [&str; 16] = [
        "Umask",
        "Uid",
        "Gid",
        "Groups",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "SigBlk",
        "SigIgn",
        "Seccomp_filters",
        "Cpus_allowed_list",
        "Mems_allowed_list",
    ];
    let wanted = |line: &&str| line.split(':').next().is_some_and(|name| FIELDS.contains(&name));
    text.lines().filter(wanted).map(str::to_owned).collect()
}

/// Which namespaces are not those of this process.
fn namespaces(link: &dyn Fn(&str) -> String) -> View {
    const KINDS: [&str; 8] = ["mnt", "uts", "ipc", "pid", "net", "user", "cgroup", "time"];
    let own = |kind: &str| {
        let link = fs::read_link(format!("/proc/self/ns/{kind}"));
        link.map(|link| link.display().to_string()).unwrap_or_default()
    };
    let line = |kind: &&str| {
        let theirs = link(&format!("ns/{kind}"));
        let state = if theirs.is_empty() {
            "unknown"
        } else if theirs == own(kind) {
            "shared"
        } else {
            "own"
        };
        format!("namespace {kind} {state}")
    };
    KINDS.iter().map(line).collect()
}

fn descriptors(pid: Pid) -> View {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let line = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).map(|link| link.display().to_string()).unwrap_or_default();
        format!("fd {} {}", entry.file_name().to_string_lossy(), target.split('[').next().unwrap_or_default())
    };
    let mut all: Vec<_> = entries.map(line).collect();
    all.sort();
    all
}

/// Limits of the control groups with `tag` in their path, and how many processes each holds.
pub(crate) fn of_groups(tag: &str) -> View {
    let mut view = Vec::new();
    for group in world::groups(tag) {
        let read = |name: &str| fs::read_to_string(group.join(name)).ok();
        let processes = read("cgroup.procs").unwrap_or_default().lines().count();
        view.push(format!("group {} processes {processes}", group.display()));
        for name in LIMITS {
            let value = read(name).map(|text| text.trim().replace('\n', "; "));
            view.extend(value.map(|value| format!("group {}/{name} {value}", group.display())));
        }
    }
    view.sort();
    view
}

/// What stands on the host when a command is done: groups, processes, links, rules, files of the state. Names that are drawn at random are blanked.
pub(crate) fn of_host(dir: &Path, tag: &str) -> View {
    let look = world::World::look(dir, tag);
    let mut view: Vec<_> =
        look.of(&["link", "rule", "mount", "setting", "file"]).iter().map(|line| blank(line)).collect();
    let mut names = BTreeMap::<String, usize>::new();
    for (pid, name) in world::processes() {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = state.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('?');
        let state = if state == 'R' || state == 'D' { 'S' } else { state };
        *names.entry(format!("process {name} {state}")).or_default() += 1;
    }
    view.extend(names.into_iter().map(|(name, count)| format!("{name} x{count}")));
    view.extend(of_groups(tag));
    view
}

/// A line of a process without what changes from run to run: names and numbers that are drawn. Ids, sets, limits and options are what it is about, and stay.
pub(crate) fn steady(line: &str) -> String {
    const NAMED: [&str; 9] = ["in", "fd", "link", "route", "address", "cwd", "root", "exe", "cmdline"];
    let word = |word: &str| if word.contains('/') { blank(word) } else { word.to_owned() };
    match line.split(' ').next() {
        Some(kind) if NAMED.contains(&kind) => blank(line),
        Some("mount" | "environ") => line.split(' ').map(word).collect::<Vec<_>>().join(" "),
        _ => line.to_owned(),
    }
}

/// Runs of hexadecimal digits, at least eight, or six with a digit among them, are numbers that change.
pub(crate) fn blank(text: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    let close = |run: &mut String, out: &mut String| {
        let drawn = run.len() >= 8 || (run.len() >= 6 && run.bytes().any(|byte| byte.is_ascii_digit()));
        let all = run.bytes().all(|byte| byte.is_ascii_digit());
        match drawn || (all && !run.is_empty()) {
            true => out.push('#'),
            false => out.push_str(run),
        }
        run.clear();
    };
    for character in text.chars() {
        if character.is_ascii_hexdigit() && !character.is_ascii_uppercase() {
            run.push(character);
        } else {
            close(&mut run, &mut out);
            out.push(character);
        }
    }
    close(&mut run, &mut out);
    out
}

/// How `found` differs from what a run without faults has.
pub(crate) fn differences(wanted: &[String], found: &[String]) -> Vec<String> {
    let missing = wanted.iter().filter(|line| !found.contains(line)).map(|line| format!("without: {line}"));
    let more = found.iter().filter(|line| !wanted.contains(line)).map(|line| format!("with: {line}"));
    missing.chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_drawn_at_random_are_blanked() {
        assert_eq!(blank("link ve1a2b3c4d"), "link v#");
        assert_eq!(blank("link vfabcdefab"), "link v#");
        assert_eq!(blank("link eth0"), "link eth#");
        assert_eq!(blank("table libcontainer-0123abcd"), "table libcontainer-#");
        assert_eq!(blank("memory 4.5 MiB of 64"), "memory #.# MiB of #");
    }

    #[test]
    fn what_confines_is_told_by_its_numbers() {
        for line in [
            "Seccomp:\t2",
            "NoNewPrivs:\t1",
            "CapEff:\t0000000000000421",
            "Uid:\t1000\t1000\t1000\t1000",
            "limit Max open files 256 512 files",
            "oom_score_adj 100",
            "uid_map 0 200000 65536",
            "scheduler 3 0 3",
            "probe ioprio_get: 16390",
        ] {
            assert_eq!(steady(line), line);
        }
        assert_eq!(
            steady("mount /tmp / rw,nosuid tmpfs /tmp/try-4711/x rw,size=1024k,mode=755"),
            "mount /tmp / rw,nosuid tmpfs /tmp/try-#/x rw,size=1024k,mode=755"
        );
        assert_eq!(steady("in group pids:/tag12w3/try-99"), "in group pids:/tag#w#/try-#");
    }

    #[test]
    fn a_scheduler_is_told_by_its_fields() {
        let fields: Vec<_> = (3..=52).map(|number| number.to_string()).collect();
        assert_eq!(scheduler(&format!("1 (a) b) {}", fields.join(" "))), "19 40 41");
    }

    #[test]
    fn routes_are_told_without_addresses() {
        assert_eq!(route("eth0\t00000000\t0100000A\t0003\t0\t0"), "eth0 00000000 # 0003");
    }

    #[test]
    fn what_is_missing_and_what_is_more_are_told() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(differences(&lines("a b"), &lines("b c")), ["without: a", "with: c"]);
        assert!(differences(&lines("a"), &lines("a")).is_empty());
    }

    #[test]
    fn status_is_read_without_counters() {
        let text = "Name:\tx\nUid:\t0\t0\t0\t0\nVmPeak:\t3 kB\nNoNewPrivs:\t1\n";
        assert_eq!(status(text), ["Uid:\t0\t0\t0\t0", "NoNewPrivs:\t1"]);
    }
}
