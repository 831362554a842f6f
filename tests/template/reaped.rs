//! Who reaps a program of a template's container, and when.

use std::time::{Duration, Instant};

use libcontainer::{ExitStatus, Process, ProcessConfig, Template};

use super::{PATIENCE, standing_by};

fn ended(template: &Template, code: &str) -> (libcontainer::Container, Process, ExitStatus) {
    let command = ProcessConfig::new(["sh", "-c", &format!("exit {code}")]);
    let (container, mut process) = template.start(command).unwrap();
    let status = process.wait().unwrap();
    (container, process, status)
}

fn is_there(process: &Process) -> bool {
    std::path::Path::new(&format!("/proc/{}", process.pid())).exists()
}

/// Whoever waits is told at once, and only once; the zombie goes without a further call of anybody's.
#[test]
fn the_template_reaps_what_was_waited_for() {
    let Some((_place, template)) = standing_by("the_template_reaps_what_was_waited_for", 2) else { return };
    for code in ["0", "7"] {
        let (container, mut process, status) = ended(&template, code);
        assert_eq!(status.code(), Some(code.parse().unwrap()));
        assert!(status.usage().unwrap().max_rss > 0);
        let end = Instant::now() + PATIENCE;
        while is_there(&process) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!is_there(&process), "nobody has reaped it");
        assert_eq!(process.wait().unwrap(), status);
        assert_eq!(process.try_wait().unwrap(), Some(status));
        container.destroy().unwrap();
        assert!(template.settle(PATIENCE), "{:?}", template.stats());
    }
    assert_eq!(template.stats().last_error, None);
}

/// Settled is who has nothing left to reap either.
#[test]
fn a_template_that_has_settled_has_reaped() {
    let Some((_place, template)) = standing_by("a_template_that_has_settled_has_reaped", 2) else { return };
    for _ in 0..20 {
        let (container, process, _) = ended(&template, "0");
        assert!(template.settle(PATIENCE), "{:?}", template.stats());
        assert!(!is_there(&process));
        container.destroy_now().unwrap();
    }
}

/// Without a thread whoever waits reaps.
#[test]
fn what_outlives_its_template_is_reaped_by_who_waits() {
    let name = "what_outlives_its_template_is_reaped_by_who_waits";
    let Some((_place, template)) = standing_by(name, 2) else { return };
    let (container, mut process) = template.start(ProcessConfig::new(["sh", "-c", "exit 3"])).unwrap();
    drop(template);
    assert_eq!(process.wait().unwrap().code(), Some(3));
    assert!(!is_there(&process));
    container.destroy().unwrap();
}

/// The template ends while others wait for its programs: none of them is lost, and none waits for another.
#[test]
fn a_template_may_end_while_its_programs_are_waited_for() {
    let name = "a_template_may_end_while_its_programs_are_waited_for";
    for _ in 0..10 {
        let Some((_place, template)) = standing_by(name, 4) else { return };
        let start = |_| template.start(ProcessConfig::new(["true"])).unwrap();
        let started: Vec<_> = (0..4).map(start).collect();
        std::thread::scope(|scope| {
            for (container, mut process) in started {
                scope.spawn(move || {
                    assert_eq!(process.wait().unwrap().code(), Some(0));
                    container.destroy().unwrap();
                });
            }
            drop(template);
        });
    }
}
