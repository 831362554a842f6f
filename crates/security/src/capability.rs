//! Capabilities by name and by set: capabilities(7).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names in order of their numbers, as of Linux 6.18 (linux/capability.h).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// One capability, by its number in linux/capability.h, 0 to 63: also one that this library has no name for. See capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(u8);

/// A name that is no capability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?}: unknown capability")]
pub struct UnknownCapability {
    /// The name as given.
    pub name: String,
}

impl Capability {
    /// The capability with this number, 0 to 63; `None` for a larger one, which no set could hold.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| *number < 64).map(Self)
    }

    /// The number, which is that of its bit in a set.
    #[must_use]
    pub fn number(self) -> u32 {
        u32::from(self.0)
    }

    fn bit(self) -> u64 {
        1 << self.0
    }
}

impl fmt::Display for Capability {
    /// Writes the name without `CAP_`, as in 2014; a number without a name is written as `CAP_41`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "CAP_{}", self.0),
        }
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    /// Reads a name with or without `CAP_`, in upper or lower case, or `CAP_` and a number.
    ///
    /// # Errors
    /// [`UnknownCapability`] for any other text, a bare number and surrounding blanks included.
    fn from_str(name: &str) -> Result<Self, UnknownCapability> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let known = (0..).zip(NAMES).find(|(_, known)| *known == bare).map(|(number, _)| Self(number));
        let numbered = || bare.parse().ok().filter(|_| upper != bare).and_then(Self::from_number);
        known.or_else(numbered).ok_or_else(|| UnknownCapability { name: name.to_owned() })
    }
}

/// A set of capabilities: a mask in which bit *n* is capability number *n*, as in `/proc/PID/status`. In JSON it is a list of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CapSet(u64);

impl CapSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Every number, also those that no kernel has: [`CapSet::of_kernel`] makes it all that there are.
    pub const ALL: Self = Self(u64::MAX);

    /// The set with these bits; bit 0 is `CAP_CHOWN`.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// All capabilities up to number `last`, itself included: `/proc/sys/kernel/cap_last_cap`, or [`crate::thread::last_capability`].
    #[must_use]
    pub fn all(last: u32) -> Self {
        Self(u64::MAX >> (63 - last.min(63)))
    }

    /// [`CapSet::ALL`] as the set of all capabilities up to number `last`; any other set as it is.
    #[must_use]
    pub fn of_kernel(self, last: u32) -> Self {
        if self == Self::ALL { Self::all(last) } else { self }
    }

    /// The bits; bit 0 is `CAP_CHOWN`.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether `capability` is in the set.
    #[must_use]
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is here and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The capabilities, in ascending order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        (0..64).map(Capability).filter(move |capability| self.contains(*capability))
    }

    /// The set of all names, each as [`Capability`] reads it; a name given twice counts once. `ALL` stands for [`CapSet::ALL`].
    ///
    /// # Errors
    /// [`UnknownCapability`] with the first name that is unknown.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownCapability> {
        let one = |name: &str| match name.eq_ignore_ascii_case("ALL") {
            true => Ok(Self::ALL),
            false => name.parse().map(|capability: Capability| Self(capability.bit())),
        };
        names.into_iter().try_fold(Self::EMPTY, |set, name| Ok(set.or(one(name)?)))
    }
}

impl FromIterator<Capability> for CapSet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().fold(0, |bits, capability| bits | capability.bit()))
    }
}

impl fmt::Display for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, capability) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{capability}")?;
        }
        Ok(())
    }
}

impl Serialize for CapSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|capability| capability.to_string()))
    }
}

impl<'de> Deserialize<'de> for CapSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Self::from_names(names.iter().map(String::as_str)).map_err(serde::de::Error::custom)
    }
}

/// The five sets of a thread: capabilities(7), "Thread capability sets". A key that JSON lacks is the empty set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Most that exec can give. Never grows.
    pub bounding: CapSet,
    /// What the kernel checks. Never holds more than `permitted`.
    pub effective: CapSet,
    /// What may be made effective. Grows at exec only.
    pub permitted: CapSet,
    /// What files with that inheritable capability may give at exec.
    pub inheritable: CapSet,
    /// What stays over exec of a program without file capabilities (Linux 4.3). Never holds what is not permitted and inheritable.
    pub ambient: CapSet,
}

impl Capabilities {
    /// 2014's list of capabilities to keep: bounding, effective and permitted. Unlike then, nothing is inheritable
    /// (CVE-2022-24769 and its kin).
    #[must_use]
    pub fn keep(set: CapSet) -> Self {
        Self { bounding: set, effective: set, permitted: set, ..Self::default() }
    }

    /// What contradicts itself, so that no kernel could grant it: the key of the set in JSON, and why. Empty if all is well.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        let mut check = |key, set: CapSet, other: CapSet, name: &str| {
            let missing = set.without(other);
            if !missing.is_empty() {
                all.push((key, format!("{missing}: not in {name}")));
            }
        };
        check("effective", self.effective, self.permitted, "permitted");
        check("permitted", self.permitted, self.bounding, "bounding");
        check("inheritable", self.inheritable, self.bounding, "bounding");
        check("ambient", self.ambient, self.permitted, "permitted");
        check("ambient", self.ambient, self.inheritable, "inheritable");
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, wanted) in
            [("CHOWN", 0), ("CAP_CHOWN", 0), ("cap_bpf", 39), ("checkpoint_restore", 40), ("CAP_41", 41)]
        {
            assert_eq!(text.parse::<Capability>().unwrap().number(), wanted, "{text}");
        }
        for text in ["", "CAP_", "BOGUS", "41", "CAP_64", "CHOWN "] {
            assert!(text.parse::<Capability>().is_err(), "{text}");
        }
        assert_eq!(CapSet::from_names(["KILL", "all"]).unwrap().of_kernel(40).bits(), (1 << 41) - 1);
        assert_eq!(CapSet::from_names(["KILL"]).unwrap().of_kernel(40).bits(), 1 << 5);
        let set = CapSet::from_names(["KILL", "CHOWN", "CAP_63"]).unwrap();
        assert_eq!(set.to_string(), "CHOWN,KILL,CAP_63");
        assert_eq!(CapSet::all(40).iter().count(), 41);
        assert_eq!(CapSet::all(63).bits(), u64::MAX);
    }

    #[test]
    fn keep_gives_nothing_to_inherit() {
        let kept = Capabilities::keep(CapSet::all(3));
        assert!(kept.inheritable.is_empty() && kept.ambient.is_empty() && kept.problems().is_empty());
        let bad = Capabilities { ambient: CapSet::all(0), ..Capabilities::default() };
        assert_eq!(bad.problems().len(), 2);
    }
}
