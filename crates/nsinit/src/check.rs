//! `check`: what this host supports, what is missing, and how to get it.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::Outcome;
use crate::output::say;

struct Item {
    name: &'static str,
    works: bool,
    found: String,
    remedy: &'static str,
}

pub(crate) fn run(as_json: bool) -> Outcome {
    let items = [
        kernel(),
        namespaces(),
        user_namespaces(),
        restriction(),
        memfd(),
        helpers(),
        subordinate(),
        overlay(),
        cgroups(),
    ];
    if as_json {
        let list: Vec<_> = items.iter().map(|item| json!({"name": item.name, "ok": item.works, "found": item.found, "remedy": item.remedy})).collect();
        say!("{}", serde_json::to_string_pretty(&list)?);
    } else {
        for Item { name, works, found, remedy } in &items {
            say!("{} {name:<26} {found}", if *works { "ok " } else { "-- " });
            if !works && !remedy.is_empty() {
                say!("   {:<26} {remedy}", "");
            }
        }
    }
    Ok(0)
}

fn setting(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn kernel() -> Item {
    let probe = libcontainer::Probe::current();
    let found = probe.as_ref().map_or_else(ToString::to_string, |probe| {
        format!("Linux {}.{}, capabilities up to {}", probe.version.0, probe.version.1, probe.last_cap)
    });
    Item { name: "kernel", works: probe.is_ok(), found, remedy: "5.14 or newer is needed" }
}

fn namespaces() -> Item {
    let missing: Vec<_> = libcontainer::NamespaceKind::ALL
        .iter()
        .map(|kind| kind.file())
        .filter(|file| !Path::new("/proc/self/ns").join(file).exists())
        .collect();
    let found = if missing.is_empty() {
        "all eight kinds".to_owned()
    } else {
        format!("missing: {}", missing.join(", "))
    };
    Item {
        name: "namespaces",
        works: missing.is_empty(),
        found,
        remedy: "enable the CONFIG_*_NS options of the kernel",
    }
}

fn user_namespaces() -> Item {
    let most = setting("/proc/sys/user/max_user_namespaces").unwrap_or_else(|| "0".to_owned());
    Item {
        name: "user namespaces",
        works: most != "0",
        found: format!("at most {most}"),
        remedy: "sysctl user.max_user_namespaces=10000",
    }
}

fn restriction() -> Item {
    let debian = setting("/proc/sys/kernel/unprivileged_userns_clone");
    let ubuntu = setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    let works = debian.as_deref() != Some("0") && ubuntu.as_deref() != Some("1");
    let found = if works { "not restricted" } else { "restricted to root" };
    let remedy = "sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0, or run as root";
    Item { name: "without root", works, found: found.to_owned(), remedy }
}

fn memfd() -> Item {
    let value = setting("/proc/sys/vm/memfd_noexec").unwrap_or_else(|| "0".to_owned());
    Item {
        name: "executable memfd",
        works: value != "2",
        found: format!("vm.memfd_noexec={value}"),
        remedy: "sysctl vm.memfd_noexec=1",
    }
}

fn helpers() -> Item {
    let found = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"].iter().all(|path| Path::new(path).exists());
    let text = if found { "newuidmap, newgidmap" } else { "not installed" };
    Item {
        name: "id map helpers",
        works: found,
        found: text.to_owned(),
        remedy: "apt-get install uidmap; only for more than one id without root",
    }
}

fn subordinate() -> Item {
    let uid = nix::unistd::geteuid();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name).unwrap_or_default();
    let text = setting("/etc/subuid").unwrap_or_default();
    let own =
        |line: &&str| line.split(':').next().is_some_and(|owner| owner == name || owner == uid.to_string());
    let found = text.lines().find(own).map(str::to_owned);
    let remedy = "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER; only for more than one id without root";
    Item {
        name: "subordinate ids",
        works: found.is_some() || uid.is_root(),
        found: found.unwrap_or_else(|| "none".to_owned()),
        remedy,
    }
}

fn overlay() -> Item {
    let text = setting("/proc/filesystems").unwrap_or_default();
    let works = text.lines().any(|line| line.ends_with("overlay"));
    let found = if works { "available" } else { "not loaded" };
    Item { name: "overlay", works, found: found.to_owned(), remedy: "modprobe overlay; for try --writable" }
}

fn cgroups() -> Item {
    let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let v1 = Path::new("/sys/fs/cgroup/memory").exists();
    let found = match (v2, v1) {
        (true, _) => "version 2",
        (false, true) => "version 1",
        (false, false) => "none mounted",
    };
    let found = format!("{found}; limits are not supported yet");
    Item { name: "cgroups", works: v1 || v2, found, remedy: "mount -t cgroup2 none /sys/fs/cgroup" }
}
