//! The field's record of escapes, staged against this library. Targets are canaries: harmless if an attack worked.
//!
//! `docs/cve.md` says which test stands for which advisory, and `escapes/weakened.txt` how each defence is taken out to see its test fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

#[path = "escapes/binary.rs"]
mod binary;
#[path = "escapes/descriptors.rs"]
mod descriptors;
#[path = "escapes/groups.rs"]
mod groups;
#[path = "escapes/hooks.rs"]
mod hooks;
#[path = "escapes/identity.rs"]
mod identity;
#[path = "escapes/input.rs"]
mod input;
#[path = "escapes/kernel.rs"]
mod kernel;
#[path = "escapes/leftovers.rs"]
mod leftovers;
#[path = "escapes/masks.rs"]
mod masks;
#[path = "escapes/network.rs"]
mod network;
#[path = "escapes/paths.rs"]
mod paths;
#[path = "escapes/procfs.rs"]
mod procfs;
#[path = "escapes/races.rs"]
mod races;
#[path = "escapes/rootless.rs"]
mod rootless;
#[path = "escapes/sources.rs"]
mod sources;
#[path = "escapes/state.rs"]
mod state;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libcontainer::mount::{IdMapping, Mount, MountConfig};
use libcontainer::{Config, Container, Factory, Namespace, NamespaceKind, ProcessConfig, Seccomp};
use libcontainer_tests::{Place, able, config, copy_program, text};

/// A hostile image, and a canary on the host beside it.
struct Attack {
    place: Place,
    config: Config,
    canary: PathBuf,
}

impl Attack {
    /// None, and the reason is told, if no container can be made here.
    fn new(name: &str) -> Option<Self> {
        if !able(name) {
            return None;
        }
        let place = Place::new(name);
        // Each defence alone: what a filter of system calls refuses anyway would hide whether another one holds.
        let config = Config { seccomp: Seccomp::Unconfined, ..config(&place.rootfs().unwrap()) };
        let canary = place.join("canary");
        fs::create_dir(&canary).unwrap();
        fs::write(canary.join("ptmx"), "alive").unwrap();
        Some(Self { place, config, canary })
    }

    /// A path in the image.
    fn rootfs(&self, name: &str) -> PathBuf {
        self.config.rootfs.join(name)
    }

    /// Puts a link in the place of a name of the image.
    fn replace(&self, name: &str, target: &Path) {
        let path = self.rootfs(name);
        let _ = fs::remove_dir_all(&path);
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    /// Names of busybox that the usual rootfs has not.
    fn applets(&self, names: &[&str]) {
        names.iter().for_each(|name| symlink("busybox", self.rootfs("bin").join(name)).unwrap());
    }

    fn mounts(&mut self) -> &mut MountConfig {
        self.config.mount_config.get_or_insert_with(MountConfig::default)
    }

    /// Puts the program in place that makes an attacker's calls.
    fn arm(&mut self) {
        arm(&mut self.config);
    }

    /// A user namespace that maps the first ids to themselves.
    fn user_namespace(&mut self) {
        let map = vec![IdMapping { container_id: 0, host_id: 0, size: 65_536 }];
        self.config.namespaces.set(NamespaceKind::User, Namespace::New);
        (self.config.uid_mappings, self.config.gid_mappings) = (map.clone(), map);
    }

    fn create(&self) -> Container {
        Factory::new().unwrap().create(self.place.join("c"), &self.config).unwrap()
    }

    fn run(&self, script: &str) -> libcontainer::Result<String> {
        let process = ProcessConfig::new(["sh", "-c", script]).piped();
        let (container, process) =
            Factory::new().unwrap().run(self.place.join("c"), &self.config, process)?;
        let found = text(&process.output(1 << 16)?);
        container.destroy()?;
        Ok(found)
    }

    fn unharmed(&self) {
        let names: Vec<_> =
            fs::read_dir(&self.canary).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["ptmx"], "something was made outside");
        assert_eq!(fs::read_to_string(self.canary.join("ptmx")).unwrap(), "alive");
    }
}

/// Puts the program into the image that makes an attacker's calls. It may need the host's libraries.
fn arm(config: &mut Config) {
    copy_program(Path::new(env!("CARGO_BIN_EXE_inside")), &config.rootfs.join("bin/inside")).unwrap();
    let libraries = ["/lib", "/lib64", "/usr/lib"].map(Path::new);
    let binds = libraries.iter().filter(|path| path.is_dir()).map(|path| bind(path, path.to_str().unwrap()));
    config.mount_config.get_or_insert_with(MountConfig::default).mounts.extend(binds);
}

/// What one more process of the container says.
fn joined(container: &Container, process: ProcessConfig) -> String {
    text(&container.start(process.piped()).unwrap().output(1 << 20).unwrap())
}

fn sh(script: &str) -> ProcessConfig {
    ProcessConfig::new(["sh", "-c", script])
}

fn bind(source: &Path, to: &str) -> Mount {
    Mount { kind: "bind".into(), source: source.into(), destination: to.into(), ..Mount::default() }
}

fn tmpfs(to: &str) -> Mount {
    Mount { kind: "tmpfs".into(), destination: to.into(), ..Mount::default() }
}

fn with_mounts(mounts: Vec<Mount>) -> Option<MountConfig> {
    Some(MountConfig { mounts, ..MountConfig::default() })
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

/// What a program says that a caller with something to hide has started.
fn caller(attack: &Attack, what: &str, program: &[&str]) -> String {
    let config = attack.place.join("config");
    fs::write(&config, attack.config.to_json().unwrap()).unwrap();
    // One with a key in its session keyring has to get it first.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_inside"));
    command.arg("keyed").arg(env!("CARGO_BIN_EXE_caller"));
    if what != "keys" {
        command = std::process::Command::new(env!("CARGO_BIN_EXE_caller"));
    }
    command.arg(what).arg(attack.place.path()).arg(config).args(program);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    format!("{out}{err}")
}
