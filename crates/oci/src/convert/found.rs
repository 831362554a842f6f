//! What is wrong with a config, and what is left out of it.

use libcontainer::Problem;

/// All that was found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// Those of the warnings that are told in any case.
    pub(super) grave: Vec<Problem>,
}

impl Found {
    pub(super) fn problem(&mut self, pointer: &str, message: impl Into<String>) {
        self.problems.push(Problem { pointer: pointer.to_owned(), message: message.into(), remedy: None });
    }

    pub(super) fn hint(&mut self, pointer: &str, message: impl Into<String>, remedy: &str) {
        let remedy = Some(remedy.to_owned());
        self.problems.push(Problem { pointer: pointer.to_owned(), message: message.into(), remedy });
    }

    pub(super) fn warn(&mut self, pointer: &str, message: impl Into<String>) {
        self.warnings.push(Problem { pointer: pointer.to_owned(), message: message.into(), remedy: None });
    }

    /// A warning, and whether it is told in any case.
    pub(super) fn warn_of(&mut self, pointer: &str, message: String, grave: bool) {
        self.warn(pointer, message);
        self.grave.extend(self.warnings.last().filter(|_| grave).cloned());
    }
}
