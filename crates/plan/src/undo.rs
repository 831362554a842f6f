//! What takes a launch back: a list that goes to its end.

use std::io;
use std::time::{Duration, Instant};

/// Takes back what a host step did. Runs when a later step fails, in reverse order and on past errors, which [`crate::LaunchError`] collects.
///
/// After an error it is called again, so it works from what is there: what is missing already is no error.
pub type Undo = Box<dyn FnMut() -> io::Result<()> + Send>;

/// Pauses before what failed is tried again: most of what hinders an undo (`EINTR`, `ENOMEM`, `EBUSY`) passes.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];
/// An undo that has waited that long itself is not called again.
const LONG: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct UndoList {
    all: Vec<Entry>,
}

struct Entry {
    name: String,
    undo: Undo,
    /// Runs only when all others have succeeded.
    last: bool,
}

/// How it went.
#[derive(Debug, Default)]
pub(crate) struct Undone {
    /// What could not be taken back.
    pub(crate) errors: Vec<(String, io::Error)>,
    /// What stands for that in a record was left.
    pub(crate) record_kept: bool,
}

impl UndoList {
    pub(crate) fn push(&mut self, name: String, undo: Undo, last: bool) {
        self.all.push(Entry { name, undo, last });
    }

    /// Runs all in reverse order and on past errors, what failed once more. `errors` is what has gone wrong already.
    pub(crate) fn run(&mut self, mut errors: Vec<(String, io::Error)>) -> Undone {
        let (last, others): (Vec<_>, Vec<_>) = self.all.drain(..).rev().partition(|entry| entry.last);
        errors.extend(repeat(others));
        // ORDER: as long as something is left, so is what it is found by.
        if !errors.is_empty() {
            return Undone { errors, record_kept: !last.is_empty() };
        }
        let errors = repeat(last);
        Undone { record_kept: !errors.is_empty(), errors }
    }
}

fn repeat(mut entries: Vec<Entry>) -> Vec<(String, io::Error)> {
    let mut errors = Vec::new();
    for pause in PAUSES.into_iter().map(Some).chain([None]) {
        let start = Instant::now();
        errors.clear();
        entries.retain_mut(|entry| match (entry.undo)() {
            Ok(()) => false,
            Err(error) => {
                errors.push((entry.name.clone(), error));
                true
            }
        });
        let Some(pause) = pause.filter(|_| !entries.is_empty() && start.elapsed() < LONG) else { break };
        crate::rest::rest(pause);
    }
    errors
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A list of undo steps `(name, failures before it succeeds, last)`; returns what ran, in order, and how it went.
    fn check(steps: &[(&'static str, usize, bool)]) -> (String, Undone) {
        let ran = Arc::new(Mutex::new(String::new()));
        let mut list = UndoList::default();
        for &(name, failures, last) in steps {
            let (ran, mut left) = (Arc::clone(&ran), failures);
            let undo = move || {
                ran.lock().unwrap().push_str(name);
                left = left.checked_sub(1).map_or(usize::MAX, |left| left);
                if left == usize::MAX { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EIO)) }
            };
            list.push(name.to_owned(), Box::new(undo), last);
        }
        let undone = list.run(Vec::new());
        let ran = ran.lock().unwrap().clone();
        (ran, undone)
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn all_run_in_reverse_order_and_past_errors() {
        let (ran, undone) = check(&[("a", 0, true), ("b", 0, false), ("c", 1, false), ("d", 0, false)]);
        assert_eq!(ran, "dcbca");
        assert!(undone.errors.is_empty() && !undone.record_kept);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn the_record_stays_as_long_as_something_is_left() {
        let (ran, undone) = check(&[("a", 0, true), ("b", 0, false), ("c", 9, false)]);
        assert_eq!(ran, "cbcc");
        assert_eq!(undone.errors.len(), 1);
        assert!(undone.record_kept);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_record_that_stays_by_itself_is_told() {
        let (ran, undone) = check(&[("a", 9, true), ("b", 0, false)]);
        assert_eq!(ran, "baaa");
        assert!(undone.errors.len() == 1 && undone.record_kept);
    }
}
