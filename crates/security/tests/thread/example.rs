//! The example program, end to end.

use std::path::PathBuf;
use std::process::{Command, Output};

use libcontainer_security::{Ids, Status};

use super::{able, set, skip};

fn drop_caps(arguments: &[&str]) -> Option<Output> {
    let test = std::env::current_exe().unwrap();
    let program: PathBuf = test.parent()?.parent()?.join("examples/drop_caps");
    program.exists().then(|| Command::new(program).args(arguments).output().unwrap())
}

#[test]
fn drop_caps_keeps_what_is_named_and_nothing_else() {
    if !able("drop_caps_keeps_what_is_named_and_nothing_else") {
        return;
    }
    let cases: [(&[&str], &[&str], u32, bool); 3] = [
        (&[], &[], 0, false),
        (&["CHOWN,CAP_KILL"], &["CHOWN", "KILL"], 0, false),
        (&["--user", "1000:1000", "--no-new-privs", "kill"], &["KILL"], 1000, true),
    ];
    for (options, names, user, no_new_privs) in cases {
        let arguments: Vec<_> = options.iter().copied().chain(["--", "cat", "/proc/self/status"]).collect();
        let Some(output) = drop_caps(&arguments) else {
            return skip("drop_caps_keeps_what_is_named_and_nothing_else", "the example is not built");
        };
        assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
        let status = Status::parse(&output.stdout).unwrap();
        let (keep, sets) = (set(names), status.capabilities);
        assert_eq!((sets.bounding, sets.permitted, sets.effective), (keep, keep, keep), "{options:?}");
        assert_eq!((sets.inheritable, sets.ambient), (keep, keep), "{options:?}");
        assert_eq!((status.uids, status.no_new_privs), (Ids::all(user), no_new_privs), "{options:?}");
    }
    for (arguments, text) in [
        (&["CHOWN"][..], "drop_caps [--user"),
        (&["BOGUS", "--", "true"], "\"BOGUS\": unknown capability"),
        (&["--", "/nonexistent"], "/nonexistent: No such file"),
    ] {
        let output = drop_caps(arguments).unwrap();
        assert_eq!(output.status.code(), Some(125), "{arguments:?}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(text), "{arguments:?}: {error}");
    }
}
