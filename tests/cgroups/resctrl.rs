//! Classes of resctrl. Where the processor has none, control groups of version 2 stand in: their directories bring their files too, take members by their numbers, and go by rmdir(2).

use std::fs;
use std::path::{Path, PathBuf};

use libcontainer::cgroups::Layout;
use libcontainer::plan::{Fault, Lane};
use libcontainer::{Config, ErrorKind, Factory, ProcessConfig, Resctrl, ResctrlMount};
use libcontainer_tests::{Place, able, config, skip, text};

/// A directory that stands in for a mounted resctrl, and a config.
struct Stand {
    mount: ResctrlMount,
    place: Place,
    config: Config,
}

impl Stand {
    fn new(name: &str) -> Option<Self> {
        let layout = Layout::of_this_process().unwrap();
        let Some(hierarchy) = layout.v2.as_ref().filter(|_| able(name)) else {
            skip(name, "no hierarchy of version 2 to stand in for resctrl");
            return None;
        };
        let root = hierarchy.mountpoint.join(format!("lct-rdt-{}-{name}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let [tasks, schemata, monitors] = ["cgroup.procs", "cgroup.max.depth", "."].map(str::to_owned);
        let place = Place::new(name);
        let config = config(&place.rootfs().unwrap());
        Some(Self { mount: ResctrlMount { root, tasks, schemata, monitors }, place, config })
    }

    fn wants(&mut self, class: &str, schemata: &[&str], monitoring: bool) {
        let schemata = schemata.iter().map(|line| (*line).to_owned()).collect();
        self.config.resctrl = Some(Resctrl { class: class.to_owned(), schemata, monitoring });
    }

    fn factory(&self) -> Factory {
        Factory::new().unwrap().resctrl(self.mount.clone())
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.mount.root.join(name)
    }

    fn refused(&self) -> libcontainer::Error {
        let error = self.factory().create(self.place.join("c"), &self.config).unwrap_err();
        assert!(!self.place.join("c").exists());
        error
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let inner = fs::read_dir(&self.mount.root).into_iter().flatten().flatten();
        inner.filter(|entry| entry.path().is_dir()).for_each(|entry| drop(fs::remove_dir(entry.path())));
        let _ = fs::remove_dir(&self.mount.root);
    }
}

fn members(dir: &Path) -> Vec<i32> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_class_of_its_own_lives_as_long_as_the_container() {
    let Some(mut stand) = Stand::new("a_class_of_its_own_lives_as_long_as_the_container") else { return };
    stand.wants("", &["7"], false);
    let container = stand.factory().create(stand.place.join("c"), &stand.config).unwrap();
    let dir = stand.dir("c");
    assert_eq!(fs::read_to_string(dir.join("cgroup.max.depth")).unwrap(), "7\n");
    let first = container.init_pid().unwrap().unwrap().as_raw();
    assert_eq!(members(&dir), [first]);
    // Who joins is in it too, from the start.
    let process = ProcessConfig::new(["sh", "-c", "grep ^0:: /proc/self/cgroup"]).piped();
    let output = container.start(process).unwrap().output(4096).unwrap();
    assert!(text(&output).trim().ends_with("/c"), "{}", text(&output));
    // Another program ends it by the record.
    let stored = Factory::new().unwrap().load(stand.place.join("c")).unwrap();
    stored.destroy().unwrap();
    assert!(!dir.exists());
}

#[test]
fn a_group_that_measures_lies_in_the_class() {
    let Some(mut stand) = Stand::new("a_group_that_measures_lies_in_the_class") else { return };
    fs::create_dir(stand.dir("gold")).unwrap();
    stand.wants("gold", &[], true);
    let container = stand.factory().create(stand.place.join("c"), &stand.config).unwrap();
    let first = container.init_pid().unwrap().unwrap().as_raw();
    assert_eq!(members(&stand.dir("gold/c")), [first]);
    container.destroy().unwrap();
    // What was there stays.
    assert!(!stand.dir("gold/c").exists() && stand.dir("gold").exists());
}

#[test]
fn a_class_that_is_there_is_shared_if_it_agrees() {
    let Some(mut stand) = Stand::new("a_class_that_is_there_is_shared_if_it_agrees") else { return };
    fs::create_dir(stand.dir("gold")).unwrap();
    fs::write(stand.dir("gold/cgroup.max.depth"), "5").unwrap();
    stand.wants("gold", &["5"], false);
    let container = stand.factory().create(stand.place.join("c"), &stand.config).unwrap();
    assert_eq!(members(&stand.dir("gold")).len(), 1);
    container.destroy().unwrap();
    assert!(stand.dir("gold").exists());
    stand.wants("gold", &["6"], false);
    let told = stand.refused().to_string();
    assert!(told.contains("gold is there and has not \"6\" but \"5\""), "{told}");
    stand.wants("silver", &[], false);
    assert!(stand.refused().to_string().contains("silver is not there"));
    fs::create_dir(stand.dir("c")).unwrap();
    stand.wants("", &["5"], false);
    let error = stand.refused();
    assert!(error.kind() == ErrorKind::AlreadyExists && error.to_string().contains("closID"), "{error}");
    assert!(stand.dir("c").exists());
}

#[test]
fn nothing_of_a_class_remains_whatever_fails() {
    let Some(mut stand) = Stand::new("nothing_of_a_class_remains_whatever_fails") else { return };
    stand.wants("", &["7"], true);
    for lane in [Lane::Host, Lane::Child] {
        for step in 0.. {
            let fault = Fault { lane, step, errno: libc::EIO };
            let made = stand.factory().inject(fault).create(stand.place.join("c"), &stand.config);
            match made {
                Ok(container) => {
                    container.destroy().unwrap();
                    if step > 3 {
                        break;
                    }
                }
                Err(error) => assert!(error.undo_errors().next().is_none(), "{error}"),
            }
            assert!(!stand.dir("c").exists() && !stand.place.join("c").exists(), "{lane:?} {step}");
        }
    }
    // What the kernel refuses is told with the file.
    stand.wants("", &["7", "8"], false);
    let told = stand.refused().to_string();
    assert!(told.contains("cgroup.max.depth") && told.contains("EINVAL"), "{told}");
    assert!(!stand.dir("c").exists());
}

#[test]
fn a_kernel_without_it_is_told() {
    let name = "a_kernel_without_it_is_told";
    if !able(name) {
        return;
    }
    if Path::new("/sys/fs/resctrl/schemata").exists() {
        return skip(name, "resctrl is mounted");
    }
    let place = Place::new(name);
    let mut config = config(&place.rootfs().unwrap());
    config.resctrl = Some(Resctrl::default());
    let error = Factory::new().unwrap().create(place.join("c"), &config).unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("resctrl"), "{error}");
    assert!(!place.join("c").exists());
}
