//! Arguments of `nsinit` that are wrong: the error names the object, the call, the errno and what helps, and nothing was made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use libcontainer::Config;
use libcontainer_tests::copy_program;
use libcontainer_tests::operator::Operator;

const USER: u32 = 4321;
const MADE_OF: &str = "a bundle is a directory with config.json or container.json";
const NAME: &str = "letters, digits and _ + - . only, not beginning with - or ., at most 255 bytes";

/// The code, and all of the words on standard error, which is one line, and two more if clap has written it.
fn check(command: &mut Command, code: i32, words: &[&str]) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let told = String::from_utf8(stderr).unwrap();
    let what = format!("{command:?}: {told}{}", String::from_utf8_lossy(&stdout));
    assert_eq!(status.code(), Some(code), "{what}");
    assert!(stdout.is_empty() && (told.starts_with("nsinit: ") || told.starts_with("error: ")), "{what}");
    for word in words {
        assert!(told.contains(word), "wanted {word:?}: {what}");
    }
    assert!(told.starts_with("error: ") || told.lines().count() == 1, "{what}");
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn bundles() {
    let Some(operator) = Operator::new("bundles") else { return };
    let (place, good) = (&operator.place, operator.config.to_json().unwrap());
    fs::create_dir(place.join("empty")).unwrap();
    fs::create_dir_all(place.join("directory/container.json")).unwrap();
    write(&place.join("no-rootfs/container.json"), &good.replace("/rootfs\"", "/no-rootfs/rootfs\""));
    write(&place.join("file/container.json"), &good.replace("/rootfs\"", "/file/container.json\""));
    write(&place.join("cut/container.json"), "{");
    write(&place.join("text/container.json"), "[]");
    let no_program = Config { args: Vec::new(), ..operator.config.clone() };
    write(&place.join("no-program/container.json"), &no_program.to_json().unwrap());
    write(&place.join("unknown/container.json"), &good.replacen('{', "{\"bogus\": 1,", 1));
    let nothing = "ENOENT: No such file or directory";
    for (bundle, words) in [
        ("/nope", &["bundle /nope", MADE_OF, "stat", nothing][..]),
        ("empty", &["/empty", MADE_OF, "stat config.json, container.json", nothing]),
        ("directory", &["/directory/container.json", "not a regular file"]),
        ("container.json", &["bundle", "/container.json: not a directory", MADE_OF]),
        ("container.json/x", &["/container.json/x", "stat", "ENOTDIR: Not a directory", MADE_OF]),
        ("no-rootfs", &["open rootfs", "/no-rootfs/rootfs", nothing]),
        ("file", &["open rootfs", "/file/container.json", "ENOTDIR: Not a directory"]),
        ("cut", &["/cut/container.json:1:", "EOF"]),
        ("text", &["/text/container.json: expected an object, found an array"]),
        ("no-program", &["no program", "args", "the config"]),
    ] {
        for command in ["run", "create"] {
            check(&mut operator.command(&[command, "--bundle", bundle, "x"]), 1, words);
        }
    }
    for command in ["config", "explain"] {
        check(&mut operator.command(&[command, "/nope"]), 1, &["bundle /nope", MADE_OF, "stat", nothing]);
        check(
            &mut operator.command(&[command, "empty"]),
            1,
            &["/empty", "stat config.json, container.json", nothing],
        );
        check(&mut operator.command(&[command, "cut"]), 1, &["/cut/container.json:1:"]);
    }
    check(&mut operator.command(&["run", "--strict", "--bundle", "unknown", "x"]), 1, &["/bogus", "unknown"]);
    assert!(
        fs::read_dir(place.join("state")).is_ok_and(|entries| entries.count() == 0)
            || !place.join("state").exists()
    );
}

#[test]
fn names() {
    let Some(operator) = Operator::new("names") else { return };
    let long = "a".repeat(256);
    for name in ["", ".", "..", "a/b", "/", "../x", "a\nb", "a b", "\u{e9}", ".a", &long] {
        let words = [&format!("container name {name:?}"), NAME];
        for args in [
            &["run", name][..],
            &["create", name],
            &["state", name],
            &["exec", name, "true"],
            &["delete", "-f", name],
        ] {
            check(&mut operator.command(args), 2, &words);
        }
    }
    check(
        &mut operator.command(&["foo", "-h"]),
        2,
        &["unrecognized subcommand 'foo'", "No help topic for 'foo'"],
    );
    check(&mut operator.command(&["run", "a/b"]), 2, &["invalid character `/` in the ID", NAME]);
    check(&mut operator.command(&["run", "--", "-a"]), 2, &["container name \"-a\"", NAME]);
    let bytes = std::ffi::OsStr::from_bytes(b"\xff");
    check(operator.command(&["state"]).arg(bytes), 2, &["UTF-8"]);
    assert!(!operator.place.join("state").exists());
    // The longest one.
    operator.check(&["run", &long[1..], "true"], 0, "");
}

#[test]
fn values() {
    let Some(operator) = Operator::new("values") else { return };
    write(&operator.place.join("words"), "no JSON");
    write(&operator.place.join("large"), &" ".repeat((1 << 20) + 1));
    let nothing = "ENOENT: No such file or directory";
    for (args, code, words) in [
        (
            &["kill", "x", "BOGUS"][..],
            2,
            &["signal \"BOGUS\"", "a name such as TERM or SIGTERM, or a number up to 64"][..],
        ),
        (&["kill", "x", "65"], 2, &["signal \"65\""]),
        (&["kill", "x", "65"], 2, &["signal \"65\""]),
        (&["update", "x"], 2, &["no limit", "nsinit update --help"]),
        (&["update", "--memory", "3q", "x"], 2, &["--memory", "\"3q\" is no size"]),
        (&["update", "-r", "/nope", "x"], 1, &["--resources /nope", nothing]),
        (&["update", "-r", ".", "x"], 1, &["--resources .", "EISDIR: Is a directory"]),
        (&["update", "-r", "words", "x"], 1, &["--resources words", "line 1, column"]),
        (&["update", "-r", "large", "x"], 1, &["--resources large", "more than 1048576 bytes"]),
        (&["run", "--pid-file", "/no/pid", "x", "true"], 1, &["--pid-file /no/pid", nothing]),
        (&["try", "--timeline", "/no/x.svg", "--", "true"], 1, &["--timeline /no/x.svg", nothing]),
        (&["run", "--bundle=", "x"], 2, &["--bundle <DIR>"]),
    ] {
        check(&mut operator.command(args), code, words);
    }
    assert!(!operator.place.join("state").exists(), "nothing was made");
}

/// Places that belong to others, and what only root can do.
#[test]
fn without_rights() {
    let Some(operator) = Operator::new("rights") else { return };
    let place = &operator.place;
    copy_program(&operator.program, &place.join("nsinit")).unwrap();
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(place.path(), 0o755);
    let own = place.join("own");
    fs::create_dir(&own).unwrap();
    chown(&own, Some(USER), Some(USER)).unwrap();
    let other = place.join("other");
    fs::create_dir(&other).unwrap();
    mode(&other, 0o700);
    let open = place.join("open");
    fs::create_dir(&open).unwrap();
    mode(&open, 0o777);
    let user = |root: &Path, args: &[&str]| {
        let mut command = Command::new(place.join("nsinit"));
        command.arg("--root").arg(root).args(args).current_dir(place.path()).uid(USER).gid(USER);
        command
    };
    let run = ["run", "x", "true"];
    let refused = "EACCES: Permission denied";
    check(&mut user(&own, &run), 1, &["/namespaces", "user 4321", "NEWUSER", "or run as root"]);
    for root in [&other, &open] {
        let words =
            ["state directory", "--root names another", "it belongs to user 0, and the caller is 4321"];
        check(&mut user(root, &["try", "--", "true"]), 1, &words);
    }
    check(
        &mut user(&place.join("new"), &["try", "--", "true"]),
        1,
        &["state directory", "/new", "--root names another", "mkdir", refused],
    );
    check(&mut user(&other, &["list"]), 1, &["state directory", "/other", "read", refused]);
    check(&mut user(&other, &["state", "x"]), 1, &["/other/x", refused]);
    check(
        &mut user(&place.join("container.json"), &["state", "x"]),
        1,
        &["/container.json/x", "ENOTDIR: Not a directory"],
    );
    check(
        &mut user(&place.join("container.json"), &["list"]),
        1,
        &["/container.json", "ENOTDIR: Not a directory"],
    );
    mode(&place.join("container.json"), 0o600);
    check(&mut user(&own, &run), 1, &["/container.json", refused]);
    check(&mut user(&own, &["config"]), 1, &["/container.json", refused]);
    check(
        &mut user(&own, &["run", "--bundle", "other", "x"]),
        1,
        &["bundle", "/other", MADE_OF, "stat config.json", refused],
    );
    assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
}
