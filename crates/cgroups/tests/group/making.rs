//! What a plan says and what is made of it.

use std::collections::BTreeSet;
use std::fs;

use libcontainer_cgroups::{Existing, Group, GroupPath, Layout, Plan, Select};

use super::ground::{Ground, LONG, name};

fn plan(path: &str, select: &Select) -> Plan {
    Plan::new(&Layout::of_this_process().unwrap(), &GroupPath::new(path).unwrap(), select).unwrap()
}

#[test]
fn the_plan_names_every_directory_before_it_is_made() {
    let path = format!("{}/below/leaf", name());
    let plan = plan(&path, &Select::Usable);
    let directories = plan.directories();
    assert!(directories.iter().all(|dir| !dir.exists()), "{directories:?}");
    assert_eq!(directories.len(), plan.places().len() * 3);
    let recorded = serde_json::to_string(plan.places()).unwrap();
    let group = plan.make(Existing::Refuse).unwrap();
    for dir in &directories {
        // A hierarchy that refuses is left out; here the others are looked at.
        let left_out = group.missing().values().any(|why| why.contains(&*dir.to_string_lossy()));
        assert!(dir.is_dir() || left_out, "{}", dir.display());
    }
    // Another process, that has only the record.
    let from_record = Group::open(&serde_json::from_str::<Vec<_>>(&recorded).unwrap()).unwrap();
    assert_eq!(from_record.paths(), group.paths());
    from_record.remove(LONG).unwrap();
    assert!(directories.iter().all(|dir| !dir.exists()), "{directories:?}");
    from_record.remove(LONG).unwrap();
    group.remove(LONG).unwrap();
    assert!(Group::open(group.places()).unwrap().is_gone());
    assert!(group.processes().unwrap_err().is_gone());
}

/// Trap 26: whoever makes a group makes what is missing above it, from a slash on too; whoever only reads makes nothing.
#[test]
fn an_absolute_parent_is_made_but_not_by_a_reader() {
    let path = format!("/{}/parent/leaf", name());
    let plan = plan(&path, &Select::Usable);
    let directories = plan.directories();
    let reader = Group::open(plan.places()).unwrap();
    assert!(reader.is_gone() && reader.processes().unwrap_err().is_gone());
    assert!(directories.iter().all(|dir| !dir.exists()), "made by a reader: {directories:?}");
    let group = plan.make(Existing::Refuse).unwrap();
    for dir in group.paths().values() {
        assert!(dir.ends_with(&path[1..]) && dir.is_dir(), "{}", dir.display());
    }
    group.destroy(LONG).unwrap();
    assert!(directories.iter().all(|dir| !dir.exists()), "{directories:?}");
}

#[test]
fn a_directory_above_that_vanishes_is_made_once_it_is_planned() {
    let name = name();
    let above = plan(&name, &Select::Usable).make(Existing::Refuse).unwrap();
    let mut plan = plan(&format!("{name}/leaf"), &Select::Usable);
    assert!(plan.places().iter().all(|place| place.new == 1));
    above.remove(LONG).unwrap();
    // What was not planned is not made: a record would not have it.
    assert!(plan.clone().make(Existing::Refuse).unwrap_err().is_gone());
    assert!(above.places().iter().all(|place| !place.path().exists()));
    assert!(plan.renew().unwrap() && !plan.renew().unwrap());
    let group = plan.make(Existing::Refuse).unwrap();
    assert!(group.places().iter().all(|place| place.new == 2));
    group.destroy(LONG).unwrap();
    assert!(above.places().iter().all(|place| !place.path().exists()));
}

#[test]
fn a_creator_that_died_half_way_leaves_nothing() {
    let path = format!("{}/half/leaf", name());
    let plan = plan(&path, &Select::Usable);
    let places = plan.places().to_vec();
    // As far as it got: the upper directories, nothing in the last hierarchy.
    let directories = plan.directories();
    for dir in directories.iter().take(directories.len().saturating_sub(4)) {
        fs::create_dir(dir).unwrap();
    }
    Group::open(&places).unwrap().destroy(LONG).unwrap();
    assert!(directories.iter().all(|dir| !dir.exists()), "{directories:?}");
}

#[test]
fn what_others_made_or_use_stays() {
    let top = name();
    let Some(shared) = Ground::at("what_others_made_or_use_stays", &format!("{top}/theirs"), &[]) else {
        return;
    };
    let mine = plan(&format!("{top}/mine"), &Select::Usable).make(Existing::Refuse).unwrap();
    mine.destroy(LONG).unwrap();
    for dir in shared.group.paths().values() {
        assert!(dir.is_dir() && !dir.with_file_name("mine").exists());
    }
    // An empty group that is there is used, and left.
    let same = plan(&format!("{top}/theirs"), &Select::Usable);
    assert_eq!(same.directories(), Vec::<std::path::PathBuf>::new());
    let same = same.make(Existing::Refuse).unwrap();
    same.destroy(LONG).unwrap();
    assert!(shared.group.paths().values().all(|dir| dir.is_dir()));
}

#[test]
fn a_group_in_use_is_refused_unless_adopted() {
    let (test, path) = ("a_group_in_use_is_refused_unless_adopted", name());
    let Some(mut ground) = Ground::at(test, &path, &["freezer"]) else { return };
    let pid = ground.run("exec sleep 1000");
    let error = plan(&path, &Select::Usable).make(Existing::Refuse).unwrap_err().to_string();
    assert!(error.contains("has processes") && error.contains(&pid.to_string()), "{error}");
    let adopted = plan(&path, &Select::Usable).make(Existing::Adopt).unwrap();
    assert_eq!(adopted.processes().unwrap(), [pid]);
    adopted.kill(LONG).unwrap();
    ground.group.freeze(LONG).unwrap();
    let error = plan(&path, &Select::Usable).make(Existing::Refuse).unwrap_err().to_string();
    assert!(error.contains("is frozen"), "{error}");
    ground.group.thaw(LONG).unwrap();
}

#[test]
fn a_group_made_by_somebody_else_meanwhile_is_refused_and_left() {
    let path = name();
    let (first, second) = (plan(&path, &Select::Usable), plan(&path, &Select::Usable));
    let group = first.make(Existing::Refuse).unwrap();
    if !group.is_gone() {
        let error = second.make(Existing::Refuse).unwrap_err().to_string();
        assert!(error.contains("somebody else"), "{error}");
        assert!(group.paths().values().all(|dir| dir.is_dir()));
    }
    group.destroy(LONG).unwrap();
}

#[test]
fn selected_controllers_only() {
    let layout = Layout::of_this_process().unwrap();
    let Some(controller) = layout.all().flat_map(|one| &one.controllers).next() else {
        return super::ground::skip("selected_controllers_only", "no hierarchy has a controller");
    };
    let select = Select::Only(BTreeSet::from([controller.clone()]));
    let plan = plan(&name(), &select);
    assert_eq!(plan.places().len(), 1);
    match plan.make(Existing::Refuse) {
        Ok(group) => {
            assert!(group.controller(controller).is_some());
            group.destroy(LONG).unwrap();
        }
        // Version 2 gives controllers to groups below only where no processes are.
        Err(error) => assert!(error.to_string().contains(controller.as_str()), "{error}"),
    }
    let select = Select::Only(BTreeSet::from(["abacus".to_owned()]));
    let error = Plan::new(&layout, &GroupPath::new(name()).unwrap(), &select).unwrap_err();
    assert_eq!(error.to_string(), "mountpoint for abacus not found");
}

#[test]
fn a_cpuset_can_be_entered_at_once() {
    let test = "a_cpuset_can_be_entered_at_once";
    let Some(ground) = Ground::at(test, &format!("{}/a/b", name()), &["cpuset"]) else { return };
    let cpus = ground.read("cpuset", ground.either("cpuset", "cpuset.cpus", "cpuset.cpus.effective"));
    assert!(!cpus.is_empty());
}

#[test]
fn a_thousand_groups() {
    let top = name();
    let Some(_keep) = Ground::at("a_thousand_groups", &format!("{top}/keep"), &[]) else { return };
    let layout = Layout::of_this_process().unwrap();
    let hierarchy = layout.all().find(|one| one.controllers.iter().any(|name| name == "pids"));
    let Some(hierarchy) = hierarchy.or(layout.v2.as_ref()) else {
        return super::ground::skip("a_thousand_groups", "no hierarchy with pids, nor version 2");
    };
    let only = hierarchy.controllers.first().cloned().unwrap_or_else(|| "unified".to_owned());
    let select = Select::Only(BTreeSet::from([only]));
    let make = |index: usize| {
        let path = GroupPath::new(format!("{top}/{index}")).unwrap();
        Plan::new(&layout, &path, &select).and_then(|plan| plan.make(Existing::Refuse))
    };
    // A descriptor each for the group and the directory above: as many at once as a soft limit of 1024 allows, in turns.
    for turn in 0..4 {
        let groups: Vec<Group> = (0..250).map(|index| make(turn * 250 + index).unwrap()).collect();
        let mut pids = Vec::new();
        for group in &groups {
            group.processes_into(&mut pids).unwrap();
            assert!(pids.is_empty());
        }
        for group in &groups {
            group.destroy(LONG).unwrap();
            assert!(group.paths().values().all(|dir| !dir.exists()));
        }
    }
}

#[test]
fn without_permission_nothing_is_made_and_limits_say_why() {
    use std::os::unix::process::CommandExt;
    let test = "without_permission_nothing_is_made_and_limits_say_why";
    if !nix::unistd::geteuid().is_root() {
        return inside_without_permission();
    }
    // Again as a user who owns no group. The test binary may lie where that user can't reach it.
    let copy = std::env::temp_dir().join(name());
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let run = std::process::Command::new(&copy)
        .args(["--exact", &format!("making::{test}"), "--nocapture"])
        .uid(65534)
        .gid(65534)
        .output();
    fs::remove_file(&copy).unwrap();
    match run {
        Err(error) => super::ground::skip(test, &format!("run as another user: {error}")),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("1 passed"), "{text}");
        }
    }
}

fn inside_without_permission() {
    let plan = plan(&name(), &Select::Usable);
    let wanted: Vec<String> = plan.paths().into_keys().filter(|name| !name.is_empty()).collect();
    let group = plan.make(Existing::Refuse).unwrap();
    for controller in wanted.iter().filter(|name| group.controller(name).is_none()) {
        assert!(
            group.missing()[controller].contains("EACCES")
                || group.missing()[controller].contains("ermission")
        );
    }
    let pids = serde_json::from_str(r#"{"pids":{"limit":5}}"#).unwrap();
    if group.controller("pids").is_none() && wanted.iter().any(|name| name == "pids") {
        let refused = libcontainer_cgroups::limits::update(
            &group,
            &pids,
            libcontainer_cgroups::limits::OnRefusal::Leave,
        );
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("pids.limit") && error.contains("mkdir"), "{error}");
    }
    group.destroy(LONG).unwrap();
}
