//! What is no context.

/// What is wrong with a context, and in which part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SELinux {part} {text:?}: {reason}")]
pub struct ContextError {
    part: &'static str,
    text: String,
    reason: &'static str,
}

impl ContextError {
    pub(super) fn new(part: &'static str, text: &str, reason: &'static str) -> Self {
        // Of a text that is too long the beginning will do.
        Self { part, text: text.chars().take(64).collect(), reason }
    }
}
