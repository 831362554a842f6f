//! What the test machines' kernels enforce: only there is it known which security module has to be on, and what its policy says.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::fs;
use std::io;
use std::process::{Command, Output};

use libcontainer_tests::{BUSYBOX, Place, copy_program, skip};

/// The security module that a test machine was booted with; none elsewhere.
fn booted_with() -> Option<String> {
    let words = fs::read_to_string("/proc/cmdline").unwrap();
    let mut words = words.split_whitespace();
    words.clone().find(|word| word.starts_with("vm.cg="))?;
    Some(words.find_map(|word| word.strip_prefix("security=")).unwrap_or("none").to_owned())
}

fn on(name: &str, module: &str) -> bool {
    let booted = booted_with();
    let on = booted.as_deref() == Some(module);
    if !on {
        skip(name, &format!("no test machine with {module}"));
    }
    on
}

/// The text of a file without its end.
fn text(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .trim_end_matches(['\n', '\0'])
        .to_owned()
}

fn run(script: &str) -> Output {
    Command::new("/bin/sh").args(["-c", script]).output().unwrap()
}

#[test]
fn apparmor_is_on_and_its_files_are_there() {
    if !on("apparmor_is_on_and_its_files_are_there", "apparmor") {
        return;
    }
    assert_eq!(text("/sys/module/apparmor/parameters/enabled"), "Y");
    assert_eq!(text("/proc/thread-self/attr/apparmor/current"), "unconfined");
    assert!(fs::metadata("/sys/kernel/security/apparmor/.load").is_ok());
    assert!(run("/usr/sbin/apparmor_parser --version").status.success());
}

#[test]
fn selinux_enforces_the_policy_from_the_first_process_on() {
    if !on("selinux_enforces_the_policy_from_the_first_process_on", "selinux") {
        return;
    }
    assert_eq!(text("/sys/fs/selinux/enforce"), "1");
    assert_eq!(text("/proc/1/attr/current"), "system_u:system_r:kernel_t:s0-s0:c0.c1023");
    let place = Place::new("selinux_machine");
    let label = |name: &str, label: &str| {
        let path = place.join(name);
        let made =
            if name == "busybox" { copy_program(BUSYBOX.as_ref(), &path) } else { fs::write(&path, name) };
        made.unwrap();
        let output = Command::new("chcon").arg(label).arg(&path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        path.display().to_string()
    };
    let file = "system_u:object_r:container_file_t";
    let program = label("busybox", &format!("{file}:s0"));
    let (own, other) =
        (label("own", &format!("{file}:s0:c1,c2")), label("other", &format!("{file}:s0:c3,c4")));
    let hosts = label("hosts", "system_u:object_r:file_t:s0");
    let directory = Command::new("chcon").arg(format!("{file}:s0")).arg(place.path()).status().unwrap();
    assert!(directory.success());
    for (path, allowed) in [(&own, true), (&other, false), (&hosts, false)] {
        let output = run(&format!(
            "printf system_u:system_r:container_t:s0:c1,c2 >/proc/self/attr/exec && exec {program} cat {path}"
        ));
        // The way there leads through directories of the host's, which a container may not search.
        assert!(!output.status.success(), "{path}: {output:?}");
        let output = run(&format!(
            "cd {} && exec 3<. && printf system_u:system_r:container_t:s0:c1,c2 >/proc/self/attr/exec && exec {program} cat {}",
            place.path().display(),
            path.rsplit('/').next().unwrap()
        ));
        assert_eq!(output.status.success(), allowed, "{path}: {output:?}");
    }
    let no_such = fs::write("/proc/thread-self/attr/exec", "system_u:system_r:no_such_t:s0").unwrap_err();
    assert_eq!(no_such.kind(), io::ErrorKind::InvalidInput, "{no_such}");
}
