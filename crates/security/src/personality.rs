//! The execution domain of a process: personality(2).

use serde::{Deserialize, Serialize};

/// Execution domain. The names are those of the OCI runtime specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Domain {
    /// Linux.
    #[default]
    #[serde(rename = "LINUX")]
    Linux,
    /// Linux whose uname(2) tells the machine's 32-bit name.
    #[serde(rename = "LINUX32")]
    Linux32,
}

/// Flag of an execution domain: personality(2). Those that make every page executable, or page 0 readable, are no variants: exec takes the
/// first away from a 64-bit program, and both help an attacker only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PersonalityFlag {
    /// uname(2) tells 2.6.x.
    #[serde(rename = "UNAME26")]
    Uname26,
    /// No random addresses: for debuggers.
    #[serde(rename = "ADDR_NO_RANDOMIZE")]
    NoRandomize,
    /// Mappings grow upwards, as before 2.6.9.
    #[serde(rename = "ADDR_COMPAT_LAYOUT")]
    CompatLayout,
    /// At most 3 GiB of addresses.
    #[serde(rename = "ADDR_LIMIT_3GB")]
    Limit3Gb,
    /// Times in select(2) and the like are left alone.
    #[serde(rename = "STICKY_TIMEOUTS")]
    StickyTimeouts,
}

/// Execution domain and its flags: personality(2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Personality {
    /// Domain.
    pub domain: Domain,
    /// Flags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<PersonalityFlag>,
}

impl Personality {
    /// The value that the kernel takes.
    #[must_use]
    pub fn value(&self) -> u32 {
        let domain = match self.domain {
            Domain::Linux => 0,
            Domain::Linux32 => 8,
        };
        self.flags.iter().fold(domain, |bits, flag| {
            bits | match flag {
                PersonalityFlag::Uname26 => 0x2_0000,
                PersonalityFlag::NoRandomize => 0x4_0000,
                PersonalityFlag::CompatLayout => 0x20_0000,
                PersonalityFlag::StickyTimeouts => 0x400_0000,
                PersonalityFlag::Limit3Gb => 0x800_0000,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let read = |json: &str| serde_json::from_str::<Personality>(json);
        assert_eq!(read(r#"{"domain":"LINUX32","flags":["ADDR_NO_RANDOMIZE"]}"#).unwrap().value(), 0x4_0008);
        assert_eq!(read("{}").unwrap().value(), 0);
        assert!(read(r#"{"flags":["READ_IMPLIES_EXEC"]}"#).is_err());
        assert!(read(r#"{"domain":"linux"}"#).is_err());
    }
}
