//! Containers with hooks: each step of theirs fails too, and so does each hook.

use libcontainer::{Config, Factory, Hook, Hooks, ProcessConfig};
use libcontainer_tests::{Place, able, config};

use crate::{alone, each_step};

fn hooks() -> Hooks {
    let one = vec![Hook { path: "/bin/true".into(), ..Hook::default() }];
    Hooks {
        prestart: one.clone(),
        create_runtime: one.clone(),
        create_container: one.clone(),
        start_container: one.clone(),
        poststart: one.clone(),
        poststop: one,
    }
}

#[test]
fn around_hooks() {
    if !able("around_hooks") {
        return;
    }
    let _alone = alone();
    let place = Place::new("hooked");
    let base = config(&place.rootfs().unwrap());
    let config = Config { hooks: hooks(), cgroups: Some(place.cgroup()), ..base };
    let factory = Factory::new().unwrap();
    factory.create(place.join("c"), &config).unwrap().destroy().unwrap();
    let [host, child] = each_step(&place, libc::EIO, &|factory| {
        let (container, mut process) = factory.run(place.join("c"), &config, ProcessConfig::new(["true"]))?;
        process.wait()?;
        drop(process);
        container.destroy()
    });
    let without = Config { hooks: Hooks::default(), ..config.clone() };
    let counts = factory.explain(&without, Some(&ProcessConfig::new(["true"]))).unwrap().counts();
    // Four hooks, twice let go and taken again, two records, two messages.
    assert!(host > 20, "{host} {counts:?}");
    assert!(child > 100, "{child} {counts:?}");
    each_step(&place, libc::EPERM, &|factory| factory.create(place.join("c"), &config)?.destroy());
}
