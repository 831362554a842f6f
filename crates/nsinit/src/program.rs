//! Starts that fail at their program: the words in which callers of runc look for it, and the exit codes of shells.

use libcontainer::Error;
use nix::errno::Errno;

use crate::failure::{Failure, NOT_EXECUTABLE, NOT_FOUND};

/// The failure of a start. Its code is 127 if the program is not there, 126 if it can't be executed, else our own.
///
/// The text begins as callers look for it, letter by letter: `exec: "NAME": executable file not found in $PATH` if no directory of `PATH` has the program,
/// `no such file or directory` if its own path does not lead to one, `permission denied` if it can't be executed. `exec PATH: no such file or directory` is a program
/// that is there, and lacks what its file asks for.
pub(crate) fn failure(error: &Error) -> Failure {
    of(error.errno().map(Errno::from_raw), error.to_string())
}

fn of(errno: Option<Errno>, text: String) -> Failure {
    if let Some(path) = incomplete(&text).filter(|_| errno == Some(Errno::ENOENT)) {
        return Failure::coded(NOT_FOUND, format!("exec {path}: no such file or directory: {text}"));
    }
    let Some(name) = executed(&text).or_else(|| looked_for(&text)) else { return Failure::new(text) };
    let (code, words) = match errno {
        Some(Errno::ENOENT) if !name.contains('/') => (NOT_FOUND, "executable file not found in $PATH"),
        Some(Errno::ENOENT | Errno::ENOTDIR) => (NOT_FOUND, "no such file or directory"),
        Some(Errno::EACCES) => (NOT_EXECUTABLE, "permission denied"),
        // It was killed on its way there, which says nothing of the program.
        None => return Failure::new(text),
        _ => return Failure::coded(NOT_EXECUTABLE, text),
    };
    Failure::coded(code, format!("exec: {name:?}: {words}: {text}"))
}

/// The name of the program, if it was missed before its start: `…: program "NAME" (looked for at /bin/NAME): …`.
fn looked_for(text: &str) -> Option<&str> {
    let (before, _) = text.split_once("\" (looked for at ")?;
    Some(before.split_once(": program \"")?.1)
}

/// The name of the program, if the step that failed is its execution. The start of a created container tells its step as text only,
/// so the text is what both have in common: `step 9/10: run NAME: execve("/bin/NAME", …`.
fn executed(text: &str) -> Option<&str> {
    let (before, _) = text.split_once(": execve(\"")?;
    Some(before.split_once(": run ")?.1)
}

/// The path of the program, if something is said of what its file asks for: `…: execve("/bin/NAME", …: ENOENT: No such file or directory; its first line …`.
fn incomplete(text: &str) -> Option<&str> {
    let (_, call) = text.split_once(": execve(\"")?;
    let (path, rest) = call.split_once('"')?;
    (rest.contains("; its first line asks for ") || rest.contains("; it asks for the dynamic linker "))
        .then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str) -> String {
        format!("create \"web\": step 9/10: run {name}: execve(\"/bin/x\", [..]): ENOENT")
    }

    fn missed(name: &str) -> String {
        format!("create \"web\": step 9/10: read back: program {name:?} (looked for at /bin/x): ENOENT")
    }

    #[test]
    fn the_program_is_named_behind_run() {
        for name in ["foo", "a b: run c", "./foo"] {
            assert_eq!(executed(&step(name)), Some(name));
        }
        assert_eq!(executed("open rootfs /x: ENOENT"), None);
        assert_eq!(looked_for(&missed("foo")), Some("foo"));
        assert_eq!(looked_for("open rootfs /x: ENOENT"), None);
    }

    #[test]
    fn what_lacks_its_interpreter_is_not_taken_for_missing() {
        for name in ["foo", "/bin/x"] {
            let text = format!(
                "{}: No such file or directory; its first line asks for \"/y\", which is not there",
                step(name)
            );
            let Failure::Told { code, text } = of(Some(Errno::ENOENT), text) else {
                panic!("nothing was written")
            };
            assert!(
                code == 127 && text.starts_with("exec /bin/x: no such file or directory: create"),
                "{text}"
            );
        }
    }

    #[test]
    fn codes_are_those_of_shells() {
        let killed = step("foo").replace("ENOENT", "the init was killed by signal 9");
        assert!(matches!(of(None, killed), Failure::Told { code: 1, .. }));
        let code = |errno, text: String| match of(Some(errno), text) {
            Failure::Told { code, text } => {
                let begin = text.strip_prefix("exec: ").and_then(|rest| rest.split(": ").nth(1));
                (code, begin.unwrap_or_default().to_owned())
            }
            Failure::Unread => panic!("nothing was written"),
        };
        let told = |code, words: &str| (code, words.to_owned());
        assert_eq!(code(Errno::ENOENT, step("foo")), told(127, "executable file not found in $PATH"));
        assert_eq!(code(Errno::ENOENT, missed("foo")), told(127, "executable file not found in $PATH"));
        assert_eq!(code(Errno::ENOENT, step("./foo")), told(127, "no such file or directory"));
        assert_eq!(code(Errno::ENOTDIR, step("/etc/passwd/foo")), told(127, "no such file or directory"));
        assert_eq!(code(Errno::EACCES, step("foo")), told(126, "permission denied"));
        assert_eq!(code(Errno::ENOEXEC, step("foo")), told(126, ""));
        assert_eq!(code(Errno::ENOENT, "open rootfs /x".to_owned()), told(1, ""));
    }
}
