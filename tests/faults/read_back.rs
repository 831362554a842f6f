//! What is read back of an init: the host's check before release, and the init's own before exec.

use libcontainer::plan::{Fault, Lane};
use libcontainer::{Config, Error, Expected, Factory, Plan, ProcessConfig};
use libcontainer_tests::{Place, World, able, config};

use super::alone;

#[path = "joined.rs"]
mod joined;

type Way = fn(Factory, &Place, &Config) -> Result<(), Error>;

fn process() -> ProcessConfig {
    ProcessConfig::new(["true"])
}

/// Every way to start a process.
const WAYS: [(&str, Way); 4] = [
    ("create", |factory, place, config| factory.create(place.join("c"), config)?.destroy()),
    ("create_with", |factory, place, config| {
        factory.create_with(place.join("c"), config, process())?.0.destroy()
    }),
    ("run", |factory, place, config| factory.run(place.join("c"), config, process())?.0.destroy()),
    ("join", |factory, place, _| factory.load(place.join("running"))?.start(process())?.wait().map(drop)),
];

/// Each item tampered with ends each kind of start.
#[test]
fn the_host_compares_every_item() {
    type Tamper = fn(&mut Expected);
    let items: [(&str, Tamper); 11] = [
        ("Uid", |expected| expected.uid = Some(7)),
        ("Gid", |expected| expected.gid = Some(7)),
        ("Groups", |expected| expected.groups = Some(vec![7])),
        ("CapInh", |expected| expected.capabilities[0] ^= 1),
        ("CapPrm", |expected| expected.capabilities[1] ^= 1),
        ("CapEff", |expected| expected.capabilities[2] ^= 1),
        ("CapBnd", |expected| expected.capabilities[3] ^= 1),
        ("CapAmb", |expected| expected.capabilities[4] ^= 1),
        ("NoNewPrivs", |expected| expected.no_new_privs = !expected.no_new_privs),
        ("control group", |expected| {
            let place = r#"[{"unified": true, "controllers": [], "mountpoint": "/m", "below": "elsewhere", "new": 1}]"#;
            expected.cgroup = serde_json::from_str(place).ok();
        }),
        ("namespace", |expected| {
            expected.namespaces.iter_mut().for_each(|(_, own)| *own = !*own);
            // Of the kind, but another.
            expected.joined.iter_mut().for_each(|link| *link = link.replace(":[", ":[1"));
        }),
    ];
    if !able("the_host_compares_every_item") {
        return;
    }
    let _alone = alone();
    let place = Place::new("compared");
    let config = Config { cgroups: Some(place.cgroup()), ..config(&place.rootfs().unwrap()) };
    let joined = Config { cgroups: Some(group(&place)), ..config.clone() };
    let running = Factory::new().unwrap().create(place.join("running"), &joined).unwrap();
    for (item, tamper) in items {
        for (name, start) in WAYS {
            let before = World::look(place.path());
            let error = start(Factory::new().unwrap().expect(tamper), &place, &config).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("read back") && text.contains(item), "{name}: {error}");
            assert_eq!(World::look(place.path()).more_than(&before), None, "{name}: {item}");
        }
    }
    running.destroy().unwrap();
}

/// A group beside that of the test.
fn group(place: &Place) -> libcontainer::Cgroup {
    let mut group = place.cgroup();
    group.path.as_mut_os_string().push("-running");
    group
}

/// A step that sets something is left out, as if the kernel had said yes and done nothing; the init itself finds out.
#[test]
fn the_init_compares_every_item() {
    /// The step that is left out, and the one that finds it.
    const STEPS: [(&str, &str); 8] = [
        ("setgroups(", "getgroups"),
        ("setresgid(", "getresgid"),
        ("setresuid(", "getresuid"),
        ("capset(", "capget"),
        ("prctl(PR_CAPBSET_DROP, 19,", "prctl(PR_CAPBSET_READ, 19,"),
        ("prctl(PR_CAPBSET_DROP, 40,", "prctl(PR_CAPBSET_READ, 40,"),
        ("prctl(PR_CAP_AMBIENT, 2,", "prctl(PR_CAP_AMBIENT, 1,"),
        ("prctl(PR_SET_NO_NEW_PRIVS", "prctl(PR_GET_NO_NEW_PRIVS"),
    ];
    if !able("the_init_compares_every_item") {
        return;
    }
    let _alone = alone();
    // A group of the host's that must not come along.
    let _groups = Groups::of_this_process(&[7]);
    let place = Place::new("skipped");
    let mut config = config(&place.rootfs().unwrap());
    config.user = "1000:100".into();
    config.no_new_privileges = true;
    for (left_out, found) in STEPS.into_iter().filter(|(step, _)| !step.contains("AMBIENT")) {
        left_out_everywhere(&place, &config, left_out, found);
    }
    // ORDER: last, as the kernel itself refuses to raise what capset has not made inheritable.
    config.capabilities.clear();
    let sets = r#"{"bounding":["KILL"],"effective":["KILL"],"permitted":["KILL"],"inheritable":["KILL"],"ambient":["KILL"]}"#;
    config.capability_sets = Some(serde_json::from_str(sets).unwrap());
    for (left_out, found) in STEPS.into_iter().filter(|(step, _)| step.contains("AMBIENT")) {
        left_out_everywhere(&place, &config, left_out, found);
    }
}

/// Leaves that step out in each kind of start.
fn left_out_everywhere(place: &Place, config: &Config, left_out: &str, found: &str) {
    let factory = Factory::new().unwrap();
    let running = factory.create(place.join("running"), config).unwrap();
    for (name, start) in WAYS {
        // The reaper is root, as the host is, and has nothing ambient: nothing to be found.
        if name == "create" && (left_out.starts_with("setres") || left_out.contains("AMBIENT")) {
            continue;
        }
        let plan = match name {
            "join" => running.explain(&process()),
            "create" => factory.explain(config, None),
            _ => factory.explain(config, Some(&process())),
        };
        let before = World::look(place.path());
        let fault = Fault::skip(Lane::Child, last_step(&plan.unwrap(), left_out));
        let result = start(Factory::new().unwrap().inject(fault), place, config);
        let Err(error) = result else { panic!("{name}: {left_out}: not found") };
        let step = error.step().unwrap_or_else(|| panic!("{name}: {error}"));
        assert!(step.call.contains(found), "{name}: {left_out}: {error}");
        let of_bounds = left_out.contains("CAPBSET");
        let wanted = if of_bounds { "read back the bounding set" } else { "read back ids and capabilities" };
        assert_eq!(step.purpose, wanted, "{name}: {error}");
        assert!(error.to_string().contains("what was read back differs from the plan"), "{name}: {error}");
        assert_eq!(World::look(place.path()).more_than(&before), None, "{name}: {left_out}");
    }
    running.destroy().unwrap();
}

/// The last step with such a call: a join sets ids twice if it enters a user namespace.
fn last_step(plan: &Plan, call: &str) -> usize {
    let step = plan.steps(Lane::Child).rev().find(|step| step.call.starts_with(call));
    step.unwrap_or_else(|| panic!("{call}: not in\n{}", plan.explain())).index
}

/// Supplementary groups of the whole process, as they were when this ends.
struct Groups(Vec<nix::unistd::Gid>);

impl Groups {
    fn of_this_process(groups: &[u32]) -> Self {
        let before = nix::unistd::getgroups().unwrap();
        let groups: Vec<_> = groups.iter().copied().map(nix::unistd::Gid::from_raw).collect();
        nix::unistd::setgroups(&groups).unwrap();
        Self(before)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        nix::unistd::setgroups(&self.0).unwrap();
    }
}
