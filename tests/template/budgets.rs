//! What one that stands by keeps.

use std::fs;
use std::time::{Duration, Instant};

use libcontainer::Factory;

use super::{PATIENCE, names, standing_by};

/// KiB of memory that is its own, of a process: of all mappings, or of private ones of a file.
fn private(pid: libcontainer::plan::Pid, file: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let (mut counts, mut sum) = (false, 0);
    for line in text.lines() {
        if line.contains("-p ") {
            counts = line.contains(file);
        } else if line.contains("-s ") {
            counts = file.is_empty();
        } else if counts && line.starts_with("Private_") {
            sum += line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        }
    }
    sum
}

/// Less than 64 KiB; and of the first part of its plan, which it has run, no more than a piece of a page.
#[test]
fn an_init_that_stands_by_has_little_memory() {
    let Some((_place, template)) = standing_by("an_init_that_stands_by_has_little_memory", 1) else { return };
    let dir = template.dir().join(names(&template).first().unwrap());
    let pid = Factory::new().unwrap().load(dir).unwrap().init_pid().unwrap().unwrap();
    let look = || (private(pid, ""), private(pid, "libcontainer-plan"));
    let fits = |(all, plan): (u64, u64)| (1..64).contains(&all) && plan <= 4;
    let end = Instant::now() + PATIENCE;
    // It tells that it stands by before it gives back what it needs no more.
    while !fits(look()) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (all, plan) = look();
    assert!(fits((all, plan)), "{all} and {plan} KiB");
}
