//! `nsinit seccomp`: profiles are checked, explained and compared without a container.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::path::Path;
use std::process::Command;

use libcontainer_tests::Place;

/// Standard output, standard error, exit code.
fn run(args: &[&str]) -> (String, String, Option<i32>) {
    let own = std::env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("nsinit");
    let output = Command::new(program).arg("seccomp").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn write(place: &Place, name: &str, text: &str) -> String {
    let path = place.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const X86_64: &str = "SCMP_ARCH_X86_64";
const NO_REBOOT: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["reboot"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}"#;

#[test]
fn every_form_of_profile_is_checked() {
    let place = Place::new("seccomp-check");
    let docker = r#"{"defaultAction":"SCMP_ACT_ERRNO","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
        "syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"},{"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}}]}"#;
    let forms = [
        "default".to_owned(),
        write(&place, "oci.json", NO_REBOOT),
        write(&place, "docker.json", docker),
        write(&place, "container.json", &format!(r#"{{"rootfs":"/x","seccomp":{NO_REBOOT}}}"#)),
        write(&place, "config.json", &format!(r#"{{"linux":{{"seccomp":{NO_REBOOT}}}}}"#)),
        write(&place, "word.json", r#"{"seccomp":"unconfined"}"#),
    ];
    let mut args = vec!["check", "--arch", X86_64];
    args.extend(forms.iter().map(String::as_str));
    let (told, errors, code) = run(&args);
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    assert_eq!(
        told.lines().filter(|line| line.contains("instructions; of them")).count(),
        forms.len(),
        "{told}"
    );
    let (caps, _, _) = run(&["explain", "--arch", X86_64, "--caps", "SYS_ADMIN", &forms[2]]);
    assert!(caps.contains("is allowed (2): mount read"), "{caps}");
}

#[test]
fn what_is_wrong_is_said_of_each_file() {
    let place = Place::new("seccomp-wrong");
    let fifo = place.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let arg = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#;
    let cases = [
        (write(&place, "empty", ""), "EOF"),
        (write(&place, "action", r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#), "SCMP_ACT_MAYBE"),
        (write(&place, "index", arg), "seccomp/syscalls/0/args/0/index"),
        (place.join("missing").to_str().unwrap().to_owned(), "ENOENT"),
        (fifo.to_str().unwrap().to_owned(), "not a regular file"),
        (place.path().to_str().unwrap().to_owned(), "not a regular file"),
    ];
    let good = write(&place, "good", NO_REBOOT);
    let mut args = vec!["check"];
    args.extend(cases.iter().map(|(file, _)| file.as_str()));
    args.push(&good);
    let (told, errors, code) = run(&args);
    assert_eq!(code, Some(1));
    assert!(told.starts_with(&good), "the good one behind them is checked: {told}");
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines.len(), cases.len(), "{errors}");
    for ((file, wanted), line) in cases.iter().zip(lines) {
        assert!(line.contains(file.as_str()) && line.contains(wanted), "{line}");
    }
    for args in
        [vec!["check"], vec!["check", "--arch", "VAX", "default"], vec!["check", "--caps", "FLY", "default"]]
    {
        assert_eq!(run(&args).2, Some(2), "{args:?}");
    }
}

#[test]
fn differences_are_told_and_make_the_exit_code() {
    let place = Place::new("seccomp-diff");
    let one = write(&place, "one", NO_REBOOT);
    let other = write(&place, "other", &NO_REBOOT.replace("\"errnoRet\":1", "\"errnoRet\":38"));
    let (same, _, code) = run(&["diff", "--arch", X86_64, &one, &one]);
    assert_eq!((same.as_str(), code), ("", Some(0)));
    let (told, _, code) = run(&["diff", "--arch", X86_64, &one, &other]);
    assert_eq!(code, Some(1));
    assert!(told.contains("reboot") && told.contains("EPERM") && told.contains("ENOSYS"), "{told}");
    assert!(Path::new(&one).exists());
}
