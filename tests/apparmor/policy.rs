//! Profiles listed, loaded, replaced and removed, by the library and by nsinit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libcontainer::security::apparmor::{
    Abi, AppArmorError, DefaultProfile, Loaded, ProfileName, Standing, Transition, check, load,
    load_compiled, loaded, remove, replace, replace_compiled,
};
use libcontainer_tests::skip;

use super::{alone, on};

fn name(text: &str) -> ProfileName {
    text.parse().unwrap()
}

fn mode_of(profile: &str) -> Option<String> {
    let mut all = loaded().unwrap().into_iter().filter(|one: &Loaded| one.name == profile);
    all.next().map(|one| one.mode)
}

fn is_there(profile: &str) -> bool {
    let transition: Transition = profile.parse().unwrap();
    match check(&transition) {
        Ok(()) => true,
        Err(AppArmorError::NotLoaded { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn profiles_come_and_go() {
    let _alone = alone();
    if !on("profiles_come_and_go") {
        return;
    }
    let text = "profile lct-comes flags=(complain) { file, }\n";
    assert!(!is_there("lct-comes") && mode_of("lct-comes").is_none());
    load(text).unwrap();
    assert!(is_there("lct-comes"));
    assert_eq!(mode_of("lct-comes").as_deref(), Some("complain"));
    let twice = load(text).unwrap_err().to_string();
    assert!(twice.contains("apparmor_parser: exit status: ") && twice.contains("already exists"), "{twice}");
    replace("profile lct-comes { file, }\n").unwrap();
    assert_eq!(mode_of("lct-comes").as_deref(), Some("enforce"));
    remove(&name("lct-comes")).unwrap();
    assert!(!is_there("lct-comes"));
    assert_eq!(remove(&name("lct-comes")), Err(AppArmorError::NotLoaded { name: "lct-comes".to_owned() }));
    let wrong = load("profile lct-wrong { nonsense }\n").unwrap_err().to_string();
    assert!(wrong.contains("syntax error") && !is_there("lct-wrong"), "{wrong}");
}

#[test]
fn compiled_profiles_come_by_the_kernels_own_files() {
    let _alone = alone();
    if !on("compiled_profiles_come_by_the_kernels_own_files") {
        return;
    }
    let compile = "printf 'profile lct-blob { file, }\\n' | /usr/sbin/apparmor_parser --skip-kernel-load --skip-cache --stdout";
    let output = Command::new("/bin/sh").args(["-c", compile]).output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
    load_compiled(&output.stdout).unwrap();
    assert!(is_there("lct-blob"));
    let twice = load_compiled(&output.stdout).unwrap_err();
    assert_eq!(twice.errno(), Some(libc::EEXIST), "{twice}");
    assert!(twice.to_string().contains("/sys/kernel/security/apparmor/.load: EEXIST"), "{twice}");
    replace_compiled(&output.stdout).unwrap();
    assert!(replace_compiled(b"no policy").is_err());
    remove(&name("lct-blob")).unwrap();
}

#[test]
fn the_default_profile_is_understood_for_every_abi() {
    let _alone = alone();
    if !on("the_default_profile_is_understood_for_every_abi") {
        return;
    }
    let plain = DefaultProfile::new(&name("lct-abi")).unwrap().peer("crun").unwrap();
    for profile in [plain.clone(), plain.abi(Abi::V3)] {
        replace(&profile.text()).unwrap();
        assert_eq!(mode_of("lct-abi").as_deref(), Some("enforce"), "{profile:?}");
    }
    remove(&name("lct-abi")).unwrap();
}

/// The program beside the tests' own directory; none if it is not built.
fn program(test: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().unwrap().parent()?.parent()?.join("nsinit");
    if !program.exists() {
        skip(test, "nsinit is not built: cargo build -p nsinit");
        return None;
    }
    Some(program)
}

fn run(program: &Path, args: &[&str]) -> Output {
    Command::new(program).arg("apparmor").args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn nsinit_lists_shows_loads_and_removes() {
    let _alone = alone();
    let test = "nsinit_lists_shows_loads_and_removes";
    let (true, Some(nsinit)) = (on(test), program(test)) else { return };
    let good = |args: &[&str]| {
        let output = run(&nsinit, args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        said(&output)
    };
    assert!(good(&["show", "lct-shown"]).contains("profile lct-shown flags=("));
    good(&["load", "--default", "lct-command"]);
    assert!(good(&["list"]).lines().any(|line| line.split_whitespace().eq(["lct-command", "enforce"])));
    good(&["remove", "lct-command"]);
    assert!(!good(&["list"]).contains("lct-command"));
    let output = run(&nsinit, &["remove", "lct-command"]);
    assert!(output.status.code() == Some(1) && said(&output).contains("is not loaded"), "{output:?}");
}

#[test]
fn nsinit_says_that_there_is_no_apparmor() {
    let _alone = alone();
    let test = "nsinit_says_that_there_is_no_apparmor";
    if Standing::current().unwrap() == Standing::On {
        return skip(test, "AppArmor is on");
    }
    assert!(matches!(loaded(), Err(AppArmorError::Off(_))));
    let Some(nsinit) = program(test) else { return };
    for args in [&["list"][..], &["load", "--default", "x"], &["remove", "x"]] {
        let output = run(&nsinit, args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said(&output).contains("AppArmor is not enabled on this host: "), "{output:?}");
    }
    // The text needs none.
    assert!(said(&run(&nsinit, &["show"])).contains("profile libcontainer-default flags=("));
    assert_eq!(run(&nsinit, &["show", "a b"]).status.code(), Some(1));
}
