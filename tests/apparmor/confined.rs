//! A runtime that is under a profile itself.

use std::fs;

use libcontainer::security::apparmor::current;
use libcontainer::{Config, ErrorKind, Factory};
use libcontainer_tests::{World, text};

use super::{Ground, OWN, Profile, shell};

/// Runs something in a thread under that profile.
fn under<T: Send>(profile: &str, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let confined = || {
            fs::write("/proc/thread-self/attr/apparmor/current", format!("changeprofile {profile}")).unwrap();
            assert_eq!(current().unwrap().to_string(), format!("{profile} (enforce)"));
            work()
        };
        scope.spawn(confined).join().unwrap()
    })
}

fn run(ground: &Ground, config: &Config) -> libcontainer::Result<String> {
    let (container, process) = Factory::new()?.run(ground.place.join("c"), config, shell(OWN))?;
    let output = text(&process.output(4096)?);
    container.destroy()?;
    Ok(output)
}

#[test]
fn a_profile_is_stacked_or_takes_the_place_of_the_callers() {
    let Some(ground) = Ground::new("a_profile_is_stacked_or_takes_the_place_of_the_callers") else { return };
    let _inner = Profile::of("lct-inner", "");
    let _free = Profile::of("lct-outer", "change_profile,");
    let run = |profile: &str, no_new_privileges| {
        let config = Config { no_new_privileges, ..ground.config(profile) };
        under("lct-outer", || run(&ground, &config).unwrap())
    };
    assert_eq!(run("lct-inner", false), "lct-inner (enforce)\n");
    assert_eq!(run("unconfined", false), "unconfined\n");
    assert_eq!(run("", false), "lct-outer (enforce)\n", "as its starter");
    assert_eq!(run("&lct-inner", false), "lct-inner//&lct-outer (enforce)\n");
    // With no_new_privs it can only be added.
    assert_eq!(run("lct-inner", true), "lct-inner//&lct-outer (enforce)\n");
    assert_eq!(run("&lct-inner", true), "lct-inner//&lct-outer (enforce)\n");
    // Nobody is left by who is under none.
    for no_new_privileges in [false, true] {
        let config = Config { no_new_privileges, ..ground.config("&lct-inner") };
        let label = super::confined::run(&ground, &config).unwrap();
        assert!(label.starts_with("lct-inner") && label.ends_with(" (enforce)\n"), "{label}");
    }
}

#[test]
fn a_runtime_whose_profile_does_not_let_it_is_told_before_anything() {
    let Some(ground) = Ground::new("a_runtime_whose_profile_does_not_let_it_is_told_before_anything") else {
        return;
    };
    let _inner = Profile::of("lct-inside", "");
    std::mem::forget(Profile::of("lct-tight", ""));
    let before = World::look(ground.place.path());
    let error = under("lct-tight", || run(&ground, &ground.config("lct-inside")).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("confined by lct-tight (enforce) and may not change to it (a rule for that: change_profile -> lct-inside)"),
        "{text}"
    );
    // Whether it may be stacked only the write itself tells.
    let error = under("lct-tight", || run(&ground, &ground.config("&lct-inside")).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!(World::look(ground.place.path()).more_than(&before), None);
    let _rule = Profile::of("lct-tight", "change_profile -> &lct-inside,");
    let stacked = under("lct-tight", || run(&ground, &ground.config("&lct-inside")).unwrap());
    assert_eq!(stacked, "lct-inside//&lct-tight (enforce)\n");
}
