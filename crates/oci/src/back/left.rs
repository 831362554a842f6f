//! What a config has that the specification has not.

use libcontainer::Problem;

/// All that was found so far.
#[derive(Debug, Default)]
pub(super) struct Left(pub(super) Vec<Problem>);

impl Left {
    pub(super) fn add(&mut self, pointer: &str, message: &str) {
        self.0.push(Problem { pointer: pointer.to_owned(), message: message.to_owned(), remedy: None });
    }

    /// Adds it if it is so.
    pub(super) fn check(&mut self, is: bool, pointer: &str, message: &str) {
        if is {
            self.add(pointer, message);
        }
    }
}
