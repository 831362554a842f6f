//! What a start in a container that stands by asks of the kernel, as strace(1) sees it: numbers that grow only on purpose.

use std::path::Path;

use libcontainer_tests::{Place, able, skip};

use crate::log::{Call, calls};
use crate::trace::traced;

/// Most calls of the host, for a program that was foreseen.
const HOST: usize = 20;
/// Of the init, behind the message with its program and up to that.
const INIT: usize = 30;

#[test]
fn a_start_in_one_that_stands_by_keeps_within_its_budget() {
    let name = "a_start_in_one_that_stands_by_keeps_within_its_budget";
    if !able(name) {
        return;
    }
    if !Path::new("/usr/bin/strace").exists() {
        return skip(name, "strace is not installed");
    }
    let place = Place::new("once-warm");
    place.rootfs().unwrap();
    let all = calls(&traced(&place, "once-warm"));
    let host = all.values().find(|calls| calls.iter().any(|call| call.name == "getppid")).unwrap();
    let starts: Vec<_> = host.split(|call| call.name == "getppid").skip(1).step_by(2).collect();
    assert_eq!(starts.len(), 3);
    for start in &starts[1..] {
        let calls = names(start.iter().filter(|call| !is_of_the_build(call)));
        assert!(calls.len() <= HOST, "{calls:?}");
        // What is looked at was opened before.
        assert!(!calls.iter().any(|name| name.starts_with("open")), "{calls:?}");
        assert!(start.iter().all(|call| !wakes(call)), "{calls:?}");
    }
    let inits: Vec<_> = all.values().filter_map(|calls| handed_over(calls)).map(names).collect();
    assert_eq!(inits.len(), 3);
    for calls in inits {
        assert!(calls.len() <= INIT, "{calls:?}");
        // Those that need no program.
        assert!(!calls.contains(&"keyctl") && !calls.contains(&"sethostname"), "{calls:?}");
    }
}

/// Has the template's thread run beside the program, instead of some time later. No call at all is as good: its alarm was set before, and has not
/// been heard yet.
fn wakes(call: &Call) -> bool {
    call.name == "timerfd_settime" && call.arguments.contains("it_value={tv_sec=0, tv_nsec=1}")
}

/// Locks of threads that meet, and what the standard library asks before it closes where it is built for debugging.
fn is_of_the_build(call: &Call) -> bool {
    call.name == "futex" || call.arguments.ends_with("F_GETFD")
}

/// The calls of an init from the message with its program to that.
fn handed_over(calls: &[Call]) -> Option<&[Call]> {
    let begin = calls.iter().rposition(|call| call.name == "recvmsg")?;
    let end = calls.iter().position(|call| call.name == "execve" && call.result == "0")?;
    calls.get(begin + 1..=end)
}

fn names<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Vec<&'a str> {
    calls.into_iter().map(|call| call.name.as_str()).collect()
}
