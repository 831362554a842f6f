//! The cgroup layouts that are in use, mounted as systemd would mount them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::mount::MsFlags;

use crate::mounting::mount_at;

const ROOT: &str = "/sys/fs/cgroup";
/// Controllers that share a hierarchy.
const TOGETHER: [&[&str]; 2] = [&["cpu", "cpuacct"], &["net_cls", "net_prio"]];

fn flags() -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC
}

/// `v2`, `v1` or `hybrid`.
pub(crate) fn mount_layout(layout: &str) -> Result<()> {
    match layout {
        "v2" => v2(),
        "v1" => v1(),
        "hybrid" => {
            v1()?;
            mount_at("cgroup2", "cgroup2", &format!("{ROOT}/unified"), flags(), "")
        }
        other => bail!("unknown cgroup layout {other}"),
    }
}

/// One hierarchy, with every controller handed to the children of the root.
fn v2() -> Result<()> {
    mount_at("cgroup2", "cgroup2", ROOT, flags(), "nsdelegate,memory_recursiveprot")?;
    let names = fs::read_to_string(format!("{ROOT}/cgroup.controllers")).context("cgroup.controllers")?;
    for name in names.split_whitespace() {
        let file = format!("{ROOT}/cgroup.subtree_control");
        fs::write(&file, format!("+{name}")).with_context(|| format!("+{name} to {file}"))?;
    }
    Ok(())
}

/// One hierarchy per controller or pair, and systemd's named one.
fn v1() -> Result<()> {
    mount_at("tmpfs", "tmpfs", ROOT, flags(), "mode=755")?;
    mount_at("cgroup", "cgroup", &format!("{ROOT}/systemd"), flags(), "none,name=systemd,xattr")?;
    let text = fs::read_to_string("/proc/cgroups").context("/proc/cgroups")?;
    for group in hierarchies(&text) {
        let data = group.join(",");
        mount_at("cgroup", "cgroup", &format!("{ROOT}/{data}"), flags(), &data)?;
        for name in group.iter().filter(|_| group.len() > 1) {
            symlink(&data, format!("{ROOT}/{name}")).with_context(|| format!("link {name}"))?;
        }
    }
    // KERNEL(5.11): before, a new hierarchy did not count children.
    let nested = format!("{ROOT}/memory/memory.use_hierarchy");
    if Path::new(&nested).exists() {
        let _ = fs::write(nested, "1");
    }
    Ok(())
}

/// The text of /proc/cgroups as lists of controllers that are mounted together.
fn hierarchies(text: &str) -> Vec<Vec<String>> {
    let enabled = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [name, _, _, "1"] = words.as_slice() else { return None };
        (!name.starts_with('#')).then(|| (*name).to_owned())
    };
    let names: Vec<String> = text.lines().filter_map(enabled).collect();
    let mut all: Vec<Vec<String>> = Vec::new();
    for name in names {
        let pair = TOGETHER.iter().find(|pair| pair.contains(&name.as_str()));
        let partner = |group: &&mut Vec<String>| {
            pair.is_some_and(|pair| group.iter().any(|other| pair.contains(&other.as_str())))
        };
        match all.iter_mut().find(partner) {
            Some(group) => group.push(name),
            None => all.push(vec![name]),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::hierarchies;

    #[test]
    fn pairs_share_a_hierarchy_and_disabled_ones_have_none() {
        let text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n\
                    cpuset\t0\t1\t1\ncpu\t0\t1\t1\ncpuacct\t0\t1\t1\nmemory\t0\t1\t0\nnet_cls\t0\t1\t1\npids\t0\t1\t1\n";
        let found: Vec<String> = hierarchies(text).iter().map(|group| group.join(",")).collect();
        assert_eq!(found, ["cpuset", "cpu,cpuacct", "net_cls", "pids"]);
    }
}
