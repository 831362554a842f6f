//! The table of docs/exit-codes.md, command by command.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use libcontainer_tests::operator::Operator;

/// Programs that end by themselves or by a signal. Inside, the first process of a pid namespace survives its own signals, so that a child tells.
const ENDS: [(&str, i32); 8] = [
    ("exit 0", 0),
    ("exit 1", 1),
    ("exit 64", 64),
    ("exit 126", 126),
    ("exit 255", 255),
    ("sh -c 'kill -9 $$'; exit $?", 137),
    ("sh -c 'kill -TERM $$'; exit $?", 143),
    ("sh -c 'kill -63 $$'; exit $?", 191),
];

/// Programs that can't be executed.
const REFUSED: [(&str, i32, &str); 7] = [
    ("foo", 127, "exec: \"foo\": executable file not found in $PATH"),
    ("/bin/foo", 127, "ENOENT: No such file or directory"),
    ("/etc/passwd/foo", 127, "ENOTDIR: Not a directory"),
    ("/etc/passwd", 126, "EACCES: Permission denied"),
    ("/etc", 126, "EACCES: Permission denied"),
    ("/etc/text", 126, "ENOEXEC: Exec format error"),
    // In the first directory of PATH, and in no other.
    ("shut", 126, "execve(\"/shut/shut\", [\"shut\"], {2 variables}): EACCES: Permission denied"),
];

fn operator(name: &str) -> Option<Operator> {
    let operator = Operator::new(name)?;
    let text = operator.config.rootfs.join("etc/text");
    fs::write(&text, "neither a script nor a program\n").unwrap();
    fs::set_permissions(text, fs::Permissions::from_mode(0o755)).unwrap();
    Some(operator)
}

#[test]
fn a_programs_own_code_or_128_and_its_signal() {
    let Some(operator) = operator("own-codes") else { return };
    operator.check(&["run", "-d", "web"], 0, "");
    for (script, code) in ENDS {
        operator.check(&["run", "x", "sh", "-c", script], code, "");
        operator.check(&["exec", "web", "sh", "-c", script], code, "");
        operator.check(&["try", "--", "sh", "-c", script], code, "");
    }
    for (script, code) in [("kill -9 $$", 137), ("kill -INT $$", 130), ("kill -63 $$", 191)] {
        operator.check(&["exec", "web", "sh", "-c", script], code, "");
    }
    operator.check(&["delete", "--force", "web"], 0, "");
}

#[test]
fn a_program_that_cant_be_executed() {
    let Some(mut operator) = operator("refused") else { return };
    let shut = operator.config.rootfs.join("shut");
    fs::create_dir(&shut).unwrap();
    fs::write(shut.join("shut"), "not executable\n").unwrap();
    operator.config.environment = vec!["PATH=/shut:/bin:/none".to_owned()];
    operator.write();
    operator.check(&["run", "-d", "web"], 0, "");
    for (program, code, text) in REFUSED {
        operator.check(&["run", "x", program], code, text);
        operator.check(&["run", "-d", "x", program], code, text);
        operator.check(&["exec", "web", program], code, text);
        operator.check(&["exec", "-d", "web", program], code, text);
        refused_later(&operator, program, code, text);
    }
    for (program, code, text) in [REFUSED[0], REFUSED[1], REFUSED[2], REFUSED[3], REFUSED[4]] {
        operator.check(&["try", "--", program], code, text);
    }
    // What fails before the program is our own error.
    operator.check(&["exec", "--cwd", "/no/dir", "web", "true"], 1, "/no/dir");
    operator.check(&["exec", "--user", "nobody-here", "web", "true"], 1, "nobody-here");
    operator.check(&["delete", "--force", "web"], 0, "");
    assert_eq!(fs::read_dir(operator.place.join("state")).unwrap().count(), 0, "nothing is left");
}

/// Its creation says so already, and leaves nothing, but for what only execve(2) finds out.
fn refused_later(operator: &Operator, program: &str, code: i32, text: &str) {
    if text.starts_with("ENOEXEC") {
        operator.check(&["create", "y", program], 0, "");
        operator.check(&["start", "y"], code, text);
        operator.check(&["delete", "--force", "y"], 0, "");
        return;
    }
    let text = if text.starts_with("execve") { "(looked for at /shut/shut, " } else { text };
    operator.check(&["create", "y", program], code, text);
    operator.check(&["state", "y"], 1, "does not exist");
}

/// Every command that takes a name: 1 if there is no such container, 2 if it is no name.
#[test]
fn commands_on_a_container_that_is_not_there() {
    let Some(operator) = operator("not-there") else { return };
    let commands: [(&str, &[&str]); 11] = [
        ("start", &[]),
        ("exec", &["true"]),
        ("state", &[]),
        ("kill", &[]),
        ("pause", &[]),
        ("resume", &[]),
        ("stats", &[]),
        ("ps", &[]),
        ("net", &[]),
        ("events", &[]),
        ("delete", &[]),
    ];
    for (command, more) in commands {
        let args = |id| [&[command, id][..], more].concat();
        operator.check(&args("none"), 1, "container \"none\" does not exist");
        operator.check(&args("a/b"), 2, "container name \"a/b\"");
    }
    operator.check(&["update", "--memory", "1g", "none"], 1, "container \"none\" does not exist");
    operator.check(&["update", "--memory", "1g", "a/b"], 2, "container name");
    operator.check(&["create", "a/b"], 2, "container name");
    operator.check(&["run", "a/b"], 2, "container name");
    operator.check(&["delete", "--force", "none"], 0, "");
}

#[test]
fn a_wrong_command_line_is_2_and_an_answer_is_0() {
    let Some(operator) = operator("usage") else { return };
    for args in [
        &[][..],
        &["bogus"],
        &["run"],
        &["run", "--bogus", "x"],
        &["exec", "web"],
        &["list", "--format", "yaml"],
        &["update", "--memory", "3q", "web"],
        &["stats"],
        &["kill", "web", "BOGUS"],
        &["kill", "web", "99"],
    ] {
        operator.check(args, 2, "");
    }
    operator.check(&["--help"], 0, "Exit codes");
    operator.check(&["--version"], 0, "nsinit ");
    operator.check(&["run", "--help"], 0, "--bundle");
    operator.check(&["list"], 0, "ID");
    operator.check(&["config"], 0, "\"hostname\"");
    operator.check(&["explain"], 0, "execve");
}

/// With too few descriptors: whichever call fails first, its error says which limit to raise.
#[test]
fn want_of_descriptors_is_told_with_its_limit() {
    let Some(operator) = operator("few-descriptors") else { return };
    let mut told = 0;
    for limit in 3..20 {
        for args in [&["run", "x", "true"][..], &["list"], &["check"]] {
            let command = operator.command(args);
            let mut limited = std::process::Command::new("sh");
            let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
            limited.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
            let output = limited.current_dir(operator.place.path()).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let wants = text.contains("EMFILE") || text.contains("Too many open files");
            assert_eq!(
                wants,
                text.contains(&format!("RLIMIT_NOFILE, now {limit}")),
                "{limit} {args:?}: {text}"
            );
            told += usize::from(wants);
        }
        operator.check(&["delete", "--force", "x"], 0, "");
    }
    assert!(told > 10, "{told}");
}

/// With too little room on the stack, which an overflow would tell by an abort, halfway.
#[test]
fn want_of_stack_is_told_before_anything_is_made() {
    let Some(operator) = operator("small-stack") else { return };
    for limit in [64, 100, 127, 8192] {
        for args in [&["run", "x", "true"][..], &["--version"], &["delete", "--force", "x"]] {
            let command = operator.command(args);
            let mut limited = std::process::Command::new("sh");
            let script = format!("ulimit -S -s {limit} && exec \"$0\" \"$@\"");
            limited.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
            let output = limited.current_dir(operator.place.path()).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            if limit < 128 {
                assert_eq!(output.status.code(), Some(1), "{limit} {args:?}: {text}");
                let said = format!("(ulimit -s, RLIMIT_STACK) is {limit} KiB");
                assert!(text.contains(&said) && text.contains("ulimit -s 8192"), "{limit}: {text}");
            } else {
                assert!(output.status.success(), "{limit} {args:?}: {text}");
            }
        }
    }
}
