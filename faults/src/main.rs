//! `faults`: what `cargo xtask faults` runs. Each system call of each command fails once, in a run of its own, and the host is compared before and after.
//!
//! The coordinator (`pool`) starts workers, each with mounts and a network of its own (`place`). A worker runs a command (`scene`) under ptrace (`tracer`), lets one call
//! fail (`fault`), and judges (`verdict`) what was said, how the container was confined (`view`) and what is left (`world`).
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

mod agent;
mod arch;
mod bundle;
mod call;
mod calls;
mod class;
mod confined;
mod fault;
mod memory;
mod options;
mod place;
mod pool;
mod probe;
mod programs;
mod reaper;
mod report;
mod sample;
mod scene;
mod service;
mod settle;
mod shim;
mod sites;
mod stack;
mod tracer;
mod verdict;
mod view;
mod watch;
mod worker;
mod world;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use fault::Point;
use options::Options;
use report::{Report, Trial};
use sample::Counted;
use sites::{Done, Sites};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["stage", program, rest @ ..] => stage(program, rest),
        ["worker", dir, tag] => worker::run(Path::new(dir), tag).map(|()| true),
        ["--help" | "-h"] => {
            println!("{}", options::USAGE);
            Ok(true)
        }
        _ => coordinate(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Stops until it is traced, then becomes the program.
fn stage(program: &str, args: &[&str]) -> Result<bool> {
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)?;
    Err(Command::new(program).args(args).exec()).with_context(|| program.to_owned())
}

fn coordinate(args: &[String]) -> Result<bool> {
    let options = Options::parse(args)?;
    if !nix::unistd::geteuid().is_root() {
        bail!("needs root: each worker has a network and mounts of its own, and traces what is not dumpable");
    }
    let mut report = Report::default();
    let counted = if options.only.is_empty() { counted(&options, &mut report)? } else { Vec::new() };
    let points = match options.only.is_empty() {
        true if options.sites => Vec::new(),
        true => selected(&counted, &options),
        false => options.only.clone(),
    };
    let sites = Sites::of(&counted, &options);
    if options.calls {
        match options.sites {
            true => {
                let aims = sites.aims(&Done::default(), 0).len();
                println!("{}, {aims} trials would be made", sites.size());
            }
            false => println!("{} trials would be made of these", points.len()),
        }
        return Ok(true);
    }
    match options.sites {
        true => each_site(&sites, &options, &mut report),
        false => report.trials = tried(&points, &options),
    }
    let doubtful = report.doubtful();
    if !doubtful.is_empty() && options.again > 0 {
        let again: Vec<_> = std::iter::repeat_n(doubtful, options.again).flatten().collect();
        report.repeated(&tried(&again, &options));
    }
    let text = report.text();
    print!("{text}");
    if let Some(path) = &options.report {
        std::fs::write(path, &text).with_context(|| path.clone())?;
        std::fs::write(format!("{path}.kinds"), report.kinds()).with_context(|| path.clone())?;
    }
    Ok(report.is_good())
}

/// Traces each command once.
fn counted(options: &Options, report: &mut Report) -> Result<Vec<(&'static str, Vec<Counted>)>> {
    let scenes = options.scenes();
    for (scene, why) in scenes.iter().filter_map(|scene| Some((scene, scene.bundle.missing()?))) {
        println!("left out: {}: {why}", scene.name);
    }
    let scenes: Vec<_> = scenes.into_iter().filter(|scene| scene.bundle.missing().is_none()).collect();
    let mut traced = BTreeMap::new();
    let walk = if options.sites { worker::WALK } else { "" };
    let before = format!("{walk}{}", worker::TRACE);
    let requests = scenes.iter().map(|scene| format!("{before}{}", scene.name)).collect();
    pool::run(requests, options.jobs, |request, answer| {
        traced.insert(request.trim_start_matches(&before).to_owned(), answer.clone());
    });
    let mut all = Vec::new();
    for scene in &scenes {
        let answer = traced.get(scene.name).context("a command was not traced")?;
        if let Some(error) = answer.get("error").and_then(Value::as_str) {
            eprintln!("{} fails without a fault: {error}", scene.name);
            report.broken.push(format!("{}: {error}", scene.name));
            continue;
        }
        let calls = sample::read(answer)?;
        for call in &calls {
            *report.calls.entry((scene.name.to_owned(), call.who)).or_default() += 1;
            if options.calls && options.wants(call.who, &call.call) {
                let site = call.site.as_ref().map(|site| format!("  {site}")).unwrap_or_default();
                let who = call.who.name();
                println!("{}:{who}:{}:{}  {}{site}", scene.name, call.number, call.call, call.object);
            }
        }
        all.push((scene.name, calls));
    }
    Ok(all)
}

/// What to try, evenly spread over the calls.
fn selected(counted: &[(&'static str, Vec<Counted>)], options: &Options) -> Vec<Point> {
    let all: Vec<_> = counted.iter().map(|(scene, calls)| sample::all(scene, calls, options)).collect();
    if options.all {
        return all.concat();
    }
    let sizes: Vec<_> = all.iter().map(Vec::len).collect();
    let shares = sample::shares(&sizes, options.count);
    all.iter().zip(shares).flat_map(|(points, count)| sample::some(points, count, options.seed)).collect()
}

/// Tries each place; those where something else came, as threads come when they like, are tried again by another of their calls.
fn each_site(sites: &Sites<'_>, options: &Options, report: &mut Report) {
    const ROUNDS: usize = 4;
    let (mut trials, mut done) = (Vec::new(), Done::default());
    for round in 0..ROUNDS {
        let aims = sites.aims(&done, round);
        println!("{}, round {round}: {} trials", sites.size(), aims.len());
        let points: Vec<_> = aims.iter().map(|aim| aim.point.clone()).collect();
        let new = tried(&points, options);
        sites.note(&aims, &new, &mut done);
        trials.extend(new);
    }
    report.places = sites.told(&done);
    report.trials = trials;
}

fn tried(points: &[Point], options: &Options) -> Vec<Trial> {
    let walk = if options.sites { worker::WALK } else { "" };
    let requests: Vec<_> = points.iter().map(|point| format!("{walk}{point}")).collect();
    let (total, begin) = (requests.len(), std::time::Instant::now());
    let (mut trials, mut bad) = (Vec::with_capacity(total), 0);
    pool::run(requests, options.jobs, |request, answer| {
        let Ok(point) = Point::parse(request.trim_start_matches(walk)) else { return };
        let trial = Trial::read(point, answer);
        bad += usize::from(!trial.findings.is_empty());
        if options.verbose {
            print!("{}", trial.describe());
        }
        trials.push(trial);
        let done = trials.len();
        if done % 100 == 0 || done == total {
            eprintln!("{done} of {total} trials, {bad} bad, {:.0} s", begin.elapsed().as_secs_f64());
        }
    });
    trials.sort_by_cached_key(|trial| trial.point.place());
    trials
}
