//! What to restrict and what to allow, and what a kernel can do of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::access::{PathAccess, PortAccess, Scope};

/// What to do where the kernel can't do all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforce {
    /// Refuse.
    #[default]
    Required,
    /// Do what the kernel can, and say what was left out.
    BestEffort,
}

/// Rights on what lies at and below a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathRule {
    /// Absolute path, inside the container. Links are followed. On something else than a directory the rights of directories mean nothing.
    pub path: PathBuf,
    /// The rights.
    pub access: PathAccess,
    /// A path that is not there is no error, and allows nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub if_exists: bool,
}

/// What to restrict, and what to allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Landlock {
    /// Whether all of it is required.
    pub enforce: Enforce,
    /// Rights on files that are denied unless a rule allows them; [`PathAccess::USUAL`] if absent and there are `paths`.
    #[serde(skip_serializing_if = "is_default")]
    pub handled: PathAccess,
    /// Rules on files. Absent, with `handled` absent too: files are not restricted.
    #[serde(skip_serializing_if = "is_default")]
    pub paths: Option<Vec<PathRule>>,
    /// Ports of TCP that may be bound, 0 for any that the kernel picks. Absent: not restricted, here and below; empty: none.
    #[serde(skip_serializing_if = "is_default")]
    pub bind_tcp: Option<Vec<u16>>,
    /// Ports of TCP that may be connected to.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_tcp: Option<Vec<u16>>,
    /// Ports of UDP that may be bound. ABI 10.
    #[serde(skip_serializing_if = "is_default")]
    pub bind_udp: Option<Vec<u16>>,
    /// Ports of UDP that may be connected or sent to. ABI 10.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_udp: Option<Vec<u16>>,
    /// What is kept within the container's processes.
    #[serde(skip_serializing_if = "is_default")]
    pub scopes: Vec<Scope>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What one version of the kernel's interface can do of a [`Landlock`]: the kernel's own terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Handled rights on files.
    pub files: PathAccess,
    /// Handled rights on ports, `LANDLOCK_ACCESS_NET_…` bits.
    pub network: u64,
    /// Scopes, `LANDLOCK_SCOPE_…` bits.
    pub scopes: u64,
    /// Rules on files, without rights that are not handled.
    pub paths: Vec<PathRule>,
    /// Rules on ports: port and `LANDLOCK_ACCESS_NET_…` bit.
    pub ports: Vec<(u16, u64)>,
    /// What was left out, by name, such as `truncate (ABI 3)`.
    pub left_out: Vec<String>,
}

impl Ruleset {
    /// Whether there is nothing to be enforced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.network == 0 && self.scopes == 0
    }
}

/// The kernel can't do all of what is required.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Landlock of this kernel is {}: it lacks {}; \"enforce\": \"best_effort\" does without", version(*.abi), .left_out.join(", "))]
pub struct Lacking {
    /// Version of the kernel's interface; 0 for none.
    pub abi: u32,
    /// What is missing.
    pub left_out: Vec<String>,
}

fn version(abi: u32) -> String {
    if abi == 0 { "missing or switched off".to_owned() } else { format!("of ABI {abi}") }
}

impl Landlock {
    /// What is wrong with it, whatever the kernel: key and reason.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let handled = self.handled_files();
        for (index, rule) in self.paths.iter().flatten().enumerate() {
            let key = |name: &str| format!("paths/{index}/{name}");
            if !rule.path.is_absolute() {
                all.push((key("path"), format!("{}: must be absolute", rule.path.display())));
            }
            if rule.path.as_os_str().as_encoded_bytes().contains(&0) {
                all.push((key("path"), "contains NUL".to_owned()));
            }
            if rule.access.is_empty() {
                all.push((key("access"), "empty: a rule that allows nothing".to_owned()));
            }
            for name in (rule.access - handled).names() {
                all.push((key("access"), format!("{name}: not handled, so it is allowed everywhere")));
            }
        }
        if handled.is_empty() && self.scopes.is_empty() && self.ports().next().is_none() {
            all.push((String::new(), "restricts nothing".to_owned()));
        }
        all
    }

    fn handled_files(&self) -> PathAccess {
        if self.handled.is_empty() && self.paths.is_some() { PathAccess::USUAL } else { self.handled }
    }

    fn ports(&self) -> impl Iterator<Item = (PortAccess, &[u16])> {
        use PortAccess::{BindTcp, BindUdp, ConnectTcp, ConnectUdp};
        let lists = [
            (BindTcp, &self.bind_tcp),
            (ConnectTcp, &self.connect_tcp),
            (BindUdp, &self.bind_udp),
            (ConnectUdp, &self.connect_udp),
        ];
        lists.into_iter().filter_map(|(access, list)| Some((access, list.as_deref()?)))
    }

    /// What an interface of that version can do of it; 0 for a kernel without.
    ///
    /// # Errors
    /// If that is not all, and all is required.
    pub fn fitted(&self, abi: u32) -> Result<Ruleset, Lacking> {
        let wanted = self.handled_files();
        let files = wanted & PathAccess::of_abi(abi);
        let mut set = Ruleset { files, ..Ruleset::default() };
        let missing = |bit: PathAccess| (1..=9).find(|abi| PathAccess::of_abi(*abi).contains(bit));
        for (name, bit) in (wanted - files).iter_names() {
            let since = missing(bit).unwrap_or_default();
            set.left_out.push(format!("{} (ABI {since})", name.to_ascii_lowercase()));
        }
        for rule in self.paths.iter().flatten() {
            let access = rule.access & files;
            if !access.is_empty() {
                set.paths.push(PathRule { access, ..rule.clone() });
            }
        }
        for (access, ports) in self.ports() {
            if abi < access.abi() {
                set.left_out.push(format!("{} (ABI {})", access.name(), access.abi()));
                continue;
            }
            set.network |= access.bit();
            set.ports.extend(ports.iter().map(|port| (*port, access.bit())));
        }
        for scope in &self.scopes {
            if abi < Scope::ABI {
                set.left_out.push(format!("{} (ABI {})", scope.name(), Scope::ABI));
            } else {
                set.scopes |= scope.bit();
            }
        }
        if self.enforce == Enforce::Required && !set.left_out.is_empty() {
            return Err(Lacking { abi, left_out: set.left_out });
        }
        Ok(set)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
