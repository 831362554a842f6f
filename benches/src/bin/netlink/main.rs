//! Links, addresses and routes, side by side: this library, `rtnetlink`, and `ip -batch`; then long lists.
//!
//! `netlink [ROUNDS]`, in a network namespace of its own. Medians; rounds are interleaved, so that all see the same noise.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark prints numbers")]

mod failure;
mod iproute;
mod lists;
mod other;
mod ours;
mod step;

use std::process::Command;
use std::time::Duration;

use failure::Failure;
use step::{COUNT, Lane, STEPS};

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().map(String::as_str) != Some("--inner") {
        return inner(&args);
    }
    let rounds = args.get(1).and_then(|text| text.parse().ok()).unwrap_or(9);
    operations(rounds)?;
    lists::run(rounds.max(21))
}

/// Runs itself in a network namespace that goes away with it.
fn inner(args: &[String]) -> Result<(), Failure> {
    let own = std::env::current_exe()?;
    let status = Command::new("unshare").args(["--net", "--"]).arg(own).arg("--inner").args(args).status()?;
    if status.success() { Ok(()) } else { Err(format!("{status}").into()) }
}

/// Each step is done to all links before the next one; a round does all steps with each lane.
fn operations(rounds: usize) -> Result<(), Failure> {
    let mut lanes: Vec<(&str, Box<dyn Lane>)> = vec![
        ("ours", Box::new(ours::Ours::new()?)),
        ("ours, batch", Box::new(ours::Batched::new()?)),
        ("rtnetlink", Box::new(other::Rtnetlink::new()?)),
        ("ip -batch", Box::new(iproute::Ip)),
    ];
    let mut times = vec![vec![Vec::new(); STEPS.len()]; lanes.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for ((name, lane), times) in lanes.iter_mut().zip(&mut times) {
            for (step, times) in STEPS.into_iter().zip(times) {
                let time = lane.run(step).map_err(|error| format!("{name}: {}: {error}", step.name()))?;
                if round > 0 {
                    times.extend(time);
                }
            }
        }
    }
    let names: Vec<_> = lanes.iter().map(|(name, _)| *name).collect();
    print(rounds, &names, &mut times);
    Ok(())
}

fn print(rounds: usize, names: &[&str], times: &mut [Vec<Vec<Duration>>]) {
    println!(
        "\n{rounds} rounds of {COUNT} links, µs per operation (`ip` without the time it takes to start; it looks \
         names up by itself)"
    );
    let head: String = names.iter().map(|name| format!("{name:>13}")).collect();
    println!("{:<28}{head}", "");
    let mut sums = vec![0.0; names.len()];
    for (place, step) in STEPS.into_iter().enumerate() {
        let mut row = String::new();
        for (lane, sum) in times.iter_mut().zip(&mut sums) {
            let median = lane.get_mut(place).and_then(|times| median(times));
            let each = median.map(|median| median.as_secs_f64() * 1e6 / f64::from(COUNT));
            *sum += each.unwrap_or_default();
            row += &each.map_or(format!("{:>13}", "-"), |each| format!("{each:>13.1}"));
        }
        println!("{:<28}{row}", step.name());
    }
    let row: String = sums.iter().map(|sum| format!("{sum:>13.1}")).collect();
    println!("{:<28}{row}", "all");
}

fn median(times: &mut [Duration]) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}
