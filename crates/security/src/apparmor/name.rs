//! Names of profiles, and how a program gets under one.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::error::{AppArmorError, LONGEST, NameError};

const UNCONFINED: &str = "unconfined";
/// Between the names of a stack.
pub(super) const STACKED: &str = "//&";

/// The name of one profile: `docker-default`, or `:NAMESPACE:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ProfileName(String);

impl ProfileName {
    /// No profile at all.
    #[must_use]
    pub fn unconfined() -> Self {
        Self(UNCONFINED.to_owned())
    }

    /// Whether it stands for no profile.
    #[must_use]
    pub fn is_unconfined(&self) -> bool {
        self.0 == UNCONFINED
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProfileName {
    type Err = AppArmorError;

    fn from_str(name: &str) -> Result<Self, AppArmorError> {
        match problem(name) {
            None => Ok(Self(in_namespace(name))),
            Some(reason) => Err(AppArmorError::Name { name: name.to_owned(), reason }),
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn problem(name: &str) -> Option<NameError> {
    if name.is_empty() {
        return Some(NameError::Empty);
    }
    if name.len() > LONGEST {
        return Some(NameError::Long);
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return Some(NameError::Character);
    }
    if name.starts_with('&') || name.contains(STACKED) {
        return Some(NameError::Several);
    }
    let within = name.strip_prefix(':')?;
    let (namespace, rest) = within.split_once(':').unwrap_or_default();
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    // What begins so would lose it when it is read again.
    (namespace.is_empty() || rest.is_empty() || rest.starts_with("//")).then_some(NameError::Namespace)
}

/// As the kernel writes it: `:NAMESPACE://NAME` is the same.
fn in_namespace(name: &str) -> String {
    let Some((namespace, rest)) = name.strip_prefix(':').and_then(|rest| rest.split_once(':')) else {
        return name.to_owned();
    };
    format!(":{namespace}:{}", rest.strip_prefix("//").unwrap_or(rest))
}

/// What exec does to the profile of a program.
///
/// As a text it is the name of the profile, with `&` before it to stack it: as in the rules of profiles.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Transition {
    /// It gets this one in place of that of its starter.
    Exec(ProfileName),
    /// It gets this one beside that of its starter: what either denies is denied. The one transition that a confined process can make with
    /// `no_new_privs`; the starter's profile needs `change_profile -> &NAME` for it, or `change_profile`.
    Stack(ProfileName),
}

impl Transition {
    /// The profile.
    #[must_use]
    pub fn name(&self) -> &ProfileName {
        match self {
            Self::Exec(name) | Self::Stack(name) => name,
        }
    }

    /// What is written to the attribute file: proc_pid_attr(5).
    pub(crate) fn command(&self) -> String {
        match self {
            Self::Exec(name) => format!("exec {name}"),
            Self::Stack(name) => format!("stack {name}"),
        }
    }

    /// How the file begins then; behind a profile's name stands its mode.
    pub(crate) fn shown(&self) -> String {
        let name = self.name();
        let ends_so = name.is_unconfined() || name.0.ends_with(":unconfined");
        if ends_so { format!("{name}\n") } else { format!("{name} (") }
    }
}

impl FromStr for Transition {
    type Err = AppArmorError;

    fn from_str(text: &str) -> Result<Self, AppArmorError> {
        match text.strip_prefix('&') {
            Some(name) => name.parse().map(Self::Stack),
            None => text.parse().map(Self::Exec),
        }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec(name) => write!(f, "{name}"),
            Self::Stack(name) => write!(f, "&{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_one_profile() {
        for name in ["docker-default", "/usr/bin/man//filter", "a b", "ü", ":ns:a", "unconfined", "snap.x.y"]
        {
            assert_eq!(name.parse::<ProfileName>().unwrap().to_string(), name);
        }
        assert_eq!(":ns://a".parse::<ProfileName>().unwrap().as_str(), ":ns:a");
        assert_eq!(":&:@:///a".parse::<ProfileName>().unwrap().as_str(), ":&:@:///a");
        assert_eq!(":ns:///a".parse::<ProfileName>().unwrap().as_str(), ":ns:/a");
        let long = "x".repeat(LONGEST + 1);
        for (name, reason) in [
            ("", NameError::Empty),
            (long.as_str(), NameError::Long),
            (" a", NameError::Character),
            ("a ", NameError::Character),
            ("a\n", NameError::Character),
            ("a\nexec b", NameError::Character),
            ("a\0", NameError::Character),
            ("a//&b", NameError::Several),
            ("&a", NameError::Several),
            (":a", NameError::Namespace),
            ("::a", NameError::Namespace),
            (":ns:", NameError::Namespace),
            (":ns://", NameError::Namespace),
            (":ns:////a", NameError::Namespace),
        ] {
            let error = name.parse::<ProfileName>().unwrap_err();
            assert_eq!(error, AppArmorError::Name { name: name.to_owned(), reason });
        }
    }

    #[test]
    fn a_transition_is_a_command_and_how_it_is_shown() {
        for (text, command, shown) in [
            ("a", "exec a", "a ("),
            ("&a", "stack a", "a ("),
            ("unconfined", "exec unconfined", "unconfined\n"),
            (":ns://a", "exec :ns:a", ":ns:a ("),
            (":ns:unconfined", "exec :ns:unconfined", ":ns:unconfined\n"),
        ] {
            let transition: Transition = text.parse().unwrap();
            assert_eq!((transition.command().as_str(), transition.shown().as_str()), (command, shown));
        }
        assert_eq!("&a".parse::<Transition>().unwrap().to_string(), "&a");
        for text in ["", "&", "&&a", "& a"] {
            assert!(text.parse::<Transition>().is_err(), "{text:?}");
        }
    }
}
