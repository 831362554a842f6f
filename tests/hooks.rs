//! Hooks: when, where and with what they run, and what follows when one fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

#[path = "hooks/failing.rs"]
mod failing;
#[path = "hooks/running.rs"]
mod running;
#[path = "hooks/sources.rs"]
mod sources;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use libcontainer::{Config, Factory, Hook, Hooks};
use libcontainer_tests::{Place, config};

/// A shell script as a hook of the host's, or of the container's: both have that shell.
fn sh(script: &str) -> Hook {
    Hook {
        path: "/bin/sh".into(),
        args: vec!["sh".into(), "-c".into(), script.into()],
        env: vec!["PATH=/usr/sbin:/usr/bin:/sbin:/bin".into()],
        timeout: Some(20),
        ..Hook::default()
    }
}

/// All six, each with the same script; `@` stands for its name.
fn all(script: &str) -> Hooks {
    let one = |name: &str| vec![sh(&script.replace('@', name))];
    Hooks {
        prestart: one("prestart"),
        create_runtime: one("createRuntime"),
        create_container: one("createContainer"),
        start_container: one("startContainer"),
        poststart: one("poststart"),
        poststop: one("poststop"),
    }
}

/// The list of that name.
fn list<'a>(hooks: &'a mut Hooks, name: &str) -> &'a mut Vec<Hook> {
    match name {
        "prestart" => &mut hooks.prestart,
        "createRuntime" => &mut hooks.create_runtime,
        "createContainer" => &mut hooks.create_container,
        "startContainer" => &mut hooks.start_container,
        "poststart" => &mut hooks.poststart,
        "poststop" => &mut hooks.poststop,
        other => panic!("{other}"),
    }
}

const NAMES: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A config with a directory of the host's at `/log`, which hooks outside have by the same path as its source.
fn logging(place: &Place) -> (Config, PathBuf) {
    let log = place.join("log");
    std::fs::create_dir_all(&log).unwrap();
    // Hooks and programs may be other users.
    std::fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut config = config(&place.rootfs().unwrap());
    let mounts = serde_json::json!({"mounts": [{"type": "bind", "source": log, "destination": log, "writable": true}]});
    config.mount_config = Some(serde_json::from_value(mounts).unwrap());
    (config, log)
}

/// A factory, and the warnings that it tells.
fn telling() -> (Factory, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    let factory = Factory::new().unwrap().warnings(move |error| told.lock().unwrap().push(error.to_string()));
    (factory, heard)
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
