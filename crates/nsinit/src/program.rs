//! Programs that are not there: the words in which callers of runc look for it.

use libcontainer::Error;

const ENOENT: i32 = nix::errno::Errno::ENOENT as i32;

/// The text of an error, behind `exec: "NAME": executable file not found in $PATH` if no directory of `PATH` has the program.
pub(crate) fn text(error: &Error) -> String {
    let text = error.to_string();
    match missing(error.errno(), &text) {
        Some(name) => format!("exec: {name:?}: executable file not found in $PATH: {text}"),
        None => text,
    }
}

/// The name of a program that was looked for in `PATH` in vain. The start of a created container tells its step as text only, so
/// the text is what both have in common: `step 9/10: run NAME: execve("/bin/NAME", …`.
fn missing(errno: Option<i32>, text: &str) -> Option<String> {
    let (before, _) = text.split_once(": execve(\"").filter(|_| errno == Some(ENOENT))?;
    let (_, name) = before.split_once(": run ")?;
    (!name.contains('/')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn only_names_without_slash_are_looked_for() {
        let step =
            |name: &str| format!("create \"web\": step 9/10: run {name}: execve(\"/bin/x\", [..]): ENOENT");
        assert_eq!(missing(Some(2), &step("foo")).as_deref(), Some("foo"));
        assert_eq!(missing(Some(2), &step("a b: run c")).as_deref(), Some("a b: run c"));
        assert_eq!(missing(Some(2), &step("./foo")), None);
        assert_eq!(missing(Some(13), &step("foo")), None);
        assert_eq!(missing(Some(2), "open rootfs /x: ENOENT"), None);
    }
}
