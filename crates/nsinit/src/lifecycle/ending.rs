//! kill and delete.

use libcontainer::{Container, ErrorKind, Listing, NamespaceKind, RunState};
use nix::sys::signal::Signal;
use regex_lite::Regex;

use super::{factory, load, there};
use crate::failure::{Failure, Outcome};
use crate::root::State;
use crate::{notify, trial};

#[inline(never)]
pub(crate) fn kill(root: &State, id: &str, signal: &str, all: bool) -> Outcome {
    let unknown = || {
        Failure::usage(format!(
            "unknown signal {signal:?}: a name such as TERM or SIGTERM, or a number up to 64; 0 only asks"
        ))
    };
    let number = signal_number(signal).ok_or_else(unknown)?;
    let container = load(root, id)?;
    // Without a pid namespace of their own the others would outlive the first process; it may have ended long ago.
    let shared =
        number == Signal::SIGKILL as i32 && !container.config().namespaces.is_new(NamespaceKind::Pid);
    match if all || shared { container.signal_all(number) } else { container.signal(number) } {
        // There is nobody whom it did not reach.
        Err(error) if all && error.kind() == ErrorKind::WrongState => Ok(0),
        sent => Ok(sent.map(|()| 0)?),
    }
}

/// A signal by number, or by name with or without `SIG`.
fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (0..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    Signal::iterator().find(|signal| signal.as_str() == name).map(|signal| signal as i32)
}

#[inline(never)]
pub(crate) fn delete(root: &State, id: &str, force: bool) -> Outcome {
    let path = root.container(id)?;
    if force {
        factory()?.destroy(&path)?;
    } else {
        match load(root, id) {
            // A trial, or a creation, that was killed at its very beginning has no container yet.
            Err(_) if !there(&path)? && (trial::has_left(&path)? || notify::has_left(&path)?) => {}
            container => delete_ended(&container?)?,
        }
    }
    // ORDER: behind the container, which is found by its name as long as anything is left.
    trial::remove_left(&path)?;
    notify::remove_left(&path)?;
    Ok(0)
}

/// All whose names match; what fails is told, and the others are deleted all the same.
#[inline(never)]
pub(crate) fn delete_all(root: &State, pattern: &str, force: bool) -> Outcome {
    let pattern =
        Regex::new(pattern).map_err(|error| Failure::usage(format!("--regex {pattern:?}: {error}")))?;
    let names = match Listing::open(root.dir()) {
        // No container was ever made.
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        listing => listing?.names()?,
    };
    let mut failed: Option<Failure> = None;
    for name in names.iter().filter_map(|name| name.to_str()).filter(|name| pattern.is_match(name)) {
        if let Err(error) = delete(root, name, force) {
            failed = Some(match failed {
                Some(first) => first.with(&error),
                None => error,
            });
        }
    }
    failed.map_or(Ok(0), Err)
}

fn delete_ended(container: &Container) -> Result<(), Failure> {
    match container.run_state()? {
        // Whoever makes one holds its lock: what is half-made now was left so.
        RunState::Stopped | RunState::Destroyed | RunState::Creating => Ok(container.destroy()?),
        state => {
            let text = format!("container {:?} is {state}: kill it first, or use --force", container.id());
            Err(Failure::new(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::signal_number;

    #[test]
    fn signals_by_name_and_number() {
        for (text, wanted) in [
            ("TERM", Some(15)),
            ("SIGKILL", Some(9)),
            ("kill", Some(9)),
            ("9", Some(9)),
            ("0", Some(0)),
            ("64", Some(64)),
        ] {
            assert_eq!(signal_number(text), wanted, "{text}");
        }
        for text in ["SIGBOGUS", "999", "-1", ""] {
            assert_eq!(signal_number(text), None, "{text}");
        }
    }
}
