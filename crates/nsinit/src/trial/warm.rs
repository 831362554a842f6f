//! `try --warm`: the command in a container that stood by.

use std::path::Path;
use std::time::{Duration, Instant};

use libcontainer::{Config, Factory, ProcessConfig, RunState, Template};

use super::foreground;
use crate::failure::{Failure, Outcome, both};
use crate::program;
use crate::streams::note;

/// How long a container may take to be made.
const LIMIT: Duration = Duration::from_secs(30);

/// Has one stand by, hands the command over, and says what that took.
pub(super) fn run(
    dir: &Path,
    config: &Config,
    process: ProcessConfig,
    signals: &foreground::Signals,
) -> Outcome {
    let factory = Factory::new()?;
    let template = factory.template(dir, config)?;
    let begin = Instant::now();
    template.keep_ready(1)?;
    if !template.settle(LIMIT) {
        let error = template.stats().last_error.unwrap_or_default();
        return Err(Failure::new(format!("no container came to stand by: {error}")));
    }
    let (made, memory) = (begin.elapsed(), memory(&factory, dir));
    // The next one would be made beside the command.
    let begin = Instant::now();
    let (container, mut process) = template.start(process).map_err(|error| program::failure(&error))?;
    let started = begin.elapsed();
    template.keep_ready(0)?;
    tell(&template, made, started, memory);
    let outcome = foreground::wait(signals, &mut process);
    both(outcome, container.destroy_now().map_err(Failure::from))
}

fn tell(template: &Template, made: Duration, started: Duration, memory: Option<u64>) {
    let stood = if template.stats().handed_over == 1 { "stood by" } else { "was made then" };
    let memory = memory.map_or(String::new(), |kib| format!("; waiting, its init had {kib} KiB of its own"));
    note(format_args!(
        "the container took {} µs to make; the program ran {} µs after it was asked for, in one that {stood}{memory}",
        made.as_micros(),
        started.as_micros()
    ));
}

/// KiB of private memory of the init that stands by; root alone is shown it.
fn memory(factory: &Factory, dir: &Path) -> Option<u64> {
    // What can't be looked at is left out: it is told for interest only.
    let names = libcontainer::plan::names(std::fs::File::open(dir).ok()?).ok()?;
    let mut all = names.iter().filter_map(|name| factory.load(dir.join(name)).ok()?.look().ok());
    let (_, pid) = all.find(|(state, _)| *state == RunState::Warm)?;
    let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", pid?)).ok()?;
    let private = text.lines().filter(|line| line.starts_with("Private_"));
    Some(private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum())
}
