//! Starts in a container that stands by: each step fails once, and each is left out once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use libcontainer::plan::{Fault, Lane};
use libcontainer::{Config, Error, Factory, ProcessConfig, Seccomp, Template};
use libcontainer_tests::{Place, World, able, config, text};

use super::{TOLERANT, alone};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a program can see of how it is confined.
const LOOK: &str = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status; umask; pwd; ulimit -n";

fn confined(place: &Place) -> Config {
    let limit = r#"[{"type": "RLIMIT_NOFILE", "soft": 500, "hard": 600}]"#;
    Config {
        user: "1000:100".into(),
        additional_groups: vec!["7".into()],
        no_new_privileges: true,
        working_dir: "etc".into(),
        rlimits: serde_json::from_str(limit).unwrap(),
        // Nothing can ask behind a filter whether it is there.
        seccomp: Seccomp::Unconfined,
        ..config(&place.rootfs().unwrap())
    }
}

/// One that stands by, or none if that has failed.
fn standing_by(factory: &Factory, place: &Place, config: &Config) -> Template {
    let template = factory.template(place.join("all"), config).unwrap();
    template.keep_ready(1).unwrap();
    let end = Instant::now() + PATIENCE;
    let stands = || template.stats().ready == 1 || template.stats().failures > 0;
    while !stands() {
        assert!(Instant::now() < end, "{:?}", template.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
    template
}

/// What the program sees, and whether it was handed over.
fn start(template: &Template) -> Result<(String, bool), Error> {
    let (container, process) = template.start(ProcessConfig::new(["sh", "-c", LOOK]).piped())?;
    let handed = template.stats().handed_over == 1;
    let output = text(&process.output(1 << 16)?);
    container.destroy_now()?;
    Ok((output, handed))
}

/// Without a fault; makes what exists once for all, such as the memory of the init.
fn first(place: &Place, config: &Config) -> String {
    std::fs::create_dir(place.join("all")).unwrap();
    let (output, handed) = start(&standing_by(&Factory::new().unwrap(), place, config)).unwrap();
    assert!(handed);
    output
}

/// A start, and what it has left behind.
type Tried = (Result<(String, bool), Error>, Option<String>);

/// One start with each step of a lane changed.
fn each_step(place: &Place, config: &Config, lane: Lane, change: fn(Lane, usize) -> Fault) -> Vec<Tried> {
    let plan = Factory::new().unwrap().explain(config, Some(&ProcessConfig::new(["true"]))).unwrap();
    // Of one that stands by the plan has a step more.
    let end = plan.steps(lane).count() + 1;
    let each = (0..end + TOLERANT).map(|step| {
        let before = World::look(place.path());
        let factory = Factory::new().unwrap().inject(change(lane, step));
        let result = start(&standing_by(&factory, place, config));
        assert!(step < end || matches!(result, Ok((_, true))), "{lane:?} {step}: {result:?}");
        (result, World::look(place.path()).more_than(&before))
    });
    each.collect()
}

#[test]
fn a_step_that_fails_leaves_nothing_of_one_that_stands_by() {
    if !able("a_step_that_fails_leaves_nothing_of_one_that_stands_by") {
        return;
    }
    let _alone = alone();
    let place = Place::new("failing");
    let config = confined(&place);
    first(&place, &config);
    for (lane, wanted, count) in
        [(Lane::Host, "write state.json (running)", 5), (Lane::Child, "setresuid(1000, 1000, 1000)", 100)]
    {
        let mut failed = BTreeSet::new();
        for (result, left) in
            each_step(&place, &config, lane, |lane, step| Fault { lane, step, errno: libc::EIO })
        {
            assert_eq!(left, None, "{result:?}");
            if let Err(error) = result {
                let step = error.step().unwrap_or_else(|| panic!("{error}"));
                assert_eq!((step.lane, step.errno()), (lane, Some(libc::EIO)), "{error}");
                failed.insert(step.call.clone());
            }
        }
        assert!(failed.contains(wanted) && failed.len() >= count, "{failed:?}");
    }
}

/// As if the kernel had said yes and done nothing. The host does not look any more by then: the init itself finds out.
#[test]
fn a_step_that_is_left_out_is_found_by_an_init_that_stood_by() {
    if !able("a_step_that_is_left_out_is_found_by_an_init_that_stood_by") {
        return;
    }
    let _alone = alone();
    let place = Place::new("unmet");
    let config = confined(&place);
    let wanted = first(&place, &config);
    assert!(wanted.contains("Groups:\t7 \n"), "{wanted}");
    let mut found = BTreeSet::new();
    for (result, _) in each_step(&place, &config, Lane::Child, Fault::skip) {
        match result {
            // Without its standard output or its `/proc` it says less.
            Ok((output, _)) => {
                let other = output.lines().find(|line| !line.starts_with("grep:") && !wanted.contains(line));
                assert_eq!(other, None, "{wanted}");
            }
            Err(error) => {
                let step = error.step().unwrap_or_else(|| panic!("{error}"));
                if error.to_string().contains("what was read back differs from the plan") {
                    found.insert(step.call.clone());
                }
            }
        }
    }
    for call in ["getresuid", "getresgid", "getgroups", "capget", "prctl", "umask", "prlimit64"] {
        assert!(found.iter().any(|step| step.contains(call)), "{call}: {found:?}");
    }
}
