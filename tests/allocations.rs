//! What a start in a container that stands by takes of the allocator, on the caller's thread, and what one that stands by holds open. No other test is here: all descriptors are
//! those of this one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends by panicking")]

#[path = "../crates/cgroups/tests/counting/mod.rs"]
mod counting;

use std::time::Duration;

use counting::used;
use libcontainer::{Factory, ProcessConfig};
use libcontainer_tests::{Place, able, config};

/// Most for a program of which nothing was known, and for the same again, which was made ready for.
const CALLS: [usize; 2] = [400, 30];

/// Most that one that stands by holds open in this process, when nothing was joined and it has no control group.
const DESCRIPTORS: usize = 11;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_warm_start_keeps_within_its_budget() {
    if !able("a_warm_start_keeps_within_its_budget") {
        return;
    }
    let place = Place::new("allocations");
    let config = config(&place.rootfs().unwrap());
    let dir = place.join("all");
    std::fs::create_dir(&dir).unwrap();
    let template = Factory::new().unwrap().template(dir, &config).unwrap();
    template.keep_ready(1).unwrap();
    let counts = [(); 4].map(|()| {
        assert!(template.settle(Duration::from_secs(20)), "{:?}", template.stats());
        let (calls, _) = used(|| {
            let (container, mut process) = template.start(ProcessConfig::new(["/bin/true"])).unwrap();
            process.wait().unwrap();
            container
        });
        calls
    });
    assert_eq!(template.stats().handed_over, 4);
    let settled = || assert!(template.settle(Duration::from_secs(20)), "{:?}", template.stats());
    settled();
    let one = descriptors();
    template.keep_ready(5).unwrap();
    settled();
    let each = (descriptors() - one) / 4;
    assert!(each <= DESCRIPTORS, "{each} descriptors for each");
    template.keep_ready(0).unwrap();
    settled();
    assert_eq!(one - descriptors(), each, "those of one that stood by, and of what was used before none");
    let [unknown, known @ ..] = counts;
    assert!(unknown <= CALLS[0] && known.iter().all(|count| *count <= CALLS[1]), "{counts:?}");
}
