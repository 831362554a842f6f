//! Limits that are changed while the container runs.

use libcontainer::cgroups::Resources;
use libcontainer::cgroups::stats::{Limit, Version};
use libcontainer::{Factory, ProcessConfig};
use libcontainer_tests::{Place, skip};

use super::{directories, gone, limited, ready};

fn resources(text: &str) -> Resources {
    serde_json::from_str(text).unwrap()
}

/// One of memory and swap together can't hold without that of memory.
#[test]
fn a_limit_of_memory_that_is_taken_away_takes_that_of_swap_along() {
    let name = "a_limit_of_memory_that_is_taken_away_takes_that_of_swap_along";
    if !ready(name, &["memory"]) {
        return;
    }
    for (name, both) in [
        ("swap", r#"{"memory": {"limit": 52428800, "swap": 96468992}}"#),
        ("no-swap", r#"{"memory": {"limit": 52428800}}"#),
    ] {
        let place = Place::new("cg-unlimited");
        let config = limited(&place, name, "{}");
        let sleep = ProcessConfig::new(["sleep", "1000"]);
        let (container, _process) = Factory::new().unwrap().run(place.join("c"), &config, sleep).unwrap();
        // Of memory and of swap, or of both together.
        let limits = || {
            let memory = container.stats().unwrap().cgroup.memory;
            (memory.total.limit, memory.swap.limit.or(memory.memory_and_swap.limit))
        };
        if limits().1.is_none() {
            skip(name, "this kernel does not count swap");
        } else {
            container.update(&resources(both)).unwrap();
            container.update(&resources(r#"{"memory": {"limit": -1}}"#)).unwrap();
            assert_eq!(limits(), (Some(Limit::Max), Some(Limit::Max)), "{name}");
            // What is recorded can be read with more laid over it.
            container.update(&resources(r#"{"devices": [{"allow": false, "access": "w"}]}"#)).unwrap();
            container.update(&resources(r#"{"memory": {"limit": 33554432}}"#)).unwrap();
            container.update(&resources(both)).unwrap();
        }
        let made = directories(&container);
        container.destroy().unwrap();
        gone(&made);
    }
}

/// The two can't hold beside each other in a record; the kernel takes both.
#[test]
fn a_limit_of_memory_that_is_lowered_takes_the_reservation_along() {
    let name = "a_limit_of_memory_that_is_lowered_takes_the_reservation_along";
    if !ready(name, &["memory"]) {
        return;
    }
    let place = Place::new("cg-lowered");
    let reserved = r#"{"memory": {"limit": 67108864, "reservation": 50331648}}"#;
    let config = limited(&place, "lowered", reserved);
    let sleep = ProcessConfig::new(["sleep", "1000"]);
    let (container, _process) = Factory::new().unwrap().run(place.join("c"), &config, sleep).unwrap();
    let reservation = || {
        let group = container.group().unwrap();
        let (memory, version) = group.controller("memory").unwrap();
        let file = if version == Version::V1 { "memory.soft_limit_in_bytes" } else { "memory.low" };
        memory.read(file).unwrap()
    };
    container.update(&resources(r#"{"memory": {"limit": 58720256}}"#)).unwrap();
    assert_eq!(reservation(), "50331648");
    container.update(&resources(r#"{"memory": {"limit": 33554432}}"#)).unwrap();
    assert_eq!(reservation(), "33554432");
    // What is recorded can be read with more laid over it.
    container.update(&resources(r#"{"devices": [{"allow": false, "access": "w"}]}"#)).unwrap();
    let made = directories(&container);
    container.destroy().unwrap();
    gone(&made);
}
