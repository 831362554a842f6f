//! Mistakes that users make, with `nsinit` and, where they are installed, crun and runc: what each says of them.
//!
//! `cargo xtask errors` writes docs/error-messages.md from the same runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

#[path = "mistakes/commands.rs"]
mod commands;
#[path = "mistakes/files.rs"]
mod files;
#[path = "mistakes/page.rs"]
mod page;
#[path = "mistakes/runtime.rs"]
mod runtime;
#[path = "mistakes/scene.rs"]
mod scene;
#[path = "mistakes/table.rs"]
mod table;

use libcontainer_tests::able;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use runtime::Runtime;
use scene::{Mistake, Told, tried};

fn all() -> Vec<Mistake> {
    let mut all = files::all();
    all.extend(table::all());
    all.extend(commands::all());
    all
}

/// In a thread with mounts of its own, and without the hierarchy of version 2 beside those of version 1: crun refuses the two together.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let thread = || {
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        if std::path::Path::new("/sys/fs/cgroup/unified").exists() {
            umount2("/sys/fs/cgroup/unified", MntFlags::MNT_DETACH).unwrap();
        }
        work()
    };
    std::thread::scope(|scope| scope.spawn(thread).join()).unwrap()
}

#[test]
fn each_mistake_is_told_with_its_object_cause_and_remedy() {
    const NAME: &str = "each_mistake_is_told_with_its_object_cause_and_remedy";
    let Some(ours) = Runtime::ours(NAME) else { return };
    let all = all();
    assert!(all.len() >= 60, "{}", all.len());
    let bad: Vec<_> = apart(|| {
        let wrong = |mistake: &Mistake| complaint(mistake, &tried(mistake, &ours));
        all.iter().filter_map(wrong).collect()
    });
    assert!(bad.is_empty(), "{} of {}:\n{}", bad.len(), all.len(), bad.join("\n"));
}

fn complaint(mistake: &Mistake, told: &Told) -> Option<String> {
    let missing: Vec<_> = mistake.wanted.iter().filter(|part| !told.text.contains(*part)).collect();
    let lines = told.text.lines().count();
    let missed = [126, 127].contains(&mistake.code) && page::podman(told) != mistake.code
        // What is in no known format is 125 with every runtime.
        && !told.text.contains("ENOEXEC");
    let right = !missed && told.code == Some(mistake.code) && missing.is_empty() && (1..=6).contains(&lines);
    let found = || format!("{:?} (wanted {} and {missing:?}): {}", told.code, mistake.code, told.text);
    (!right || told.left.is_some()).then(|| format!("{}: {}; left: {:?}", mistake.name, found(), told.left))
}

/// All three are tried again only to write the page: their words are their own affair.
#[test]
fn the_page_has_each_mistake() {
    let path = page::path();
    if std::env::var_os("UPDATE_ERRORS").is_some() && able("the_page_has_each_mistake") {
        let text = apart(|| page::written(&all()));
        std::fs::write(&path, text).unwrap();
    }
    let page = std::fs::read_to_string(&path).expect("written by cargo xtask errors");
    for mistake in all() {
        assert!(page.contains(&format!("| {} |", mistake.name)), "{}: cargo xtask errors", mistake.name);
    }
}
