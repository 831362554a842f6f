//! Every write refused once: the values before it are as they were.

use std::collections::BTreeMap;

use super::ground::Ground;
use libcontainer_cgroups::limits::{Facts, FileWrite, OnRefusal, apply, apply_with, plan, update};
use libcontainer_cgroups::{Error, Group, Resources};

const FIRST: &str = r#"{"memory":{"limit":67108864,"swap":134217728,"reservation":33554432},"cpu":{"shares":512,"quota":40000,"period":80000},"pids":{"limit":50}}"#;
const SECOND: &str = r#"{"memory":{"limit":268435456,"swap":268435456,"reservation":8388608},"cpu":{"shares":700,"quota":25000,"period":50000,"burst":1000},"pids":{"limit":60}}"#;

fn resources(json: &str) -> Resources {
    serde_json::from_str(json).unwrap()
}

fn values(group: &Group, writes: &[FileWrite]) -> BTreeMap<String, String> {
    let read = |write: &FileWrite| {
        let dir = match write.controller.as_str() {
            "unified" => group.unified().unwrap(),
            name => group.controller(name).unwrap().0,
        };
        (write.file.clone(), dir.read(&write.file).unwrap())
    };
    writes.iter().map(read).collect()
}

#[test]
fn a_fault_at_every_write_leaves_the_old_values() {
    let test = "a_fault_at_every_write_leaves_the_old_values";
    let Some(ground) = Ground::new(test, &["memory", "cpu", "pids"]) else { return };
    let group = &ground.group;
    let burst = ground.either("cpu", "cpu.cfs_burst_us", "cpu.max.burst");
    let (dir, _) = group.controller("cpu").unwrap();
    // KERNEL(5.14): before, there is no burst.
    let bursts = dir.has(burst).unwrap();
    let second = if bursts { SECOND.to_owned() } else { SECOND.replace(r#","burst":1000"#, "") };
    update(group, &resources(FIRST), OnRefusal::RollBack).unwrap();
    let writes = plan(&resources(&second), &Facts::of(group, &resources(&second)).unwrap()).unwrap();
    let before = values(group, &writes);
    assert!(writes.len() >= 6, "{writes:?}");
    for at in 0..writes.len() {
        let mut count = 0;
        let mut fault = |_: &FileWrite| {
            count += 1;
            (count == at + 1).then_some(libc::EIO)
        };
        let error = apply_with(group, &writes, OnRefusal::RollBack, &mut fault).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EIO));
        let text = error.to_string();
        assert!(text.contains(&writes[at].file) && text.contains(&writes[at].value), "{text}");
        assert_eq!(values(group, &writes), before, "after a fault at {:?}", writes[at]);
        assert_eq!(count, at + 1, "writes went on after a refusal");
    }
    apply(group, &writes, OnRefusal::RollBack).unwrap();
    let after = values(group, &writes);
    assert_ne!(after, before);
    for write in &writes {
        assert_eq!(after[&write.file], write.value);
    }
    // And back down, where the order is another one.
    update(group, &resources(FIRST), OnRefusal::RollBack).unwrap();
    let mut again = values(group, &writes);
    if bursts {
        assert_eq!(again.insert(burst.to_owned(), before[burst].clone()).unwrap(), "1000");
    }
    assert_eq!(again, before);
}

#[test]
fn a_value_that_the_kernel_refuses_takes_the_others_back() {
    let test = "a_value_that_the_kernel_refuses_takes_the_others_back";
    let Some(ground) = Ground::new(test, &["pids", "cpuset"]) else { return };
    let group = &ground.group;
    let old_mems = ground.read("cpuset", "cpuset.mems");
    let asked = resources(r#"{"pids":{"limit":9},"cpu":{"cpus":"0-100000"}}"#);
    let mut writes = plan(&asked, &Facts::of(group, &asked).unwrap()).unwrap();
    // The refused one last.
    writes.reverse();
    let error = apply(group, &writes, OnRefusal::RollBack).unwrap_err();
    assert!(error.to_string().contains("\"0-100000\" to "), "{error}");
    assert_eq!(
        (ground.read("pids", "pids.max").as_str(), ground.read("cpuset", "cpuset.mems")),
        ("max", old_mems)
    );
    apply(group, &writes, OnRefusal::Leave).unwrap_err();
    assert_eq!(ground.read("pids", "pids.max"), "9");
}

#[test]
fn what_cannot_be_taken_back_is_told() {
    // What was refused was not done; what failed otherwise may have been, and is taken back too.
    for (errno, left) in [(libc::EINVAL, 1), (libc::EIO, 2)] {
        deleted_underneath(errno, left);
    }
}

fn deleted_underneath(errno: i32, count_left: usize) {
    let Some(ground) = Ground::new("what_cannot_be_taken_back_is_told", &["pids"]) else { return };
    let asked = resources(r#"{"pids":{"limit":9}}"#);
    let mut writes = plan(&asked, &Facts::of(&ground.group, &asked).unwrap()).unwrap();
    writes.push(writes[0].clone());
    let paths = ground.group.paths();
    let mut count = 0;
    let error = apply_with(&ground.group, &writes, OnRefusal::RollBack, &mut |_| {
        count += 1;
        if count == 2 {
            // The group is deleted underneath.
            for path in paths.values() {
                let _ = std::fs::remove_dir(path);
            }
        }
        (count == 2).then_some(errno)
    });
    let error = error.unwrap_err();
    assert!(matches!(&error, Error::NotRolledBack { left, .. } if left.len() == count_left), "{error}");
    assert_eq!(error.errno(), Some(errno));
    assert!(error.to_string().contains("pids.max"), "{error}");
}

/// The kernel has taken the value, and its answer was lost.
#[test]
fn what_was_done_without_an_answer_is_taken_back() {
    let Some(ground) = Ground::new("what_was_done_without_an_answer_is_taken_back", &["pids"]) else {
        return;
    };
    let asked = resources(r#"{"pids":{"limit":9}}"#);
    let writes = plan(&asked, &Facts::of(&ground.group, &asked).unwrap()).unwrap();
    let (dir, _) = ground.group.controller("pids").unwrap();
    let error = apply_with(&ground.group, &writes, OnRefusal::RollBack, &mut |write| {
        std::fs::write(dir.path().join(&write.file), &write.value).unwrap();
        Some(libc::EINTR)
    });
    assert_eq!(error.unwrap_err().errno(), Some(libc::EINTR));
    assert_eq!(ground.read("pids", "pids.max"), "max");
}

#[test]
fn unified_files_are_written_and_taken_back() {
    let Some(ground) = Ground::new("unified_files_are_written_and_taken_back", &[]) else { return };
    if ground.group.unified().is_none() {
        return super::ground::skip("unified_files_are_written_and_taken_back", "version 2 is not mounted");
    }
    let asked = resources(r#"{"unified":{"cgroup.max.depth":"3","cgroup.max.descendants":"7"}}"#);
    update(&ground.group, &asked, OnRefusal::RollBack).unwrap();
    let unified = ground.group.unified().unwrap();
    let both =
        || (unified.read("cgroup.max.depth").unwrap(), unified.read("cgroup.max.descendants").unwrap());
    assert_eq!(both(), ("3".to_owned(), "7".to_owned()));
    let wrong = resources(r#"{"unified":{"cgroup.max.depth":"4","cgroup.max.descendants":"many"}}"#);
    let error = update(&ground.group, &wrong, OnRefusal::RollBack).unwrap_err();
    assert!(error.to_string().contains("\"many\""), "{error}");
    assert_eq!(both(), ("3".to_owned(), "7".to_owned()));
}
