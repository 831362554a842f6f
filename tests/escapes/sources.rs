//! What is bound is what was looked at (class 3).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use libcontainer::Factory;

use crate::races::swapping;
use crate::{Attack, bind, sh, with_mounts};

/// A directory that somebody shares, and what takes its place: a link to what is not shared, another directory, a file.
struct Shared {
    attack: Attack,
    mine: PathBuf,
    others: [PathBuf; 3],
}

impl Shared {
    fn new(name: &str) -> Option<Self> {
        let mut attack = Attack::new(name)?;
        let volume = attack.place.join("volume");
        let mine = volume.join("mine");
        fs::create_dir_all(&mine).unwrap();
        fs::write(mine.join("f"), "mine").unwrap();
        fs::write(attack.canary.join("ptmx"), "alive").unwrap();
        let others = ["link", "dir", "file"].map(|name| volume.join(name));
        symlink(&attack.canary, &others[0]).unwrap();
        fs::create_dir(&others[1]).unwrap();
        fs::write(&others[2], "").unwrap();
        attack.config.mount_config = with_mounts(vec![bind(&mine, "/shared")]);
        Some(Self { attack, mine, others })
    }

    /// It says which source.
    fn differs(&self, error: &str) -> bool {
        error.contains(&format!("see that {} is still what it was", self.mine.display()))
    }
}

/// flatpak CVE-2024-42472: the source is replaced after the config was looked at. Nothing of the other thing is ever seen inside, and nothing stays.
#[test]
fn a_source_that_was_replaced_is_not_bound() {
    for (number, options) in [&[][..], &["src-nofollow"], &["idmap"]].iter().enumerate() {
        for other in 0..3 {
            let Some(mut shared) = Shared::new(&format!("replaced-{number}-{other}")) else { return };
            let mount = &mut shared.attack.mounts().mounts[0];
            mount.options = options.iter().map(|option| (*option).to_owned()).collect();
            if options.contains(&"idmap") {
                let map = libcontainer::mount::IdMapping { container_id: 0, host_id: 0, size: 65_536 };
                (mount.uid_mappings, mount.gid_mappings) = (vec![map], vec![map]);
            }
            assert_eq!(shared.attack.run("cat /shared/f").unwrap(), "mine");
            let pair = (shared.mine.clone(), shared.others[other].clone());
            let (there, once) = (pair.clone(), AtomicUsize::new(0));
            let factory = Factory::new().unwrap().observe(move |_| {
                if once.fetch_add(1, Ordering::Relaxed) == 0 {
                    crate::races::exchange(&there.0, &there.1);
                }
            });
            let dir = shared.attack.place.join("c");
            let error = factory.run(&dir, &shared.attack.config, sh("cat /shared/*")).unwrap_err();
            assert!(shared.differs(&error.to_string()), "{options:?} {other}: {error}");
            assert!(!dir.exists());
            shared.attack.unharmed();
        }
    }
}

/// A template has looked when it was made, not when its first container is, nor when the first with a terminal is.
#[test]
fn a_template_takes_nothing_that_came_after_it() {
    let Some(shared) = Shared::new("before-first") else { return };
    let dir = shared.attack.place.join("all");
    fs::create_dir(&dir).unwrap();
    for other in &shared.others {
        let template = Factory::new().unwrap().template(&dir, &shared.attack.config).unwrap();
        for terminal in [false, true] {
            let process = || libcontainer::ProcessConfig { terminal, ..sh("cat /shared/f") };
            crate::races::exchange(&shared.mine, other);
            let error = template.start(process()).unwrap_err();
            assert!(shared.differs(&error.to_string()), "{} {terminal}: {error}", other.display());
            crate::races::exchange(&shared.mine, other);
            let (container, mut first) = template.start(process()).unwrap();
            if !terminal {
                assert_eq!(first.wait().unwrap().code(), Some(0));
            }
            container.destroy().unwrap();
        }
        assert!(template.settle(std::time::Duration::from_secs(60)));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    }
    shared.attack.unharmed();
}

/// The same as a race, thousands of times: a template has looked once.
#[test]
fn swapped_sources_are_never_bound() {
    let Some(shared) = Shared::new("source-race") else { return };
    let dir = shared.attack.place.join("all");
    fs::create_dir(&dir).unwrap();
    let template = Factory::new().unwrap().template(&dir, &shared.attack.config).unwrap();
    let (started, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Each twice: it is back in its place after two.
    let pairs: Vec<_> = shared
        .others
        .iter()
        .flat_map(|other| [other, other])
        .map(|other| (shared.mine.clone(), other.clone()))
        .collect();
    swapping(&pairs, &|| match template.start(sh("cat /shared/f").piped()) {
        Ok((container, process)) => {
            assert_eq!(libcontainer_tests::text(&process.output(1 << 16).unwrap()), "mine");
            container.destroy().unwrap();
            started.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => {
            assert!(shared.differs(&error.to_string()), "{error}");
            refused.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (started, refused) = (started.into_inner(), refused.into_inner());
    assert!(started > 0 && refused > 0, "{started} started, {refused} refused");
    shared.attack.unharmed();
}
