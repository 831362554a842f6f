//! The profile of a container that asks for nothing else, made of parts.

use std::fmt::Write;

use super::error::{AppArmorError, NameError};
use super::name::ProfileName;

/// Which rules the text is written for. Without one the parser takes the classes of rules that its configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Abi {
    /// AppArmor 3.0: sockets of the unix family are mediated where the kernel can.
    V3,
    /// AppArmor 4.0: user namespaces, io_uring and message queues too.
    V4,
}

impl Abi {
    fn name(self) -> &'static str {
        match self {
            Self::V3 => "3.0",
            Self::V4 => "4.0",
        }
    }

    /// What it takes to leave to the program what no older profile says anything of.
    fn allows(self) -> &'static [&'static str] {
        match self {
            Self::V3 => &["unix"],
            Self::V4 => &["unix", "userns", "io_uring", "mqueue"],
        }
    }
}

/// A profile that leaves to a container what the kernel keeps apart, and denies mounting and what of `/proc` and `/sys` is the machine's: what Docker's
/// `docker-default` does.
///
/// ```
/// use libcontainer_security::apparmor::DefaultProfile;
///
/// let text = DefaultProfile::new(&"my-default".parse()?)?.peer("crun")?.text();
/// assert!(text.contains("signal (receive) peer=crun,") && text.contains("deny mount,"));
/// # Ok::<(), libcontainer_security::apparmor::AppArmorError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultProfile {
    name: ProfileName,
    abi: Option<Abi>,
    peers: Vec<String>,
}

impl DefaultProfile {
    /// For that name.
    ///
    /// # Errors
    /// [`NameError::NotPlain`]: a name that would need quotes, or that is taken (`unconfined`).
    pub fn new(name: &ProfileName) -> Result<Self, AppArmorError> {
        plain(name.as_str())?;
        Ok(Self { name: name.clone(), abi: None, peers: Vec::new() })
    }

    /// For that abi.
    #[must_use]
    pub fn abi(mut self, abi: Abi) -> Self {
        self.abi = Some(abi);
        self
    }

    /// Lets processes under that profile send signals: a runtime or a daemon that is confined itself. Those that are not may always.
    ///
    /// # Errors
    /// As of [`DefaultProfile::new`].
    pub fn peer(mut self, name: &str) -> Result<Self, AppArmorError> {
        plain(name)?;
        self.peers.push(name.to_owned());
        Ok(self)
    }

    /// The text, for [`load`](super::load) or a file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(abi) = self.abi {
            let _ = writeln!(text, "abi <abi/{}>,\n", abi.name());
        }
        let _ = writeln!(text, "profile {} flags=(attach_disconnected,mediate_deleted) {{", self.name);
        for (why, rules) in self.parts() {
            let _ = writeln!(text, "  # {why}");
            for rule in rules {
                let _ = writeln!(text, "  {rule},");
            }
        }
        text.push_str("}\n");
        text
    }

    fn parts(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut all = vec![
            ("What namespaces, capabilities and file modes decide.", self.allowed()),
            ("From whom signals may come.", self.signals()),
            (
                "Processes of the container may trace each other.",
                vec![self.among("ptrace (trace,read,tracedby,readby)")],
            ),
        ];
        all.extend(
            DENIED.map(|(why, rules)| (why, rules.iter().map(|rule| format!("deny {rule}")).collect())),
        );
        all.extend(kept().map(|(why, rules)| (why, rules)));
        all
    }

    fn allowed(&self) -> Vec<String> {
        let more = self.abi.map(Abi::allows).unwrap_or_default();
        ALLOWED.iter().chain(more).map(|rule| (*rule).to_owned()).collect()
    }

    fn signals(&self) -> Vec<String> {
        let peers = ["unconfined"].into_iter().chain(self.peers.iter().map(String::as_str));
        let from = peers.map(|peer| format!("signal (receive) peer={peer}"));
        from.chain([self.among("signal (send,receive)")]).collect()
    }

    fn among(&self, rule: &str) -> String {
        format!("{rule} peer={}", self.name)
    }
}

const ALLOWED: [&str; 4] = ["network", "capability", "file", "umount"];
const DENIED: [(&str, &[&str]); 4] = [
    ("Mounts would move what the rules below name.", &["mount"]),
    (
        "Memory and keys of the machine.",
        &["/proc/{kcore,kmem,mem,sysrq-trigger} rwklx", "/sys/kernel/security/** rwklx"],
    ),
    (
        "Firmware, and meters by which others can be listened to.",
        &["/sys/firmware/** rwklx", "/sys/devices/virtual/powercap/** rwklx"],
    ),
    ("Files of the machine in /proc, outside of processes.", &["/proc/* w"]),
];

/// What is denied but for one name.
fn kept() -> [(&'static str, Vec<String>); 3] {
    let deny = |patterns: Vec<String>, access: &str| -> Vec<String> {
        patterns.iter().map(|pattern| format!("deny {pattern} {access}")).collect()
    };
    let processes =
        ["/proc/[^0-9s]*/**".to_owned()].into_iter().chain(others("/proc/", "sys").into_iter().skip(1));
    let settings = others("/proc/sys/", "kernel").into_iter().chain(beginning("/proc/sys/kernel/", "shm"));
    let sysfs = others("/sys/", "fs").into_iter().chain(others("/sys/fs/", "cgroup"));
    [
        ("Directories in /proc but those of processes, and sys.", deny(processes.collect(), "w")),
        (
            "Settings but those of shared memory, which a namespace has of its own.",
            deny(settings.collect(), "w"),
        ),
        ("Everything in /sys but control groups.", deny(sysfs.collect(), "wklx")),
    ]
}

/// Patterns for all that lies in directories of `dir` but the one of that name: by the first letter that differs, then longer names.
fn others(dir: &str, name: &str) -> Vec<String> {
    let differing = differing(name).map(|start| format!("{dir}{start}*/**"));
    differing.chain([format!("{dir}{name}[^/]*/**")]).collect()
}

/// Patterns for all in `dir` that does not begin with `start`: by the first letter that differs, then what is too short.
fn beginning(dir: &str, start: &str) -> Vec<String> {
    let short = (1..start.len()).filter_map(|length| Some(format!("{dir}{}", start.get(..length)?)));
    differing(start).map(|start| format!("{dir}{start}**")).chain(short).collect()
}

fn differing(name: &str) -> impl Iterator<Item = String> + '_ {
    name.char_indices().map(|(at, letter)| format!("{}[^{letter}]", name.get(..at).unwrap_or_default()))
}

fn plain(name: &str) -> Result<(), AppArmorError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+@".contains(c);
    if !name.is_empty() && name != "unconfined" && name.chars().all(fits) {
        return Ok(());
    }
    Err(AppArmorError::Name { name: name.to_owned(), reason: NameError::NotPlain })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str) -> Result<DefaultProfile, AppArmorError> {
        DefaultProfile::new(&name.parse().unwrap())
    }

    #[test]
    fn all_names_but_one_have_a_pattern() {
        assert_eq!(others("/sys/", "fs"), ["/sys/[^f]*/**", "/sys/f[^s]*/**", "/sys/fs[^/]*/**"]);
        let wanted = ["/k/[^s]**", "/k/s[^h]**", "/k/sh[^m]**", "/k/s", "/k/sh"];
        assert_eq!(beginning("/k/", "shm"), wanted);
    }

    #[test]
    fn the_text_has_every_part_once() {
        let text = profile("mine").unwrap().abi(Abi::V4).peer("runc").unwrap().text();
        assert!(
            text.starts_with(
                "abi <abi/4.0>,\n\nprofile mine flags=(attach_disconnected,mediate_deleted) {\n"
            )
        );
        for rule in [
            "network,",
            "userns,",
            "signal (receive) peer=unconfined,",
            "signal (receive) peer=runc,",
            "signal (send,receive) peer=mine,",
            "ptrace (trace,read,tracedby,readby) peer=mine,",
            "deny mount,",
            "deny /proc/sys/[^k]*/** w,",
            "deny /proc/sys/kernel/sh[^m]** w,",
            "deny /sys/fs/cg[^r]*/** wklx,",
            "deny /proc/sys[^/]*/** w,",
            "deny /proc/s[^y]*/** w,",
        ] {
            assert_eq!(text.matches(&format!("  {rule}\n")).count(), 1, "{rule}\n{text}");
        }
        let old = profile("mine").unwrap().text();
        assert!(!old.contains("abi <") && !old.contains("unix") && old.ends_with("}\n"));
    }

    #[test]
    fn names_that_could_say_more_are_refused() {
        for name in ["a b", "a,", "a{", "/x", "unconfined", ":ns:a", "a\"", "*"] {
            let wanted = AppArmorError::Name { name: name.to_owned(), reason: NameError::NotPlain };
            assert_eq!(profile(name), Err(wanted.clone()));
            assert_eq!(profile("a").unwrap().peer(name), Err(wanted));
        }
    }
}
