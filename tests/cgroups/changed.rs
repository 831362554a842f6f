//! Limits that are changed while the container runs.

use libcontainer::cgroups::Resources;
use libcontainer::cgroups::stats::Limit;
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
