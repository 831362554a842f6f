//! stats and events: what a container uses, and what happens to it.

use std::os::fd::AsFd;
use std::time::Duration;

use libcontainer::cgroups::events::{EventSource, GroupEvents, Next, OomEvents};
use libcontainer::cgroups::stats::{Io, IoDevice, Limit, Op};
use libcontainer::{Container, ContainerStats};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use crate::arguments::{EventsArgs, StatsArgs};
use crate::failure::{Failure, Named, Outcome};
use crate::lifecycle::load;
use crate::output::{say, table};
use crate::root::State;
use crate::{size, usage};

#[inline(never)]
pub(crate) fn stats(root: &State, args: &StatsArgs) -> Outcome {
    let containers: Result<Vec<_>, _> = args.ids.iter().map(|id| load(root, id)).collect();
    let containers = containers?;
    loop {
        let all: Result<Vec<_>, _> = containers.iter().map(Container::stats).collect();
        let rows: Vec<_> = containers.iter().map(Container::id).zip(all?).collect();
        if args.format == "json" {
            for (id, stats) in &rows {
                say!("{}", json!({"id": id, "data": stats}))?;
            }
        } else {
            show(&rows)?;
        }
        let Some(seconds) = args.watch else { return Ok(0) };
        libcontainer::plan::rest(Duration::from_secs(seconds.max(1)));
    }
}

fn show(rows: &[(String, ContainerStats)]) -> Result<(), Failure> {
    let header = ["ID", "CPU %", "CPU TIME", "MEMORY", "LIMIT", "PIDS", "READ", "WRITTEN", "OOM KILLS"];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|(id, stats)| row(id, stats)));
    table(&lines)
}

fn row(id: &str, stats: &ContainerStats) -> Vec<String> {
    let group = &stats.cgroup;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let (read, written) = (moved(&group.io, Op::Read), moved(&group.io, Op::Write));
    vec![
        id.to_owned(),
        or_dash(stats.cpu_percent.map(|percent| format!("{percent:.1}"))),
        or_dash(group.cpu.usage.map(seconds)),
        or_dash(group.memory.total.usage.map(size::show)),
        or_dash(group.memory.total.limit.map(limit)),
        or_dash(group.pids.current.map(|count| count.to_string())),
        or_dash(read.map(size::show)),
        or_dash(written.map(size::show)),
        or_dash(group.memory.events.oom_kill.map(|count| count.to_string())),
    ]
}

fn limit(limit: Limit) -> String {
    match limit {
        Limit::At(bytes) => size::show(bytes),
        Limit::Max => "none".to_owned(),
    }
}

/// Bytes read or written on all devices; version 1 tells them by operation.
fn moved(io: &Io, op: Op) -> Option<u64> {
    let by_device = |device: &IoDevice| if op == Op::Read { device.read_bytes } else { device.write_bytes };
    let sums = io.devices.iter().filter_map(by_device);
    let entries = io.service_bytes.iter().filter(|entry| entry.op == Some(op)).map(|entry| entry.value);
    let all: Vec<u64> = sums.chain(entries).collect();
    (!all.is_empty()).then(|| all.iter().sum())
}

fn seconds(nanoseconds: u64) -> String {
    let hundredths = nanoseconds / 10_000_000;
    format!("{}.{:02}s", hundredths / 100, hundredths % 100)
}

#[inline(never)]
pub(crate) fn events(root: &State, args: &EventsArgs) -> Outcome {
    let container = load(root, &args.id)?;
    if args.stats {
        say!("{}", event("stats", &args.id, Some(&usage::data(&container.stats()?))))?;
        return Ok(0);
    }
    let mut sources = container.events()?;
    let process = container.init_process()?;
    loop {
        let ended = wait(
            &[sources.oom.as_ref().map(interest), sources.group.as_ref().map(interest)],
            &process,
            args.interval,
        )?;
        report(&args.id, &mut sources.oom, &mut sources.group)?;
        if ended {
            say!("{}", event("exit", &args.id, None))?;
            return Ok(0);
        }
        match container.stats() {
            Ok(stats) => say!("{}", event("stats", &args.id, Some(&usage::data(&stats))))?,
            // RACE: the container may end, and be deleted, while it is measured: the next look tells.
            Err(_) if wait(&[], &process, Duration::ZERO)? => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A line, its keys in runc's order.
fn event(kind: &str, id: &str, data: Option<&Value>) -> String {
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    format!("{{\"type\":\"{kind}\",\"id\":{}{data}}}", json!(id))
}

fn interest<S: EventSource>(source: &S) -> PollFd<'_> {
    PollFd::new(source.as_fd(), source.interest())
}

/// Waits for an event, for the end of the process (then true) or for `every` to pass.
fn wait(
    sources: &[Option<PollFd<'_>>],
    process: &libcontainer::Process,
    every: Duration,
) -> Result<bool, Failure> {
    let mut polled: Vec<_> = sources.iter().flatten().cloned().collect();
    polled.push(PollFd::new(process.as_fd(), PollFlags::POLLIN));
    // A longer one than poll can wait for is weeks.
    let limit = PollTimeout::try_from(every).unwrap_or(PollTimeout::MAX);
    match poll(&mut polled, limit) {
        // An event that nix does not know is one.
        Ok(_) => Ok(polled.last().is_some_and(|process| process.any().unwrap_or(true))),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno).named("wait for events: poll"),
    }
}

fn report(id: &str, oom: &mut Option<OomEvents>, group: &mut Option<GroupEvents>) -> Result<(), Failure> {
    let failed = |error: libcontainer::cgroups::Error| Failure::new(format!("events of {id:?}: {error}"));
    while let Some(Next::Event(_)) = oom.as_mut().map(EventSource::try_next).transpose().map_err(failed)? {
        say!("{}", event("oom", id, None))?;
    }
    while let Some(Next::Event(changed)) =
        group.as_mut().map(EventSource::try_next).transpose().map_err(failed)?
    {
        let data = json!({"populated": changed.populated, "frozen": changed.frozen});
        say!("{}", event("group", id, Some(&data)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_as_runc_does() {
        assert_eq!(event("oom", "a", None), r#"{"type":"oom","id":"a"}"#);
        assert_eq!(
            event("stats", "a", Some(&json!({"b": 1}))),
            r#"{"type":"stats","id":"a","data":{"b":1}}"#
        );
    }

    #[test]
    fn times() {
        assert_eq!(seconds(1_239_999_999), "1.23s");
    }
}
