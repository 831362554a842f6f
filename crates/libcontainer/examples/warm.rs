//! Containers that stand by: how long a program waits for its container with and without them.
//!
//! `cargo run --example warm`: as root or not; the first argument may be a rootfs.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod rootfs;

use std::time::{Duration, Instant};

use libcontainer::{Factory, ProcessConfig, Template};

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 50;

fn main() -> Result<(), Failure> {
    let place = rootfs::Place::new()?;
    let dir = place.join("containers");
    std::fs::create_dir(&dir)?;
    let template = Factory::new()?.template(dir, &place.config())?;
    show("made when it is wanted", &mut rounds(&template)?);
    template.keep_ready(2)?;
    show("stood by", &mut rounds(&template)?);
    let stats = template.stats();
    println!("{} were made, {} handed over, {} failures", stats.made, stats.handed_over, stats.failures);
    Ok(())
}

/// How long a start takes, and one with the wait for its end and the call of destroy.
fn rounds(template: &Template) -> Result<Vec<(Duration, Duration)>, Failure> {
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        // One that is late is not waited for: then a container is made.
        let _ = template.settle(Duration::from_secs(5));
        let begin = Instant::now();
        let (container, mut process) = template.start(ProcessConfig::new(["true"]))?;
        let started = begin.elapsed();
        process.wait()?;
        container.destroy()?;
        all.push((started, begin.elapsed()));
    }
    Ok(all)
}

fn show(name: &str, rounds: &mut [(Duration, Duration)]) {
    rounds.sort_unstable();
    let Some((start, whole)) = rounds.get(rounds.len() / 2) else { return };
    println!("{name}: started after {} µs, over after {} µs (medians)", start.as_micros(), whole.as_micros());
}
