//! Attributes of a process fail closed: a step that fails ends the start, and one that did nothing is found.

use libcontainer::plan::{Fault, Lane};
use libcontainer::{Config, Error, Factory, Mode, ProcessConfig};
use libcontainer_tests::{Place, World, able, config};

use crate::{alone, each_step};

const ALL: &str = r#"{"scheduler":{"policy":"SCHED_BATCH","nice":3},"io_priority":{"class":"IOPRIO_CLASS_BE","priority":6},
    "memory_policy":{"mode":"MPOL_BIND","nodes":"0"},"personality":{"domain":"LINUX32"},"cpu_affinity":{"initial":"0","final":"0"},
    "rlimits":[{"type":"NOFILE","soft":64,"hard":64}],"parent_death_signal":9,"securebits":["NOROOT"],"umask":63,
    "landlock":{"enforce":"best_effort","paths":[{"path":"/","access":["read","write","execute"]},{"path":"/etc/group","access":["read"]}],"bind_tcp":[80]}}"#;

fn process() -> ProcessConfig {
    ProcessConfig::new(["true"])
}

fn all_set(place: &Place) -> Config {
    let mut value = serde_json::to_value(config(&place.rootfs().unwrap())).unwrap();
    let more: serde_json::Value = serde_json::from_str(ALL).unwrap();
    more.as_object().unwrap().iter().for_each(|(key, field)| value[key] = field.clone());
    Config::from_json_with(value.to_string().as_bytes(), Mode::Strict, "test").unwrap().0
}

fn run(factory: &Factory, place: &Place, config: &Config) -> Result<(), Error> {
    let (container, mut process) = factory.run(place.join("c"), config, process())?;
    process.wait()?;
    drop(process);
    container.destroy()
}

fn join(factory: &Factory, place: &Place) -> Result<(), Error> {
    factory.load(place.join("running"))?.start(process())?.wait().map(drop)
}

#[test]
fn each_step_of_the_attributes() {
    if !able("each_step_of_the_attributes") {
        return;
    }
    let _alone = alone();
    let place = Place::new("attributes");
    let config = all_set(&place);
    run(&Factory::new().unwrap(), &place, &config).unwrap();
    each_step(&place, libc::EPERM, &|factory| run(&factory, &place, &config));
    let running = Factory::new().unwrap().create(place.join("running"), &config).unwrap();
    each_step(&place, libc::EIO, &|factory| join(&factory, &place));
    running.destroy().unwrap();
}

/// A step that sets something is left out, as if the kernel had said yes and done nothing; and what finds it.
const LEFT_OUT: [(&str, &str); 9] = [
    ("sched_setattr(", "sched_getattr"),
    ("ioprio_set(", "ioprio_get"),
    ("set_mempolicy(", "get_mempolicy"),
    ("personality(PER_LINUX32)", "personality(~0)"),
    ("prlimit64(0, RLIMIT_NOFILE, {64, 64}", "prlimit64"),
    ("prctl(PR_SET_SECUREBITS", "prctl(PR_GET_SECUREBITS"),
    ("prctl(PR_SET_PDEATHSIG", "prctl"),
    ("umask(0077)", "umask(0077) must be 63"),
    ("sched_setaffinity(0, 1024, {0})", "sched_getaffinity"),
];

#[test]
fn an_attribute_that_was_not_set_is_found() {
    if !able("an_attribute_that_was_not_set_is_found") {
        return;
    }
    let _alone = alone();
    let place = Place::new("left-out");
    let config = all_set(&place);
    let running = Factory::new().unwrap().create(place.join("running"), &config).unwrap();
    for (left_out, found) in LEFT_OUT {
        let joins = left_out.starts_with("sched_setaffinity");
        let plan = if joins {
            running.explain(&process()).unwrap()
        } else {
            Factory::new().unwrap().explain(&config, Some(&process())).unwrap()
        };
        let step = plan.steps(Lane::Child).find(|step| step.call.starts_with(left_out));
        let step = step.unwrap_or_else(|| panic!("{left_out}: not in\n{}", plan.explain()));
        let before = World::look(place.path());
        let factory = Factory::new().unwrap().inject(Fault::skip(Lane::Child, step.index));
        let result = if joins { join(&factory, &place) } else { run(&factory, &place, &config) };
        // On a machine with one processor there is nothing to be found.
        if joins && std::thread::available_parallelism().is_ok_and(|count| count.get() == 1) {
            continue;
        }
        let error = result.map(drop).expect_err(left_out);
        let seen = error.step().unwrap_or_else(|| panic!("{error}"));
        assert!(seen.call.contains(found), "{left_out}: {error}");
        assert!(error.to_string().contains("what was read back differs from the plan"), "{error}");
        assert_eq!(World::look(place.path()).more_than(&before), None, "{left_out}");
    }
    running.destroy().unwrap();
}
