//! A namespace that was not joined is found before anything of the container runs, wherever the caller is.

use std::fs::read_link;

use libcontainer::plan::{Fault, Lane};
use libcontainer::{Config, Error, ErrorKind, Factory, Namespace, NamespaceKind, Plan, ProcessConfig};
use libcontainer_tests::{Place, World, able, config};
use nix::sched::{CloneFlags, unshare};

use crate::alone;

/// Kinds that a thread of a program with several can leave.
const KINDS: [NamespaceKind; 3] = [NamespaceKind::Uts, NamespaceKind::Ipc, NamespaceKind::Network];

/// Leaves each setns of the plan out, one at a time; each is found, and named by what the host reads back. Returns how many there were.
fn each_setns(plan: &Plan, place: &Place, attempt: &dyn Fn(Factory) -> Result<(), Error>) -> usize {
    let steps = plan.steps(Lane::Child).filter(|step| step.call.starts_with("setns("));
    let steps: Vec<_> = steps.collect();
    for step in &steps {
        let before = World::look(place.path());
        let error = attempt(Factory::new().unwrap().inject(Fault::skip(Lane::Child, step.index)));
        let error = error.err().unwrap_or_else(|| panic!("{}: not found", step.call));
        assert!(error.to_string().contains("read back namespace"), "{}: {error}", step.call);
        assert_eq!(error.kind(), ErrorKind::StartFailed, "{error}");
        assert_eq!(World::look(place.path()).more_than(&before), None, "{}", step.call);
    }
    steps.len()
}

fn process() -> ProcessConfig {
    ProcessConfig::new(["true"])
}

/// Joins of a running container.
fn into_a_container(place: &Place) {
    let factory = Factory::new().unwrap();
    let plan = factory.load(place.join("running")).unwrap().explain(&process()).unwrap();
    let found = each_setns(&plan, place, &|factory| {
        factory.load(place.join("running"))?.start(process())?.wait().map(drop)
    });
    assert_eq!(found, 1, "one for all");
}

/// A new container in namespaces given by path.
fn into_paths(place: &Place, config: &Config) {
    let plan = Factory::new().unwrap().explain(config, Some(&process())).unwrap();
    let found = each_setns(&plan, place, &|factory| {
        let (container, mut process) = factory.run(place.join("c"), config, process())?;
        process.wait()?;
        container.destroy()
    });
    let joins = config.namespaces.iter().filter(|(_, how)| matches!(how, Namespace::Join(_))).count();
    assert_eq!(found, joins);
}

#[test]
fn a_namespace_that_was_not_joined_is_found() {
    if !able("a_namespace_that_was_not_joined_is_found") {
        return;
    }
    let _alone = alone();
    let place = Place::new("unjoined");
    let config = config(&place.rootfs().unwrap());
    let running = Factory::new().unwrap().create(place.join("running"), &config).unwrap();
    let init = running.init_pid().unwrap().unwrap();
    let mut by_path = Config { networks: Vec::new(), hostname: String::new(), ..config.clone() };
    for kind in KINDS.into_iter().chain([NamespaceKind::Pid]) {
        by_path.namespaces.set(kind, Namespace::Join(format!("/proc/{init}/ns/{}", kind.file()).into()));
    }
    let own = std::process::id();
    let mut of_the_host = by_path.clone();
    for kind in KINDS {
        let path = format!("/proc/{own}/ns/{}", kind.file());
        of_the_host.namespaces.set(kind, Namespace::Join(path.into()));
    }
    into_a_container(&place);
    into_paths(&place, &by_path);
    // A caller with namespaces of its own: those of the init differ from the first process's anyway, and yet are not the right ones.
    let elsewhere = || {
        unshare(CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWNET).unwrap();
        let net = |of: &str| read_link(format!("/proc/{of}/ns/net")).unwrap();
        assert_ne!(net("thread-self"), net("self"));
        into_a_container(&place);
        into_paths(&place, &by_path);
        into_paths(&place, &of_the_host);
    };
    std::thread::scope(|scope| scope.spawn(elsewhere).join()).unwrap();
    running.destroy().unwrap();
}
