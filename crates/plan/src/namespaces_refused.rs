//! What keeps this host from giving namespaces: clone3(2) has one error number for many limits.

/// The flag of clone3(2) and the setting in `/proc/sys/user`.
const LIMITS: [(&str, &str); 8] = [
    ("CLONE_NEWUSER", "max_user_namespaces"),
    ("CLONE_NEWPID", "max_pid_namespaces"),
    ("CLONE_NEWNS", "max_mnt_namespaces"),
    ("CLONE_NEWNET", "max_net_namespaces"),
    ("CLONE_NEWIPC", "max_ipc_namespaces"),
    ("CLONE_NEWUTS", "max_uts_namespaces"),
    ("CLONE_NEWCGROUP", "max_cgroup_namespaces"),
    ("CLONE_NEWTIME", "max_time_namespaces"),
];
/// Of Debian.
const CLONE: &str = "kernel.unprivileged_userns_clone";
/// Of Ubuntu.
const APPARMOR: &str = "kernel.apparmor_restrict_unprivileged_userns";

/// What helps against a clone that was refused, or a step that AppArmor has refused in a user namespace that it restricts.
pub(crate) fn remedy(text: &str) -> String {
    let ordinary = !nix::unistd::geteuid().is_root();
    by(text, ordinary, |name| {
        // What can't be read is not named: it only explains an error that is told anyway.
        std::fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()
    })
}

fn by(text: &str, ordinary: bool, setting: impl Fn(&str) -> Option<String>) -> String {
    let is = |name: &str, value: &str| setting(name).is_some_and(|found| found.trim() == value);
    let clone = text.contains(" clone3(");
    if text.contains("sysctl ") || !(clone || text.contains(": step ")) {
        return String::new();
    }
    if is_full(text) {
        return full(text, is);
    }
    let refused = text.contains(": EPERM") || text.contains(": EACCES");
    if !refused || !ordinary {
        return String::new();
    }
    if clone && text.contains("CLONE_NEWUSER") && is(CLONE, "0") {
        return format!("; only root may make user namespaces here: sysctl {CLONE}=1");
    }
    if is(APPARMOR, "1") {
        return format!(
            "; AppArmor restricts user namespaces of programs without a profile that allows userns: load one, or sysctl {APPARMOR}=0"
        );
    }
    String::new()
}

/// Whether the clone itself failed so, and not the write of a file before it.
fn is_full(text: &str) -> bool {
    let answer = text.split_once(" clone3(").and_then(|(_, call)| call.split_once(": "));
    answer.is_some_and(|(_, answer)| answer.starts_with("ENOSPC"))
}

fn full(text: &str, is: impl Fn(&str, &str) -> bool) -> String {
    let asked = LIMITS.iter().filter(|(flag, _)| flags(text).any(|found| found == *flag));
    let none: Vec<_> = asked.map(|(_, name)| format!("user.{name}")).filter(|name| is(name, "0")).collect();
    if none.is_empty() {
        return "; there are as many namespaces as may be, or 32 levels of them: sysctl user.max_*_namespaces"
            .to_owned();
    }
    format!("; this host gives none of these namespaces (sysctl {} is 0): raise it", none.join(", "))
}

fn flags(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLONED: &str =
        "create \"c\": host step 3/13: clone3(CLONE_VM|CLONE_NEWUSER|CLONE_NEWNS), execveat(init): ";

    fn with(text: &str, name: &'static str, value: &'static str) -> String {
        by(text, true, move |asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn the_setting_that_refuses_is_named() {
        let full = format!("{CLONED}ENOSPC: No space left on device");
        assert!(
            with(&full, "user.max_user_namespaces", "0\n").contains("(sysctl user.max_user_namespaces is 0)")
        );
        assert!(with(&full, "user.max_pid_namespaces", "0\n").contains("user.max_*_namespaces"));
        assert_eq!(with(&format!("{CLONED}write /run/c/board: ENOSPC: No space"), "", ""), "");
        let refused = format!("{CLONED}EPERM: Operation not permitted");
        assert!(with(&refused, CLONE, "0\n").contains("sysctl kernel.unprivileged_userns_clone=1"));
        assert!(with(&refused, APPARMOR, "1\n").contains("AppArmor restricts"));
        assert_eq!(with(&refused, CLONE, "1\n"), "");
        let step = "create \"c\": step 9/70: mount proc on /proc: EACCES: Permission denied";
        assert!(with(step, APPARMOR, "1\n").contains("AppArmor restricts"));
        assert_eq!(by(step, false, |_| Some("1".to_owned())), "");
        assert_eq!(with("open /x: EACCES: Permission denied", APPARMOR, "1\n"), "");
        let said = format!("{full}{}", with(&full, "user.max_user_namespaces", "0\n"));
        assert_eq!(with(&said, "user.max_user_namespaces", "0\n"), "");
    }
}
