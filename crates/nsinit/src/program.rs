//! Starts that fail at their program: the words in which callers of runc look for it, and the exit codes of shells.

use libcontainer::Error;
use nix::errno::Errno;

use crate::failure::{Failure, NOT_EXECUTABLE, NOT_FOUND};

/// The failure of a start. Its code is 127 if the program is not there, 126 if it can't be executed, else our own.
///
/// The text begins with `exec: "NAME": executable file not found in $PATH` if no directory of `PATH` has the program.
pub(crate) fn failure(error: &Error) -> Failure {
    of(error.errno().map(Errno::from_raw), error.to_string())
}

fn of(errno: Option<Errno>, text: String) -> Failure {
    let Some(name) = executed(&text) else { return Failure::new(text) };
    match errno {
        Some(Errno::ENOENT) if !name.contains('/') => {
            let text = format!("exec: {name:?}: executable file not found in $PATH: {text}");
            Failure::coded(NOT_FOUND, text)
        }
        Some(Errno::ENOENT | Errno::ENOTDIR) => Failure::coded(NOT_FOUND, text),
        _ => Failure::coded(NOT_EXECUTABLE, text),
    }
}

/// The name of the program, if the step that failed is its execution. The start of a created container tells its step as text only,
/// so the text is what both have in common: `step 9/10: run NAME: execve("/bin/NAME", …`.
fn executed(text: &str) -> Option<&str> {
    let (before, _) = text.split_once(": execve(\"")?;
    Some(before.split_once(": run ")?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str) -> String {
        format!("create \"web\": step 9/10: run {name}: execve(\"/bin/x\", [..]): ENOENT")
    }

    #[test]
    fn the_program_is_named_behind_run() {
        for name in ["foo", "a b: run c", "./foo"] {
            assert_eq!(executed(&step(name)), Some(name));
        }
        assert_eq!(executed("open rootfs /x: ENOENT"), None);
    }

    #[test]
    fn codes_are_those_of_shells() {
        let code = |errno, text: String| match of(Some(errno), text) {
            Failure::Told { code, text } => (code, text.starts_with("exec: \"foo\"")),
            Failure::Unread => panic!("nothing was written"),
        };
        assert_eq!(code(Errno::ENOENT, step("foo")), (127, true));
        assert_eq!(code(Errno::ENOENT, step("./foo")), (127, false));
        assert_eq!(code(Errno::ENOTDIR, step("/etc/passwd/foo")), (127, false));
        assert_eq!(code(Errno::EACCES, step("foo")), (126, false));
        assert_eq!(code(Errno::ENOEXEC, step("foo")), (126, false));
        assert_eq!(code(Errno::ENOENT, "open rootfs /x".to_owned()), (1, false));
    }
}
