//! `check`: what this host supports, what is missing, and how to get it.

use std::fs;
use std::path::Path;

use libcontainer::cgroups::Layout;
use libcontainer::cgroups::discovery::Mode;
use serde_json::json;

use crate::Outcome;
use crate::output::say;

/// For systemd's answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

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
        systemd(),
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
        format!("all {} kinds", libcontainer::NamespaceKind::ALL.len())
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
        remedy: "sysctl vm.memfd_noexec=1; root does without",
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
    let name = account(&setting("/etc/passwd").unwrap_or_default(), uid.as_raw()).unwrap_or_default();
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

/// The name of a user. From the file only: the C library would load more libraries to ask other sources, which a static program can't.
fn account(passwd: &str, uid: u32) -> Option<String> {
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let own = |fields: &Vec<&str>| fields.get(2).is_some_and(|field| *field == uid.to_string());
    lines.find(own)?.first().map(|name| (*name).to_owned())
}

fn overlay() -> Item {
    let text = setting("/proc/filesystems").unwrap_or_default();
    let works = text.lines().any(|line| line.ends_with("overlay"));
    let found = if works { "available" } else { "not loaded" };
    Item { name: "overlay", works, found: found.to_owned(), remedy: "modprobe overlay; for try --writable" }
}

fn cgroups() -> Item {
    let layout = Layout::of_this_process().ok();
    let mode = match layout.as_ref().map_or(Mode::Absent, |layout| layout.mode) {
        Mode::Unified => "version 2",
        Mode::Legacy => "version 1",
        Mode::Hybrid => "version 1 and 2",
        _ => "none mounted: no limits, no pause, no statistics",
    };
    let all = layout.iter().flat_map(|layout| layout.all().flat_map(|one| one.controllers.iter()));
    let names: Vec<_> = all.map(String::as_str).filter(|name| !name.starts_with("name=")).collect();
    Item {
        name: "cgroups",
        works: !names.is_empty(),
        found: format!("{mode} ({})", names.join(" ")),
        remedy: "mount -t cgroup2 none /sys/fs/cgroup",
    }
}

fn systemd() -> Item {
    use libcontainer::cgroups::systemd::{Manager, Which, is_running};
    let which = Which::for_this_process();
    let name = if which == Which::System { "the system's manager" } else { "the user's manager" };
    let version = Manager::connect(which, PATIENCE).and_then(|mut manager| manager.version());
    let found = match version {
        Ok(version) => format!("{version}, {name} answers"),
        Err(error) if is_running() => format!("runs, but not to be asked: {error}"),
        Err(_) => "does not run this machine".to_owned(),
    };
    let works = found.ends_with("answers");
    Item {
        name: "systemd",
        works,
        found,
        remedy: "only for --systemd-cgroup; for a user: loginctl enable-linger, and XDG_RUNTIME_DIR set",
    }
}
