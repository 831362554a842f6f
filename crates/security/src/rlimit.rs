//! Resource limits: getrlimit(2).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NAMES: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

/// A resource that can be limited. JSON has `RLIMIT_NOFILE` and the like; 2015's numbers are read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource(u8);

impl Resource {
    /// `RLIMIT_CORE`: largest core dump, in bytes.
    pub const CORE: Self = Self(4);

    /// The number, as prlimit(2) takes it.
    #[must_use]
    pub fn number(self) -> u32 {
        u32::from(self.0)
    }

    /// The resource of that name, in upper case, with or without `RLIMIT_`; `None` for any other text.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let bare = name.strip_prefix("RLIMIT_").unwrap_or(name);
        (0..).zip(NAMES).find(|(_, known)| *known == bare).map(|(number, _)| Self(number))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RLIMIT_{}", NAMES.get(usize::from(self.0)).unwrap_or(&"?"))
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "neither name nor number of a resource limit")]
        enum Either {
            Number(u8),
            Name(String),
        }
        let (shown, found) = match Either::deserialize(deserializer)? {
            Either::Number(number) => {
                (number.to_string(), Some(Self(number)).filter(|_| usize::from(number) < NAMES.len()))
            }
            Either::Name(name) => (format!("{name:?}"), Self::from_name(&name)),
        };
        found.ok_or_else(|| serde::de::Error::custom(format!("{shown}: unknown resource limit")))
    }
}

/// One limit: getrlimit(2), where the units are: bytes, seconds, or a count, by resource. [`u64::MAX`] is `RLIM_INFINITY`, no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// The resource.
    #[serde(rename = "type")]
    pub resource: Resource,
    /// What the kernel enforces; no more than `hard`.
    pub soft: u64,
    /// Most that the process may set itself without `CAP_SYS_RESOURCE`.
    pub hard: u64,
}

/// What is wrong with a list of limits: index in the list and reason. A soft limit above the hard one, and a resource given twice.
#[must_use]
pub fn problems(limits: &[Rlimit]) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for (index, limit) in limits.iter().enumerate() {
        if limit.soft > limit.hard {
            all.push((
                index,
                format!("{}: soft {} is above hard {}", limit.resource, limit.soft, limit.hard),
            ));
        }
        if limits.iter().take(index).any(|other| other.resource == limit.resource) {
            all.push((index, format!("{}: given twice", limit.resource)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_read() {
        let read = |json: &str| serde_json::from_str::<Rlimit>(json);
        let limit = read(r#"{"type":7,"soft":1,"hard":2}"#).unwrap();
        assert_eq!(limit.resource.to_string(), "RLIMIT_NOFILE");
        assert_eq!(read(r#"{"type":"NOFILE","soft":1,"hard":2}"#).unwrap(), limit);
        assert!(read(r#"{"type":16,"soft":1,"hard":2}"#).is_err());
        assert!(read(r#"{"type":"X","soft":1,"hard":2}"#).is_err());
        assert_eq!(problems(&[limit, Rlimit { soft: 3, ..limit }]).len(), 2);
    }
}
