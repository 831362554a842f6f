//! A state directory on a disk that is full.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libcontainer::{Config, Container, ErrorKind, Factory, Process, ProcessConfig, Result, RunState};
use libcontainer_tests::{Place, World, able, config, text};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount, umount};

/// A directory of so many pages.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn new(place: &Place, pages: usize) -> Self {
        let path = place.join("small");
        fs::create_dir_all(&path).unwrap();
        let size = format!("mode=700,size={}k", pages * 4);
        mount(Some("small"), &path, Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).unwrap();
        Self { path }
    }

    fn web(&self) -> PathBuf {
        self.path.join("web")
    }

    fn fill(&self) {
        let mut file = File::create(self.path.join("fill")).unwrap();
        while file.write_all(&[7; 4096]).is_ok() {}
    }

    fn clear(&self) {
        fs::remove_file(self.path.join("fill")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut gone = umount(&self.path);
        // RACE: a child of the other test has copies of descriptors until it executes something.
        for _ in 0..200 {
            if gone != Err(Errno::EBUSY) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            gone = umount(&self.path);
        }
        assert!(gone.is_ok() || std::thread::panicking(), "{gone:?}");
    }
}

fn grouped(place: &Place) -> Config {
    Config { cgroups: Some(place.cgroup()), ..config(&place.rootfs().unwrap()) }
}

fn create(path: &Path, config: &Config) -> Result<(Container, Process)> {
    Factory::new().unwrap().create_with(path, config, ProcessConfig::new(["echo", "ran"]).piped())
}

#[test]
fn a_create_without_room_names_the_file() {
    if !able("a_create_without_room_names_the_file") {
        return;
    }
    let place = Place::new("full-create");
    let config = grouped(&place);
    let mut named = Vec::new();
    for pages in 1..40 {
        let disk = Disk::new(&place, pages);
        match create(&disk.web(), &config) {
            Ok((container, process)) => {
                container.run().unwrap();
                assert_eq!(text(&process.output(100).unwrap()), "ran\n");
                container.destroy().unwrap();
                assert_eq!(named, ["state.json", "board", "state.json"]);
                return;
            }
            Err(error) => {
                assert_eq!(error.errno(), Some(libc::ENOSPC), "{pages} pages: {error}");
                let told = error.to_string();
                assert!(!told.contains("namespaces as may be"), "{pages} pages: {told}");
                let name = ["state.json", "ending.json", "board"]
                    .into_iter()
                    .find(|name| told.contains(&format!("/web/{name}: ENOSPC")));
                named.push(name.unwrap_or_else(|| panic!("{pages} pages: {told}")));
                named.dedup();
                assert!(!disk.web().exists(), "{pages} pages");
            }
        }
        drop(disk);
        assert_eq!(World::look(place.path()).groups().count(), 0, "{pages} pages");
    }
    panic!("never enough");
}

#[test]
fn a_start_without_room_starts_nothing() {
    if !able("a_start_without_room_starts_nothing") {
        return;
    }
    let place = Place::new("full-start");
    let config = grouped(&place);
    let disk = Disk::new(&place, 64);
    let (container, process) = create(&disk.web(), &config).unwrap();
    disk.fill();
    for _ in 0..2 {
        let error = container.run().unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Os, Some(libc::ENOSPC)), "{error}");
        assert!(error.to_string().contains("/web/state.json: ENOSPC"), "{error}");
        assert_eq!(container.run_state().unwrap(), RunState::Created);
        assert!(process.try_wait().unwrap().is_none());
    }
    disk.clear();
    container.run().unwrap();
    assert_eq!(text(&process.output(100).unwrap()), "ran\n");
    assert_eq!(container.run_state().unwrap(), RunState::Stopped);
    container.destroy().unwrap();
}
