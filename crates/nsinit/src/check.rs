//! `check`: what this host supports, what is missing, and how to get it.

use std::fs;
use std::io;
use std::path::Path;

use libcontainer::cgroups::Layout;
use libcontainer::cgroups::discovery::Mode;
use libcontainer::security::user_name;
use serde_json::json;

use crate::failure::{Outcome, shown};
use crate::output::say;

/// For systemd's answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

struct Item {
    name: &'static str,
    /// None: it can't be told, and `found` says why.
    works: Option<bool>,
    found: String,
    remedy: &'static str,
}

#[inline(never)]
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
        apparmor(),
        selinux(),
    ];
    if as_json {
        let list: Vec<_> = items.iter().map(|item| json!({"name": item.name, "ok": item.works, "found": item.found, "remedy": item.remedy})).collect();
        say!("{:#}", json!(list))?;
        return Ok(0);
    }
    for Item { name, works, found, remedy } in &items {
        let mark = match works {
            Some(true) => "ok",
            Some(false) => "--",
            None => "? ",
        };
        say!("{mark}  {name:<26} {found}")?;
        if *works == Some(false) && !remedy.is_empty() {
            say!("   {:<26} {remedy}", "")?;
        }
    }
    Ok(0)
}

/// What was looked for, or the file that could not be looked at.
type Look<T> = Result<T, String>;

/// Whether it works, and what was found; unknown if it could not be looked at.
fn item(name: &'static str, look: Look<(bool, String)>, remedy: &'static str) -> Item {
    match look {
        Ok((works, found)) => Item { name, works: Some(works), found, remedy },
        Err(found) => Item { name, works: None, found, remedy },
    }
}

/// The text of a file; none if there is no such file.
fn setting(path: &str) -> Look<Option<String>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read
            .map(|text| Some(text.trim().to_owned()))
            .map_err(|error| format!("{path}: {}", shown(&error))),
    }
}

fn there(path: &Path) -> Look<bool> {
    path.try_exists().map_err(|error| format!("{}: {}", path.display(), shown(&error)))
}

fn kernel() -> Item {
    let probe = libcontainer::Probe::current();
    let found = probe.as_ref().map_or_else(shown, |probe| {
        format!("Linux {}.{}, capabilities up to {}", probe.version.0, probe.version.1, probe.last_cap)
    });
    let works = match &probe {
        Ok(_) => Some(true),
        // What it says is no answer only if it could not be asked.
        Err(error) => error.raw_os_error().is_none().then_some(false),
    };
    Item { name: "kernel", works, found, remedy: "5.14 or newer is needed" }
}

fn namespaces() -> Item {
    let look = || {
        let mut missing = Vec::new();
        for kind in libcontainer::NamespaceKind::ALL {
            if !there(&Path::new("/proc/self/ns").join(kind.file()))? {
                missing.push(kind.file());
            }
        }
        let found = match missing.as_slice() {
            [] => format!("all {} kinds", libcontainer::NamespaceKind::ALL.len()),
            missing => format!("missing: {}", missing.join(", ")),
        };
        Ok((missing.is_empty(), found))
    };
    item("namespaces", look(), "enable the CONFIG_*_NS options of the kernel")
}

fn user_namespaces() -> Item {
    let most = setting("/proc/sys/user/max_user_namespaces");
    // A kernel without the setting has none.
    let look = most.map(|most| most.unwrap_or_else(|| "0".to_owned()));
    let look = look.map(|most| (most != "0", format!("at most {most}")));
    item("user namespaces", look, "sysctl user.max_user_namespaces=10000")
}

fn restriction() -> Item {
    let look = || {
        let debian = setting("/proc/sys/kernel/unprivileged_userns_clone")?;
        let ubuntu = setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")?;
        let works = debian.as_deref() != Some("0") && ubuntu.as_deref() != Some("1");
        Ok((works, if works { "not restricted" } else { "restricted to root" }.to_owned()))
    };
    let remedy = "sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0, or run as root";
    item("without root", look(), remedy)
}

fn memfd() -> Item {
    // KERNEL(6.3): before, nothing could forbid it.
    let value = setting("/proc/sys/vm/memfd_noexec").map(|value| value.unwrap_or_else(|| "0".to_owned()));
    let look = value.map(|value| (value != "2", format!("vm.memfd_noexec={value}")));
    item("executable memfd", look, "sysctl vm.memfd_noexec=1; root does without")
}

fn helpers() -> Item {
    let look = || {
        let found = there(Path::new("/usr/bin/newuidmap"))? && there(Path::new("/usr/bin/newgidmap"))?;
        Ok((found, if found { "newuidmap, newgidmap" } else { "not installed" }.to_owned()))
    };
    item("id map helpers", look(), "apt-get install uidmap; only for more than one id without root")
}

fn subordinate() -> Item {
    let uid = nix::unistd::geteuid();
    let look = || {
        // No file is one without lines.
        let passwd = setting("/etc/passwd")?.unwrap_or_default();
        let name = user_name(passwd.as_bytes(), uid.as_raw()).and_then(|name| name.to_str());
        let text = setting("/etc/subuid")?.unwrap_or_default();
        let own = |line: &&str| {
            let owner = line.split(':').next();
            owner.is_some_and(|owner| Some(owner) == name || owner == uid.to_string())
        };
        let found = text.lines().find(own).map(str::to_owned);
        Ok((found.is_some() || uid.is_root(), found.unwrap_or_else(|| "none".to_owned())))
    };
    let remedy = "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER; only for more than one id without root";
    item("subordinate ids", look(), remedy)
}

fn overlay() -> Item {
    let look = setting("/proc/filesystems").map(|text| {
        let works = text.is_some_and(|text| text.lines().any(|line| line.ends_with("overlay")));
        (works, if works { "available" } else { "not loaded" }.to_owned())
    });
    item("overlay", look, "modprobe overlay; for try --writable")
}

fn cgroups() -> Item {
    let look = Layout::of_this_process().map_err(|error| error.to_string()).map(|layout| {
        let mode = match layout.mode {
            Mode::Unified => "version 2",
            Mode::Legacy => "version 1",
            Mode::Hybrid => "version 1 and 2",
            _ => "none mounted: no limits, no pause, no statistics",
        };
        let all = layout.all().flat_map(|one| one.controllers.iter());
        let names: Vec<_> = all.map(String::as_str).filter(|name| !name.starts_with("name=")).collect();
        (!names.is_empty(), format!("{mode} ({})", names.join(" ")))
    });
    item("cgroups", look, "mount -t cgroup2 none /sys/fs/cgroup")
}

fn systemd() -> Item {
    use libcontainer::cgroups::systemd::{Manager, Which, is_running};
    let which = match Which::for_this_process() {
        Ok(which) => which,
        Err(error) => return item("systemd", Ok((false, error.to_string())), "mount /proc"),
    };
    let name = if which == Which::System { "the system's manager" } else { "the user's manager" };
    let version = Manager::connect(which, PATIENCE).and_then(|mut manager| manager.version());
    let look = match version {
        Ok(version) => (true, format!("{version}, {name} answers")),
        Err(error) => (false, silent(&error, is_running())),
    };
    let remedy = "only for --systemd-cgroup; for a user: loginctl enable-linger, and XDG_RUNTIME_DIR set";
    item("systemd", Ok(look), remedy)
}

fn selinux() -> Item {
    use libcontainer::security::selinux::Standing;
    let look = Standing::current().map_err(|error| error.to_string()).map(|standing| match standing {
        Standing::Off(why) => (false, format!("off: {why}")),
        Standing::Permissive => (true, "permissive: what its policy denies is logged and allowed".to_owned()),
        Standing::Enforcing => (true, "enforcing".to_owned()),
    });
    item("SELinux", look, "only for process_label, mount_label and relabel")
}

fn apparmor() -> Item {
    use libcontainer::security::apparmor::Standing;
    let look = Standing::current().map_err(|error| error.to_string()).map(|standing| match standing {
        Standing::Off(why) => (false, format!("off: {why}")),
        Standing::On => (true, "on".to_owned()),
    });
    item("AppArmor", look, "only for apparmor_profile")
}

/// Why systemd does not answer.
fn silent(error: &libcontainer::cgroups::Error, runs: libcontainer::cgroups::Result<bool>) -> String {
    match runs {
        Ok(true) => format!("runs, but not to be asked: {error}"),
        // Where it does not run nothing else is to be expected.
        Ok(false) => "does not run this machine".to_owned(),
        Err(unknown) => format!("may run, but is not to be asked: {error}; {unknown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_systemd_is_told() {
        let error = |call, number| libcontainer::cgroups::Error::Directory {
            call,
            path: "/run/systemd/system".into(),
            source: std::io::Error::from_raw_os_error(number),
        };
        let said = |runs| silent(&error("connect", 2), runs);
        assert!(said(Ok(true)).starts_with("runs, "));
        assert_eq!(said(Ok(false)), "does not run this machine");
        let unknown = said(Err(error("stat", 12)));
        assert!(unknown.starts_with("may run") && unknown.contains("ENOMEM"), "{unknown}");
    }
}
