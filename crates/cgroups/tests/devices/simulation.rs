//! The kernel's device cgroup (`security/device_cgroup.c`) as a small machine: one group below a root that allows everything.

use libcontainer_cgroups::devices::v1::Write;
use libcontainer_cgroups::devices::{Access, Kind};

/// One exception, in the kernel's own order: the list is searched by its text, not by its meaning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Exception {
    kind: Kind,
    major: Option<u32>,
    minor: Option<u32>,
    access: Access,
}

#[derive(Debug, Clone)]
pub(crate) struct Group {
    allow: bool,
    exceptions: Vec<Exception>,
}

impl Group {
    /// A new group below the root.
    pub(crate) fn new() -> Self {
        Self { allow: true, exceptions: Vec::new() }
    }

    /// `devcgroup_update_access`.
    pub(crate) fn write(&mut self, write: &Write) {
        let mut words = write.text.split(' ');
        let kind = Kind::parse(words.next().unwrap()).unwrap();
        if kind == Kind::All {
            self.exceptions.clear();
            self.allow = write.allow;
            return;
        }
        let (major, minor) = words.next().unwrap().split_once(':').unwrap();
        let number = |text: &str| (text != "*").then(|| text.parse().unwrap());
        let access = Access::parse(words.next().unwrap()).unwrap();
        let exception = Exception { kind, major: number(major), minor: number(minor), access };
        if write.allow == self.allow { self.remove(&exception) } else { self.add(exception) }
    }

    fn same(one: &Exception, other: &Exception) -> bool {
        (one.kind, one.major, one.minor) == (other.kind, other.major, other.minor)
    }

    fn add(&mut self, new: Exception) {
        match self.exceptions.iter_mut().find(|old| Self::same(old, &new)) {
            Some(old) => old.access |= new.access,
            None => self.exceptions.push(new),
        }
    }

    fn remove(&mut self, what: &Exception) {
        for old in self.exceptions.iter_mut().filter(|old| Self::same(old, what)) {
            old.access.remove(what.access);
        }
        self.exceptions.retain(|exception| !exception.access.is_empty());
    }

    /// `devcgroup_legacy_check_permission`.
    pub(crate) fn allows(&self, kind: Kind, major: u32, minor: u32, access: Access) -> bool {
        let mut about = self.exceptions.iter().filter(|one| {
            one.kind == kind
                && one.major.is_none_or(|own| own == major)
                && one.minor.is_none_or(|own| own == minor)
        });
        if self.allow {
            !about.any(|one| one.access.intersects(access))
        } else {
            about.any(|one| one.access.contains(access))
        }
    }

    /// `devcgroup_seq_show`.
    pub(crate) fn list(&self) -> String {
        if self.allow {
            return "a *:* rwm\n".to_owned();
        }
        let star = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
        let line = |one: &Exception| {
            format!("{} {}:{} {}\n", one.kind.letter(), star(one.major), star(one.minor), one.access)
        };
        self.exceptions.iter().map(line).collect()
    }
}
