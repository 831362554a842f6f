//! The field `seccomp`.

use libcontainer_security::seccomp::Profile;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The system call filter of a container's programs: seccomp(2). It is loaded right before each program is executed, as the last call of the init.
///
/// In JSON `"default"`, `"unconfined"`, or an object that is OCI's `linux.seccomp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// The library's default profile, for the capabilities of the container.
    #[default]
    Default,
    /// No filter.
    Unconfined,
    /// This one.
    Profile(Box<Profile>),
}

impl Serialize for Seccomp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Default => serializer.serialize_str(DEFAULT),
            Self::Unconfined => serializer.serialize_str(UNCONFINED),
            Self::Profile(profile) => profile.serialize(serializer),
        }
    }
}

const DEFAULT: &str = "default";
const UNCONFINED: &str = "unconfined";

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Name(String),
    Profile(serde_json::Value),
}

impl<'de> Deserialize<'de> for Seccomp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Form::deserialize(deserializer)? {
            Form::Name(name) if name == DEFAULT => Ok(Self::Default),
            Form::Name(name) if name == UNCONFINED => Ok(Self::Unconfined),
            Form::Name(name) => {
                Err(Error::custom(format!("{name:?}: must be \"default\", \"unconfined\" or a profile")))
            }
            Form::Profile(value) => {
                let profile = Profile::deserialize(value).map_err(Error::custom)?;
                Ok(Self::Profile(Box::new(profile)))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;

    #[test]
    fn names_and_profiles_are_read_and_written() {
        for text in [
            r#""default""#,
            r#""unconfined""#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["reboot"],"action":"SCMP_ACT_ERRNO"}]}"#,
        ] {
            let read: Seccomp = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        for (text, wanted) in [
            (r#""none""#, "must be \"default\""),
            ("7", "expected"),
            ("[]", "expected"),
            (r#"{"defaultAction":"SCMP_ACT_NONE"}"#, "SCMP_ACT_NONE"),
            ("{}", "defaultAction"),
        ] {
            let error = serde_json::from_str::<Seccomp>(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
