//! `nsinit`, as an operator uses it: as root and as an ordinary user.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use libcontainer_tests::{Place, able, config, copy_program, skip};

/// The program beside the tests' own directory; `cargo xtask test` builds it first.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("nsinit")
}

/// Output goes to files: a created container keeps what it was given open.
fn nsinit(place: &Place, args: &[&str]) -> Output {
    let (out, err) = (place.join("out"), place.join("err"));
    let file = |path: &PathBuf| std::fs::File::create(path).unwrap();
    let mut command = Command::new(program());
    command
        .arg("--root")
        .arg(place.join("state"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(file(&out))
        .stderr(file(&err));
    let status = command.status().unwrap();
    Output { status, stdout: std::fs::read(out).unwrap(), stderr: std::fs::read(err).unwrap() }
}

fn check(place: &Place, args: &[&str], code: i32, out: &str, err: &str) {
    let found = nsinit(place, args);
    let (stdout, stderr) = (String::from_utf8_lossy(&found.stdout), String::from_utf8_lossy(&found.stderr));
    assert_eq!(found.status.code(), Some(code), "{args:?}: {stdout}{stderr}");
    assert!(stdout.contains(out), "{args:?}: wanted {out:?}, found {stdout}");
    assert!(stderr.contains(err), "{args:?}: wanted {err:?}, found {stderr}");
}

fn bundle(place: &Place) -> String {
    let mut config = config(&place.rootfs().unwrap());
    config.rootfs = PathBuf::new();
    config.args = vec!["sleep".into(), "100".into()];
    std::fs::write(place.join("container.json"), config.to_json().unwrap()).unwrap();
    place.path().display().to_string()
}

#[test]
fn a_life_by_commands() {
    if !able("a_life_by_commands") || !program().exists() {
        return;
    }
    let place = Place::new("commands");
    let bundle = bundle(&place);
    check(&place, &["create", "--bundle", &bundle, "web"], 0, "", "");
    check(&place, &["create", "--bundle", &bundle, "web"], 1, "", "already exists");
    check(&place, &["state", "web"], 0, "\"status\": \"created\"", "");
    check(&place, &["start", "web"], 0, "", "");
    check(&place, &["start", "web"], 1, "", "the container is running, not created");
    check(&place, &["list"], 0, "running", "");
    check(&place, &["list", "--format", "json"], 0, "\"id\":\"web\"", "");
    check(
        &place,
        &["exec", "web", "sh", "-c", "hostname 2>/dev/null || cat /proc/sys/kernel/hostname; exit 7"],
        7,
        "inside",
        "",
    );
    check(&place, &["exec", "web", "nope"], 127, "", "ENOENT");
    check(&place, &["exec", "none", "true"], 1, "", "does not exist");
    check(&place, &["exec", "--user", "u", "web", "id", "-u"], 0, "1000", "");
    check(&place, &["delete", "web"], 1, "", "kill it first");
    check(&place, &["kill", "web", "BOGUS"], 2, "", "unknown signal");
    check(&place, &["kill", "web", "KILL"], 0, "", "");
    for _ in 0..500 {
        if String::from_utf8_lossy(&nsinit(&place, &["state", "web"]).stdout).contains("stopped") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    check(&place, &["kill", "web"], 1, "", "container not running");
    check(&place, &["delete", "web"], 0, "", "");
    check(&place, &["delete", "--force", "web"], 0, "", "");
    check(&place, &["state", "web"], 1, "", "does not exist");
    check(
        &place,
        &["run", "--bundle", &bundle, "x", "sh", "-c", "echo hi; sh -c 'kill -9 $$'; exit $?"],
        137,
        "hi",
        "",
    );
    check(&place, &["run", "--bundle", &bundle, "../x", "true"], 2, "", "container name");
    check(&place, &["run", "--bundle", "/no/such", "x", "true"], 1, "", "/no/such");
    check(&place, &["config", &bundle], 0, "\"hostname\": \"inside\"", "");
    check(&place, &["explain", &bundle], 0, "make the rootfs the root", "");
    check(&place, &["check"], 0, "kernel", "");
    check(&place, &["bogus"], 2, "", "unrecognized");
}

/// What a user of bash is offered behind `nsinit`, by the script as it is sourced.
#[test]
fn bash_completes_all_commands() {
    if !program().exists() {
        return skip("bash_completes_all_commands", "nsinit is not built: cargo build -p nsinit");
    }
    let script = ". <(\"$0\" completion bash); COMP_WORDS=(nsinit ''); COMP_CWORD=1; _nsinit nsinit '' nsinit; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let offered = match Command::new("bash").args(["--norc", "-c", script]).arg(program()).output() {
        Ok(output) => String::from_utf8(output.stdout).unwrap(),
        Err(error) => return skip("bash_completes_all_commands", &format!("bash: {error}")),
    };
    let help = String::from_utf8(Command::new(program()).arg("--help").output().unwrap().stdout).unwrap();
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<_> =
        commands.filter_map(|line| line.trim_start().split_once("  ")).map(|(name, _)| name).collect();
    assert!(names.contains(&"run") && names.contains(&"completion"), "{help}");
    for name in names {
        assert!(offered.lines().any(|line| line == name), "{name}: {offered}");
    }
    assert!(!offered.contains("inside"), "{offered}");
}

#[test]
fn trying_as_root() {
    if !able("trying_as_root") || !program().exists() {
        return;
    }
    let place = Place::new("try");
    check(&place, &["try"], 0, "its own", "");
    check(&place, &["try", "--", "sh", "-c", "id -u; ps ax | wc -l; exit 5"], 5, "0\n", "");
    check(&place, &["try", "--", "no-such-program"], 127, "", "ENOENT");
    check(&place, &["try", "--", "/etc/passwd"], 126, "", "EACCES");
    check(&place, &["try", "--", "sh", "-c", "sh -c 'kill -TERM $$'; exit $?"], 143, "", "");
    check(&place, &["try", "--", "touch", "/usr/x"], 1, "", "Read-only");
    check(&place, &["try", "--writable", "--", "sh", "-c", "touch /usr/x && ls /usr/x"], 0, "/usr/x", "");
    let svg = place.join("start.svg");
    check(&place, &["try", "--timeline", svg.to_str().unwrap(), "--", "true"], 0, "", "");
    assert!(std::fs::read_to_string(svg).unwrap().contains("make the rootfs the root"));
    assert_eq!(std::fs::read_dir(place.join("state")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn trying_as_an_ordinary_user() {
    if !able("trying_as_an_ordinary_user") || !program().exists() {
        return;
    }
    let place = Place::new("rootless");
    // Everyone can reach the program and the state there.
    copy_program(&program(), &place.join("nsinit")).unwrap();
    std::os::unix::fs::chown(place.path(), Some(4321), Some(4321)).unwrap();
    for (args, wanted) in [
        (vec!["try"], "its own                user ids"),
        (vec!["try", "--", "sh", "-c", "id -u; cat /proc/self/uid_map"], "4321          1"),
        (vec!["try", "--writable", "--", "sh", "-c", "touch /usr/x; ls /usr/x"], "/usr/x"),
    ] {
        let mut command = Command::new(place.join("nsinit"));
        command.arg("--root").arg(place.join("state")).args(&args).stdin(Stdio::null()).uid(4321).gid(4321);
        let found = command.output().unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&found.stdout), String::from_utf8_lossy(&found.stderr));
        if text.contains("clone3") && text.contains("EPERM") {
            return skip(
                "trying_as_an_ordinary_user",
                "this kernel keeps user namespaces from ordinary users",
            );
        }
        if text.contains("mount overlay") && text.contains("EINVAL") {
            skip("trying_as_an_ordinary_user", "this kernel has no overlay over a tmpfs for ordinary users");
            continue;
        }
        assert!(found.status.success() && text.contains(wanted), "{args:?}: {text}");
    }
    assert_eq!(std::fs::read_dir(place.join("state")).unwrap().count(), 0, "nothing is left");
}
