//! What the kernel says of a process: names of profiles, and their mode.

use std::fmt;

use super::name::STACKED;

/// The label of a process, as `/proc/PID/attr/apparmor/current` has it: `NAME (MODE)`, `A//&B (MODE)`, or `unconfined`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    names: Vec<String>,
    mode: Option<String>,
}

impl Label {
    /// Reads it; `None` for what is no label.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes.strip_suffix(b"\n").unwrap_or(bytes)).ok()?;
        let (names, mode) = match text.strip_suffix(')').and_then(|text| text.rsplit_once(" (")) {
            Some((names, mode)) => (names, Some(mode.to_owned())),
            None => (text, None),
        };
        let names: Vec<String> = names.split(STACKED).map(str::to_owned).collect();
        let whole = names.iter().all(|name| !name.is_empty()) && !text.chars().any(char::is_control);
        whole.then_some(Self { names, mode })
    }

    /// The profiles, more than one if they are stacked.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// `enforce`, `complain`, `kill`, `mixed`…; `None` for a process without a profile.
    #[must_use]
    pub fn mode(&self) -> Option<&str> {
        self.mode.as_deref()
    }

    /// Whether no profile confines it.
    #[must_use]
    pub fn is_unconfined(&self) -> bool {
        self.mode.is_none() && self.names.iter().all(|name| name == "unconfined")
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(STACKED))?;
        self.mode.iter().try_for_each(|mode| write!(f, " ({mode})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for (text, names, mode) in [
            ("unconfined\n", &["unconfined"][..], None),
            ("docker-default (enforce)\n", &["docker-default"], Some("enforce")),
            ("a b (complain)", &["a b"], Some("complain")),
            ("a//&b (mixed)\n", &["a", "b"], Some("mixed")),
            ("a//&unconfined (enforce)\n", &["a", "unconfined"], Some("enforce")),
            (":ns:a (enforce)\n\0", &[":ns:a"], Some("enforce")),
            ("/usr/bin/x (deleted) (enforce)\n", &["/usr/bin/x (deleted)"], Some("enforce")),
        ] {
            let label = Label::from_bytes(text.as_bytes()).unwrap();
            assert_eq!((label.names().collect::<Vec<_>>(), label.mode()), (names.to_vec(), mode), "{text:?}");
            assert_eq!(label.to_string(), text.trim_end_matches(['\n', '\0']));
            assert_eq!(label.is_unconfined(), text == "unconfined\n");
        }
    }

    #[test]
    fn what_is_none() {
        for bytes in [&b""[..], b"\n", b"a//& (enforce)", b"//&", b"a\nb", b"\xff", b" (enforce)"] {
            assert_eq!(Label::from_bytes(bytes), None, "{bytes:?}");
        }
    }
}
