//! One thing that is wrong with a text, or was left out of it.

use std::fmt;

/// One thing that is wrong with a config: where, what, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer to the value (RFC 6901), such as `/namespaces/NEWPID`.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
    /// What would help, where that is known.
    pub remedy: Option<String>,
}

impl Problem {
    /// What was left out of a text that was read: a key that nothing has, or letters of a device rule's access that mean nothing.
    #[must_use]
    pub fn left_out(pointer: String) -> Self {
        let message = format!("{}: left out", left_out(&pointer));
        Self { pointer, message, remedy: None }
    }
}

/// What such a pointer leads to, in words.
pub(crate) fn left_out(pointer: &str) -> &'static str {
    if is_access(pointer) { "letters besides r, w and m" } else { "unknown key" }
}

/// Whether a pointer is that of a device rule's access, in a config or in limits alone.
pub(crate) fn is_access(pointer: &str) -> bool {
    (pointer.contains("/resources/devices/") || pointer.starts_with("/devices/"))
        && pointer.ends_with("/access")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}
