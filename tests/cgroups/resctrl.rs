//! Classes of resctrl. Where the processor has none, control groups of version 2 stand in; for what they have no files like, directories of files do.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use libcontainer::cgroups::{Layout, set_mark};
use libcontainer::plan::{Fault, Lane};
use libcontainer::{Config, ErrorKind, Factory, ProcessConfig, Resctrl, ResctrlMount};
use libcontainer_tests::{Place, able, config, resctrl_at, skip, text};

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
        let place = Place::new(name);
        let config = config(&place.rootfs().unwrap());
        Some(Self { mount: resctrl_at(root), place, config })
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

#[test]
fn shares_change_while_the_container_runs_or_nothing_does() {
    let Some(mut stand) = Stand::new("shares_change_while_the_container_runs_or_nothing_does") else {
        return;
    };
    stand.wants("", &["7"], false);
    // A group of version 2 would be in the way of what stands in for the class.
    let mut layout = Layout::of_this_process().unwrap();
    layout.v2 = None;
    let limited = layout.hierarchy("pids").is_some();
    stand.config.cgroups = Some(stand.place.cgroup()).filter(|_| limited);
    let container = stand.factory().layout(layout).create(stand.place.join("c"), &stand.config).unwrap();
    let now = || {
        let file = fs::read_to_string(stand.dir("c").join("cgroup.max.depth")).unwrap();
        let loaded = Factory::new().unwrap().load(stand.place.join("c")).unwrap();
        (file.trim().to_owned(), loaded.config().resctrl.unwrap().schemata)
    };
    let update = |resources: &str, line: &str| {
        container.update_with(&serde_json::from_str(resources).unwrap(), &[line.to_owned()])
    };
    let is = |value: &str| (value.to_owned(), vec![value.to_owned()]);
    update("{}", "9").unwrap();
    assert_eq!(now(), is("9"));
    // Refused by the kernel, or beside limits that are.
    let told = update("{}", "much").unwrap_err().to_string();
    assert!(told.contains("write \"much\" to ") && told.contains("EINVAL"), "{told}");
    let told = update(r#"{"pids": {"limit": 4}, "cpu": {"cpus": "4000"}}"#, "8").unwrap_err().to_string();
    assert!(told.contains(if limited { "cpu" } else { "control group" }), "{told}");
    assert!(update("{}", " ").unwrap_err().to_string().contains("/resctrl/schemata/0"));
    assert_eq!(now(), is("9"));
    container.destroy().unwrap();
}

#[test]
fn shares_of_others_are_not_changed() {
    let Some(mut stand) = Stand::new("shares_of_others_are_not_changed") else { return };
    fs::create_dir(stand.dir("gold")).unwrap();
    stand.wants("gold", &[], false);
    let update = |stand: &Stand| {
        let container = stand.factory().create(stand.place.join("c"), &stand.config).unwrap();
        let told = container.update_with(&Default::default(), &["5".to_owned()]).unwrap_err().to_string();
        container.destroy().unwrap();
        told
    };
    assert!(update(&stand).contains("gold was there before"));
    assert_eq!(fs::read_to_string(stand.dir("gold/cgroup.max.depth")).unwrap(), "max\n");
    stand.config.resctrl = None;
    assert!(update(&stand).contains("in no class of its own"));
}

/// Files as the kernel has them, of a processor with two caches.
fn processor(root: &Path) {
    for (name, text) in [
        ("schemata", "    L3:0=fffff;1=fffff\n    MB:0=100;1=100\n"),
        ("info/L3/cbm_mask", "fffff\n"),
        ("info/L3/min_cbm_bits", "2\n"),
        ("info/L3/num_closids", "16\n"),
        ("info/MB/bandwidth_gran", "10\n"),
        ("info/MB/delay_linear", "1\n"),
        ("info/MB/min_bandwidth", "10\n"),
        ("info/MB/num_closids", "8\n"),
        ("gold/tasks", ""),
        ("gold/schemata", "    L3:0=f;1=f\n    MB:0= 50;1= 60\n"),
        ("gold/mon_data/mon_L3_01/mbm_total_bytes", "11\n"),
        ("gold/mon_data/mon_L3_01/mbm_local_bytes", "Unavailable\n"),
        ("gold/mon_data/mon_L3_01/llc_occupancy", "12\n"),
        ("gold/mon_data/mon_L3_00/mbm_total_bytes", "1\n"),
        ("gold/mon_data/mon_L3_00/mbm_local_bytes", "2\n"),
        ("gold/mon_data/mon_L3_00/llc_occupancy", "3\n"),
        ("gold/mon_data/mon_SUB/llc_occupancy", "99\n"),
    ] {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

#[test]
fn what_a_class_has_and_uses_is_told() {
    if !super::ready("what_a_class_has_and_uses_is_told", &[]) {
        return;
    }
    let place = Place::new("rdt-stats");
    let mut config = super::limited(&place, "rdt-stats", "{}");
    let root = place.join("resctrl");
    processor(&root);
    config.resctrl = Some(Resctrl { class: "gold".to_owned(), ..Resctrl::default() });
    let factory = Factory::new().unwrap().resctrl(ResctrlMount::at(&root));
    let container = factory.create(place.join("c"), &config).unwrap();
    let wanted = serde_json::json!({
        "l3_cache_info": {"cbm_mask": "fffff", "min_cbm_bits": 2, "num_closids": 16},
        "l3_cache_schema_root": "L3:0=fffff;1=fffff",
        "l3_cache_schema": "L3:0=f;1=f",
        "mem_bw_info": {"bandwidth_gran": 10, "delay_linear": 1, "min_bandwidth": 10, "num_closids": 8},
        "mem_bw_schema_root": "MB:0=100;1=100",
        "mem_bw_schema": "MB:0= 50;1= 60",
        "mbm_stats": [{"mbm_total_bytes": 1, "mbm_local_bytes": 2}, {"mbm_total_bytes": 11}],
        "cmt_stats": [{"llc_occupancy": 3}, {"llc_occupancy": 12}],
    });
    let found = || serde_json::to_value(container.stats().unwrap()).unwrap()["intel_rdt"].clone();
    assert_eq!(found(), wanted);
    // What can't be read is an error, what is not there is not.
    fs::remove_dir_all(root.join("info/MB")).unwrap();
    assert_eq!(found()["mem_bw_info"], serde_json::Value::Null);
    fs::remove_file(root.join("gold/schemata")).unwrap();
    fs::create_dir(root.join("gold/schemata")).unwrap();
    let told = container.stats().unwrap_err().to_string();
    assert!(told.contains("gold/schemata") && told.contains("EISDIR"), "{told}");
    container.destroy().unwrap();
}

/// Killed behind each step: what was made goes, and what somebody else has made since stays.
#[test]
fn of_a_killed_creation_only_its_own_class_is_removed() {
    let name = "of_a_killed_creation_only_its_own_class_is_removed";
    let Some(stand) = Stand::new(name) else { return };
    let (mut alone, mut taken) = (0, 0);
    for step in 0..14 {
        let rootfs = stand.place.join("rootfs");
        let args = [stand.place.path().as_os_str(), rootfs.as_os_str(), "reaper".as_ref()];
        let mut victim = std::process::Command::new(env!("CARGO_BIN_EXE_victim"));
        victim.args(args).arg(step.to_string()).env("VICTIM_RESCTRL", &stand.mount.root);
        victim.stderr(std::process::Stdio::null()).status().unwrap();
        let (path, class) = (stand.place.join("0"), stand.dir("0"));
        if class.exists() {
            alone += 1;
        } else if path.join("state.json").exists() {
            taken += 1;
            fs::create_dir(&class).unwrap();
            let told = Factory::new().unwrap().destroy(&path).unwrap_err().to_string();
            assert!(told.contains("nothing says whether it was made for this container"), "{told}");
            assert!(class.exists() && path.exists(), "{step}");
            fs::remove_dir(&class).unwrap();
        }
        // What stands in is busy until the last process has left, which resctrl is not.
        super::until("it is destroyed", || Factory::new().unwrap().destroy(&path).is_ok());
        assert!(!class.exists() && !path.exists(), "{step}");
    }
    assert!(alone > 3 && taken > 0, "{alone} {taken}");
}

/// Neither file can be believed: the marks say which classes are the container's. Directories do, as a group of version 2 would be found as one.
#[test]
fn without_a_record_its_classes_are_found_by_their_marks() {
    let name = "without_a_record_its_classes_are_found_by_their_marks";
    if !super::ready(name, &[]) {
        return;
    }
    let place = Place::new(name);
    let config = super::limited(&place, name, "{}");
    let (root, path) = (place.join("resctrl"), place.join("c"));
    let factory =
        Factory::new().unwrap().resctrl(ResctrlMount { monitors: ".".into(), ..ResctrlMount::at(&root) });
    let others = ["silver", "gold/other", "info/c"].map(|group| root.join(group));
    for known in [false, true] {
        let container = factory.create(&path, &config).unwrap();
        let found = fs::metadata(&path).unwrap();
        let token = format!("{}\0{}:{}", path.display(), found.dev(), found.ino());
        let own = ["c", "gold/c", "c/c"].map(|group| root.join(group));
        own.iter().chain(&others).for_each(|dir| fs::create_dir_all(dir).unwrap());
        let mark =
            |dir: &Path, token: &str| set_mark(fs::File::open(dir).unwrap(), token.as_bytes()).unwrap();
        own.iter().for_each(|dir| mark(dir, &token));
        mark(&root.join("silver"), &token.replace(name, "another"));
        for file in ["state.json", "ending.json"] {
            fs::write(path.join(file), "{").unwrap();
        }
        if known {
            // What can't be removed is told, and stays recorded.
            fs::create_dir(root.join("c/in-the-way")).unwrap();
            let told = container.destroy().unwrap_err().to_string();
            assert!(told.contains("rmdir") && told.contains("ENOTEMPTY") && path.exists(), "{told}");
            fs::remove_dir(root.join("c/in-the-way")).unwrap();
            container.destroy().unwrap();
        } else {
            factory.destroy(&path).unwrap();
        }
        assert!(own.iter().all(|dir| !dir.exists()) && others.iter().all(|dir| dir.exists()));
        assert!(!path.exists());
    }
}

/// Also where the record did not have its inode yet: then it is known by the mark.
#[test]
fn a_class_goes_whose_record_somebody_took_away() {
    let Some(mut stand) = Stand::new("a_class_goes_whose_record_somebody_took_away") else { return };
    stand.wants("", &["7"], true);
    for early in [false, true] {
        let (factory, path) = (stand.factory(), stand.place.join("c"));
        let container = factory.create(&path, &stand.config).unwrap();
        let container = if early {
            libcontainer_tests::rewrite(&path, forget_inodes);
            factory.load(&path).unwrap()
        } else {
            container
        };
        let pid = container.init_pid().unwrap().unwrap();
        fs::remove_dir_all(&path).unwrap();
        container.destroy().unwrap();
        assert!(!stand.dir("c").exists(), "{early}");
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{early}: {stat}");
    }
}

fn forget_inodes(record: &mut serde_json::Value) {
    for intent in record["intent"].as_array_mut().unwrap() {
        let groups = intent.get_mut("resctrl").and_then(serde_json::Value::as_array_mut);
        groups.into_iter().flatten().for_each(|group| drop(group.as_object_mut().unwrap().remove("inode")));
    }
}
