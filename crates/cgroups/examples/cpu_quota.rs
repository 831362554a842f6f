//! Shows how well a quota holds: a busy loop gets a quarter and then a half of one processor, for five seconds each.
//! `cpu_quota [SECONDS]`, as root.
#![allow(clippy::print_stdout, reason = "that's what it is for")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libcontainer_cgroups::limits::{OnRefusal, update};
use libcontainer_cgroups::resources::{Cpu, Resources};
use libcontainer_cgroups::stats::{Parts, Reader, Stats};
use libcontainer_cgroups::{Existing, Group, GroupPath, Layout, Pid, Plan, Select};

type Failure = Box<dyn std::error::Error>;

/// Microseconds, as usual.
const PERIOD: u64 = 100_000;

fn main() -> Result<(), Failure> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let path = GroupPath::new(format!("cpu-quota-{}", std::process::id()))?;
    let group = Plan::new(&Layout::of_this_process()?, &path, &Select::Usable)?.make(Existing::Refuse)?;
    let mut child =
        Command::new("sh").args(["-c", "read -r _; while :; do :; done"]).stdin(Stdio::piped()).spawn()?;
    let shown = show(&group, Pid::new(i32::try_from(child.id())?)?, child.stdin.take(), seconds);
    group.destroy(Duration::from_secs(10))?;
    child.wait()?;
    shown
}

/// Its standard input lets the loop go once it is in the group.
fn show(
    group: &Group,
    pid: Pid,
    start: Option<std::process::ChildStdin>,
    seconds: u64,
) -> Result<(), Failure> {
    group.attach(pid)?;
    limit(group, 25)?;
    drop(start);
    for percent in [25, 50] {
        // Also live: the loop runs on.
        limit(group, percent)?;
        let (before, start) = (used(group)?, Instant::now());
        std::thread::sleep(Duration::from_secs(seconds));
        let (time, after) = (start.elapsed(), used(group)?);
        let share = 100.0 * (after - before).as_secs_f64() / time.as_secs_f64();
        println!("quota {percent} %: {share:.2} % used in {:.2} s", time.as_secs_f64());
    }
    Ok(())
}

fn limit(group: &Group, percent: u64) -> Result<(), Failure> {
    let quota = i64::try_from(PERIOD * percent / 100)?;
    let cpu = Cpu { quota: Some(quota), period: Some(PERIOD), ..Cpu::default() };
    Ok(update(group, &Resources { cpu: Some(cpu), ..Resources::default() }, OnRefusal::RollBack)?)
}

fn used(group: &Group) -> Result<Duration, Failure> {
    let mut stats = Stats::default();
    Reader::with(&group.sources(), Parts::CPU, Default::default())?.read_into(&mut stats)?;
    stats.cpu.usage.map(Duration::from_nanos).ok_or_else(|| "the kernel doesn't count processor time".into())
}
