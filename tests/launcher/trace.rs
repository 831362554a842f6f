//! `strace` of the child equals `explain`: the calls, their order, and what `explain` says of their arguments.

use std::fs;
use std::iter::Peekable;
use std::path::Path;
use std::process::Command;

use libcontainer::plan::{Lane, StepView};
use libcontainer::{Factory, Plan, ProcessConfig};
use libcontainer_tests::{Place, able, config, config_with_mounts, skip};

use crate::arguments::Arguments;
use crate::log::{Call, calls};

/// System calls of the init before the plan: it makes itself untraceable, says its name, and maps board and plan.
const PROLOGUE: [&str; 4] = ["prctl", "prctl", "mmap", "mmap"];

#[test]
fn the_init_does_what_explain_says() {
    if !able("the_init_does_what_explain_says") {
        return;
    }
    if !Path::new("/usr/bin/strace").exists() {
        return skip("the_init_does_what_explain_says", "strace is not installed");
    }
    for mode in ["once", "once-reaper", "once-mounts", "once-join"] {
        let place = Place::new(mode);
        let mut config = match mode {
            "once-mounts" => config_with_mounts(&place.rootfs().unwrap()),
            _ => config(&place.rootfs().unwrap()),
        };
        config.cgroups = Some(place.cgroup());
        let text = traced(&place, mode);
        let factory = Factory::new().unwrap();
        let process = ProcessConfig::new(["true"]);
        let plan = match mode {
            "once-reaper" => factory.explain(&config, None).unwrap(),
            "once-join" => {
                let container = factory.create(place.join("shown"), &config).unwrap();
                let plan = container.explain(&process).unwrap();
                container.destroy().unwrap();
                plan
            }
            _ => factory.explain(&config, Some(&process)).unwrap(),
        };
        compare(mode, &plan, &calls_of_the_last_init(&text));
    }
}

pub(crate) fn traced(place: &Place, mode: &str) -> String {
    let log = place.join("log");
    let mut command = Command::new("strace");
    command.args(["-f", "-xx", "-s", "4096", "-o"]).arg(&log).arg(env!("CARGO_BIN_EXE_victim"));
    command.arg(place.path()).arg(place.join("rootfs")).args([mode, "-"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{mode}: {output:?}");
    fs::read_to_string(&log).unwrap()
}

/// The calls behind its `execveat`, and behind a `clone3` those of the child by which it goes on: the old process only leaves.
fn calls_of_the_last_init(text: &str) -> Vec<Call> {
    let mut all = calls(text);
    let start = text.lines().rfind(|line| line.contains("execveat(")).unwrap();
    let mut calls = all.remove(start.split(' ').next().unwrap()).unwrap();
    let begin = calls.iter().position(|call| call.name == "execveat").unwrap();
    calls.drain(..=begin);
    while let Some(at) = calls.iter().position(|call| call.name == "clone3" && all.contains_key(&call.result))
    {
        calls.truncate(at + 1);
        let child = all.remove(&calls[at].result).unwrap();
        calls.extend(child);
    }
    calls
}

/// Walks the plan as the init does: each call's result says which step is next.
fn compare(mode: &str, plan: &Plan, calls: &[Call]) {
    let names: Vec<_> = calls.iter().take(PROLOGUE.len()).map(|call| call.name.as_str()).collect();
    assert_eq!(names, PROLOGUE, "{mode}");
    let steps: Vec<_> = plan.steps(Lane::Child).collect();
    let mut left = calls.iter().skip(PROLOGUE.len()).peekable();
    let mut arguments = Arguments::new();
    let mut wrong = Vec::new();
    let mut index = 0;
    while let Some(step) = steps.get(index) {
        // It goes on for as long as the container lives.
        if step.call.starts_with("reap ") {
            break;
        }
        if step.call.starts_with("compare ") {
            index += 1;
            continue;
        }
        let name = step.call.split(['(', ' ']).next().unwrap();
        let mut result = "";
        if name == "openat2" {
            let call = opened(step, &mut left);
            wrong.extend(arguments.check(&step.call, &call).err().map(|why| format!("{why}: {}", step.call)));
            index = next(step, &call.result);
            continue;
        }
        for _ in 0..step.syscalls {
            let call = left.next().unwrap_or_else(|| panic!("{mode} {index}: {} was not called", step.call));
            let shown = || {
                format!("{mode} {index}: {}\n{}({}) = {}", step.call, call.name, call.arguments, call.result)
            };
            assert_eq!(call.name, name, "{}", shown());
            if step.syscalls == 1 {
                // The container is called 0.
                let told = step.call.replace("_ses.ID", "_ses.0");
                wrong.extend(arguments.check(&told, call).err().map(|why| format!("{why}: {}", shown())));
            }
            result = &call.result;
        }
        if name == "execve" {
            break;
        }
        index = next(step, result);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        arguments.compared > 3 * arguments.calls / 2,
        "{mode}: {} of {}",
        arguments.compared,
        arguments.calls
    );
}

/// The calls of a step that opens, as one: the first of them with the result of all. What is missing is made name by name, until the
/// whole is opened again; of a file the kind is looked at.
fn opened<'a>(step: &StepView, left: &mut Peekable<impl Iterator<Item = &'a Call>>) -> Call {
    let mut left_of = |name: &[&str]| {
        let call = left.next().unwrap_or_else(|| panic!("{}: not called", step.call));
        assert!(name.contains(&call.name.as_str()), "{}: {}({})", step.call, call.name, call.arguments);
        (call, left.peek().map_or("", |next| next.name.as_str()))
    };
    let first = loop {
        let (call, _) = left_of(&["openat2"]);
        if !call.result.contains("EAGAIN") {
            break call;
        }
    };
    let mut result = &first.result;
    while step.call.contains(" made if missing: ") && result.starts_with("-1 ENOENT") {
        let (call, next) = left_of(&["openat2", "readlinkat", "mkdirat", "mknodat", "close"]);
        // A parent is opened to look at a name in it.
        if call.name == "openat2" && next != "readlinkat" {
            result = &call.result;
        }
    }
    if step.syscalls == 2 {
        assert_eq!(left_of(&["statx"]).0.result, "0", "{}", step.call);
    }
    Call { name: first.name.clone(), arguments: first.arguments.clone(), result: result.clone() }
}

fn next(step: &StepView, result: &str) -> usize {
    let mut words = result.split(' ');
    let (value, errno) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let outcome = if value == "-1" { errno } else { "ok" };
    let named = step.outcomes.iter().filter_map(|outcome| outcome.split_once(" → "));
    let to = named.filter(|(name, _)| *name == outcome).map(|(_, to)| to).next();
    assert!(value != "-1" || to.is_some(), "{}: {result}", step.call);
    to.and_then(|to| to.parse().ok()).unwrap_or(step.index + 1)
}
