//! State on disk (class 8), and whose it is.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use libcontainer::{Factory, ProcessConfig, RunState};
use libcontainer_tests::operator::Operator;

use crate::Attack;

/// containerd CVE-2021-41103, moby CVE-2021-41091: nobody but root comes to what belongs to a container.
#[test]
fn state_is_closed_to_others() {
    let Some(attack) = Attack::new("modes") else { return };
    let process = ProcessConfig::new(["sleep", "100"]);
    let (container, _process) =
        Factory::new().unwrap().create_with(attack.place.join("c"), &attack.config, process).unwrap();
    check_modes(&attack.place.join("c"));
    container.destroy().unwrap();
    let Some(operator) = Operator::new("modes-nsinit") else { return };
    operator.check(&["run", "--detach", "web"], 0, "");
    check_modes(&operator.place.join("state"));
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// Directories 0700, all else 0600 or less, of root.
fn check_modes(path: &Path) {
    let data = fs::symlink_metadata(path).unwrap();
    assert!(data.mode() & 0o077 == 0 && data.uid() == 0, "{}: {:o}", path.display(), data.mode());
    if data.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| check_modes(&entry.unwrap().path()));
    }
}

/// LXC CVE-2015-1331, bubblewrap CVE-2019-12439: every name that a start is going to use is there already, as a link, a file, or a
/// directory with things in it.
#[test]
fn names_that_are_there_already_are_not_used() {
    let Some(attack) = Attack::new("predicted") else { return };
    let canary = attack.canary.join("ptmx");
    let path = attack.place.join("c");
    let fails = |what: &str| {
        assert!(Factory::new().unwrap().create(&path, &attack.config).is_err(), "{what}");
        attack.unharmed();
    };
    symlink(&attack.canary, &path).unwrap();
    fails("a link to a directory");
    fs::remove_file(&path).unwrap();
    symlink("nowhere", &path).unwrap();
    fails("a link that leads nowhere");
    assert!(!attack.place.join("nowhere").exists());
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    fails("a file");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    for name in ["state.json", "ending.json", "state.json.new", "ending.json.new", "lock"] {
        symlink(&canary, path.join(name)).unwrap();
    }
    fails("a directory with links");
    // Nothing of it counts as a container, and it is not removed.
    assert!(Factory::new().unwrap().load(&path).is_err());
    let _ = Factory::new().unwrap().destroy(&path);
    attack.unharmed();
}

/// snap-confine CVE-2021-44730, CVE-2021-44731, CVE-2022-3328: a directory of state that somebody else has made, or may change.
#[test]
fn directories_of_others_are_refused() {
    let Some(operator) = Operator::new("foreign-state") else { return };
    let state = operator.place.join("state");
    let begins = |what: &str| {
        let found = operator.run(&["create", "web", "true"]);
        assert_eq!(found.status.code(), Some(1), "{what}: {found:?}");
        assert!(!state.join("web").exists(), "{what}");
        String::from_utf8_lossy(&found.stderr).into_owned()
    };
    let make = |mode: u32, owner: u32| {
        let _ = fs::remove_file(&state);
        let _ = fs::remove_dir_all(&state);
        fs::create_dir(&state).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&state, Some(owner), Some(owner)).unwrap();
    };
    for (mode, owner) in [(0o700, 4321), (0o777, 0), (0o1777, 0), (0o770, 0), (0o1777, 4321)] {
        make(mode, owner);
        let said = begins(&format!("{mode:o} of {owner}"));
        assert!(said.contains("state"), "{said}");
    }
    // A link that another user has made.
    make(0o700, 0);
    let real = operator.place.join("real");
    fs::rename(&state, &real).unwrap();
    symlink(&real, &state).unwrap();
    std::os::unix::fs::lchown(&state, Some(4321), Some(4321)).unwrap();
    begins("a link");
    assert_eq!(fs::read_dir(&real).unwrap().count(), 0);
}

/// A record of root's with a second name, in a directory of somebody else's: it is no record of that directory.
#[test]
fn a_record_by_another_name_is_not_believed() {
    let Some(attack) = Attack::new("hard-link") else { return };
    let container = attack.create();
    for (owner, name) in [(0, "other/d"), (4321, "evil/c")] {
        let other = attack.place.join(name);
        fs::create_dir_all(&other).unwrap();
        for name in ["state.json", "ending.json"] {
            fs::hard_link(attack.place.join("c").join(name), other.join(name)).unwrap();
        }
        std::os::unix::fs::chown(&other, Some(owner), Some(owner)).unwrap();
        let factory = Factory::new().unwrap();
        assert!(factory.load(&other).is_err(), "{name}");
        let _ = factory.destroy(&other);
        assert_eq!(container.run_state().unwrap(), RunState::Running, "{name}");
        let _ = fs::remove_dir_all(other);
    }
    container.destroy().unwrap();
}
