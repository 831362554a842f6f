//! The host as far as a container may change it, and what differs between two looks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use libcontainer::network::netlink::nft::Nft;

/// What there is: each thing with its kind, such as `link br0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct World(BTreeSet<String>);

impl World {
    /// A look at this process's mounts, network and children, at control groups with `tag` in their path, and at files below `dir`.
    pub(crate) fn look(dir: &Path, tag: &str) -> Self {
        let mut all = BTreeSet::new();
        let mut add = |kind: &str, found: Vec<String>| {
            all.extend(found.into_iter().map(|text| format!("{kind} {text}")));
        };
        add("mount", mounts(&read("/proc/self/mountinfo")));
        add("link", links(&read("/proc/thread-self/net/dev")));
        add("address", first_columns(&read("/proc/thread-self/net/if_inet6"), &[0, 2, 5]));
        add("address", trie(&read("/proc/thread-self/net/fib_trie")));
        add("route", first_columns(&read("/proc/thread-self/net/route"), &[0, 1, 2, 7]));
        add("route", first_columns(&read("/proc/thread-self/net/ipv6_route"), &[0, 1, 4, 9]));
        add("rule", rules());
        add("setting", settings());
        add("group", groups(tag).into_iter().map(|path| path.display().to_string()).collect());
        add("process", processes().into_iter().map(|(pid, name)| format!("{pid} {name}")).collect());
        add("file", files(dir));
        Self(all)
    }

    /// What is here and not there, and the reverse.
    pub(crate) fn differences(&self, before: &Self) -> Vec<String> {
        let more = self.0.difference(&before.0).map(|one| format!("left: {one}"));
        let less = before.0.difference(&self.0).map(|one| format!("gone: {one}"));
        more.chain(less).collect()
    }

    /// Everything of some kinds.
    pub(crate) fn of(&self, kinds: &[&str]) -> Vec<String> {
        let is = |text: &&String| kinds.iter().any(|kind| text.split(' ').next() == Some(kind));
        self.0.iter().filter(is).cloned().collect()
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Mount points with root, type and options, without numbers that the kernel gives.
pub(crate) fn mounts(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let fields: Vec<_> = left.split(' ').collect();
        let (root, point, options) = (fields.get(3)?, fields.get(4)?, fields.get(5)?);
        let shared = if left.contains(" shared:") { " shared" } else { "" };
        Some(format!("{point} {root} {options}{shared} {right}"))
    };
    text.lines().filter_map(line).collect()
}

fn links(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

/// These columns of each line.
fn first_columns(text: &str, wanted: &[usize]) -> Vec<String> {
    let line = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let of = |index: &usize| columns.get(*index).copied().unwrap_or_default();
        wanted.iter().map(of).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect()
}

/// Addresses in the trie of routes: each local one with its prefix.
fn trie(text: &str) -> Vec<String> {
    let mut address = String::new();
    let mut all = Vec::new();
    for line in text.lines() {
        if let Some((_, found)) = line.split_once("|-- ") {
            found.clone_into(&mut address);
        } else if line.contains("LOCAL") {
            all.push(format!("{address} {}", line.trim()));
        }
    }
    all
}

/// Tables, chains and rules of `nf_tables`; nothing if the kernel has none.
fn rules() -> Vec<String> {
    let listed = || -> Result<Vec<String>, libcontainer::network::netlink::Error> {
        let mut nft = Nft::open()?;
        let tables = nft.tables(None)?.into_iter().map(|table| format!("table {}", table.name));
        let mut all: Vec<_> = tables.collect();
        all.extend(
            nft.chains(None)?.into_iter().map(|chain| format!("chain {} {}", chain.table, chain.name)),
        );
        for rule in nft.rules(None)? {
            let comment = rule.comment.unwrap_or_default();
            all.push(format!("rule {} {} {} {comment}", rule.table, rule.chain, rule.handle));
        }
        Ok(all)
    };
    listed().unwrap_or_default()
}

/// Settings of the host that a container's network may need.
fn settings() -> Vec<String> {
    const NAMES: [&str; 3] = ["ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/all/route_localnet"];
    NAMES.iter().map(|name| format!("{name} {}", read(&format!("/proc/sys/net/{name}")).trim())).collect()
}

/// Mount points of the cgroup hierarchies.
pub(crate) fn hierarchies() -> Vec<PathBuf> {
    let is_group = |line: &&str| line.contains(" - cgroup");
    let point = |line: &str| line.split(' ').nth(4).map(PathBuf::from);
    read("/proc/self/mountinfo").lines().filter(is_group).filter_map(point).collect()
}

/// Directories of control groups with `tag` in their path.
pub(crate) fn groups(tag: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in hierarchies() {
        walk_groups(&root, &mut found);
    }
    found.retain(|path| path.to_string_lossy().contains(tag));
    found
}

fn walk_groups(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk_groups(&entry.path(), found);
            found.push(entry.path());
        }
    }
}

/// Descendants of this process, with their names.
pub(crate) fn processes() -> Vec<(i32, String)> {
    let mut found = Vec::new();
    let mut parents = vec!["self".to_owned()];
    while let Some(parent) = parents.pop() {
        for task in fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace() {
                found.push((
                    child.parse().unwrap_or(0),
                    read(&format!("/proc/{child}/comm")).trim().to_owned(),
                ));
                parents.push(child.to_owned());
            }
        }
    }
    found
}

/// Names below a directory.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(files(&entry.path()));
        }
        all.push(entry.path().display().to_string());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(things: &[&str]) -> World {
        World(things.iter().map(|thing| (*thing).to_owned()).collect())
    }

    #[test]
    fn differences_go_both_ways() {
        let (before, after) = (world(&["link lo", "file a"]), world(&["link lo", "link br0"]));
        assert_eq!(after.differences(&before), ["left: link br0", "gone: file a"]);
        assert!(before.differences(&before).is_empty());
        assert_eq!(after.of(&["link"]), ["link br0", "link lo"]);
    }

    #[test]
    fn mounts_are_told_without_the_numbers_of_the_kernel() {
        let text =
            "22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw\n36 35 98:0 /a /b ro - ext4 /dev/x rw\n";
        assert_eq!(mounts(text), ["/proc / rw,relatime shared proc proc rw", "/b /a ro ext4 /dev/x rw"]);
    }

    #[test]
    fn links_and_addresses_are_told_without_counters() {
        let text = "Inter-|   Receive\n face |bytes\n    lo: 12 3\n  eth0: 4 5\n";
        assert_eq!(links(text), ["lo", "eth0"]);
        let trie_text = "Main:\n  +-- 0.0.0.0/0 3\n     |-- 10.0.0.1\n        /32 host LOCAL\n     |-- 10.0.0.0\n        /24 link UNICAST\n";
        assert_eq!(trie(trie_text), ["10.0.0.1 /32 host LOCAL"]);
        assert_eq!(first_columns("a b c\nd e f\n", &[0, 2]), ["a c", "d f"]);
    }
}
