//! Starts, side by side: the floor, this library, `nsinit`, and crun and runc where they are installed.
//!
//! `side_by_side [COUNT] [--short] [--memory] [--templates]`: with one of the last two nothing else is measured. A row that can't be measured says why.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a benchmark prints numbers"
)]

mod confinement;
mod failure;
mod library;
mod memory;
mod operators;
mod private;
mod programs;
mod rows;
mod scale;
mod stamped;
mod warm;

use std::process::Command;
use std::time::Duration;

use libcontainer::cgroups::Layout;
use libcontainer::cgroups::discovery::Mode;
use libcontainer::plan::Lane;
use libcontainer::{Config, Factory, Network, ProcessConfig, Seccomp};
use libcontainer_tests::{Place, config};

use failure::Failure;
use programs::{group, timed};
use rows::{Row, table};

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((first, rest)) if first == "--inner" => measure(&Options::parse(rest)?),
        Some((first, rest)) if first == programs::PEAK => memory::peak(rest),
        _ => Options::parse(&args).and_then(|_| private::run(&args)),
    }
}

struct Options {
    count: usize,
    short: bool,
    memory: bool,
    templates: bool,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, Failure> {
        let mut options = Self { count: 30, short: false, memory: false, templates: false };
        for arg in args {
            match arg.as_str() {
                "--short" => options.short = true,
                "--memory" => options.memory = true,
                "--templates" => options.templates = true,
                number => options.count = number.parse().map_err(|error| format!("{number:?}: {error}"))?,
            }
        }
        Ok(options)
    }
}

/// Everything lies on a tmpfs, as `/run` does where systemd set it up.
fn measure(options: &Options) -> Result<(), Failure> {
    let place = Place::new("bench");
    // As crun and runc make their config.json. What a filter costs has a table of its own.
    let config = Config { seccomp: Seccomp::Unconfined, ..config(&place.rootfs()?) };
    std::fs::create_dir(place.join("run"))?;
    if options.memory {
        return memory::hold(memory::measure(&place, &config)?);
    }
    library::same_mounts(&place, &config)?;
    // The bridge stays: making it is no part of a start. All this is in a network namespace of its own.
    timed(&place, Command::new("ip").args(["link", "add", BRIDGE, "type", "bridge"]))?;
    if options.templates {
        return templates(&place, &config, options);
    }
    for gap in [0, 60] {
        let title = format!("{gap} ms between starts");
        table(&title, "floor", starts(&place, &config)?, options.count, Duration::from_millis(gap))?;
    }
    templates(&place, &config, options)?;
    confinement::measure(&place, &config, options.count)?;
    programs::bundle(&place, &config, &["/bin/true"])?;
    scale::at_once(&place, &config, if options.short { &[16] } else { &[50, 500] })?;
    scale::standing(&place, &config, if options.short { &[4, 16] } else { &[10, 100, 1000] })?;
    init(options)?;
    groups(&place, &config, options)?;
    parts(&place, &config, options)?;
    programs::bundle(&place, &config, &["/bin/sleep", "600"])?;
    let (rows, standing) = programs::running(&place)?;
    table("in a running container", "nsinit state", rows, options.count, Duration::from_millis(20))?;
    standing.delete()?;
    operators::measure(&place, &config, options.count, if options.short { 8 } else { 200 })?;
    memory::measure(&place, &config)?;
    ballast(&place, &config, options)
}

fn templates(place: &Place, config: &Config, options: &Options) -> Result<(), Failure> {
    for gap in [0, 60] {
        let floor = library::floor_program()?;
        let rootfs = config.rootfs.clone();
        let mut rows = library::floor_rows(&floor, &rootfs);
        rows.extend(warm::rows(place, config, &format!("warm-{gap}"))?);
        let title = format!("{gap} ms between starts, templates");
        table(&title, "floor", rows, options.count, Duration::from_millis(gap))?;
    }
    Ok(())
}

const BRIDGE: &str = "lcbench0";

/// The config with a veth pair on the bridge.
fn with_veth(config: &Config) -> Config {
    let mut config = config.clone();
    config.networks.push(Network {
        kind: "veth".to_owned(),
        bridge: BRIDGE.to_owned(),
        veth_prefix: "lcb".to_owned(),
        address: "10.254.254.2/24".to_owned(),
        ..Network::default()
    });
    config
}

/// The config with a control group; none where there are none.
fn with_group(config: &Config) -> Result<Option<Config>, Failure> {
    let there = Layout::of_this_process()?.mode != Mode::Absent;
    Ok(there.then(|| Config { cgroups: Some(group()), ..config.clone() }))
}

const NO_GROUPS: &str = "no control groups are mounted";

fn starts<'a>(place: &'a Place, config: &Config) -> Result<Vec<Row<'a>>, Failure> {
    let (floor, factory) = (library::floor_program()?, Factory::new()?);
    let rootfs = config.rootfs.clone();
    let mut rows = vec![Row::own("floor", move || library::floor(&floor, &rootfs))];
    type Way = fn(&Factory, &Place, &Config) -> Result<Duration, Failure>;
    let mut add = |name: &str, way: Way, config: Option<Config>| {
        let factory = factory.clone();
        rows.push(match config {
            Some(config) => Row::own(name, move || way(&factory, place, &config)),
            None => Row::left_out(name, NO_GROUPS),
        });
    };
    let bare = Config { networks: Vec::new(), ..config.clone() };
    add("library run+wait+destroy", library::run, Some(config.clone()));
    add("library create+start+wait+destroy", library::created, Some(config.clone()));
    add("library run+wait+destroy, no interface", library::run, Some(bare));
    add("library run+wait+destroy, lo and veth", library::run, Some(with_veth(config)));
    add("library run+wait+destroy, cgroups", library::run, with_group(config)?);
    add("library, reaper and one more process", library::reaper, Some(config.clone()));
    programs::bundle(place, config, &["/bin/true"])?;
    rows.extend(programs::starts(place)?);
    Ok(rows)
}

/// What the sealed init itself costs: namespaces and exec straight, by way of the init, and with one wait for the host before the exec.
fn init(options: &Options) -> Result<(), Failure> {
    for gap in [0, 60] {
        let floor = library::floor_program()?;
        let rows = vec![
            Row::own("straight", move || library::floor(&floor, "bare".as_ref())),
            Row::own("by the sealed init", || library::planned(false)),
            Row::own("and one wait for the host", || library::planned(true)),
        ];
        let title = format!("{gap} ms gaps, exec in namespaces");
        table(&title, "the first", rows, options.count, Duration::from_millis(gap))?;
    }
    Ok(())
}

/// What a control group adds to a start: until the program runs, its end and removal not counted.
fn groups(place: &Place, config: &Config, options: &Options) -> Result<(), Failure> {
    let factory = Factory::new()?;
    let start = |config: Config| {
        let factory = factory.clone();
        move || Ok(library::spans(&factory, place, &config)?.0)
    };
    let mut rows = vec![Row::own("library run", start(config.clone()))];
    rows.push(match with_group(config)? {
        Some(limited) => Row::own("library run, cgroups", start(limited)),
        None => Row::left_out("library run, cgroups", NO_GROUPS),
    });
    table("60 ms gaps, the start alone", "the first", rows, options.count, Duration::from_millis(60))
}

/// What a start is made of: the time of each step of the host, with a control group and a veth pair.
fn parts(place: &Place, config: &Config, options: &Options) -> Result<(), Failure> {
    println!(
        "\n{} starts with a control group and a veth pair: median time of each step of the host, µs",
        options.count
    );
    let veth = with_veth(config);
    let Some(config) = with_group(&veth)? else {
        println!("left out: {NO_GROUPS}");
        return Ok(());
    };
    let factory = Factory::new()?.trace(true);
    let mut steps: Vec<(String, Vec<Duration>)> = Vec::new();
    for _ in 0..options.count {
        let (container, mut process) =
            factory.run(place.join("run/c"), &config, ProcessConfig::new(["/bin/true"]))?;
        let stamps: Vec<_> = process.timeline.iter().filter(|stamp| stamp.lane == Lane::Host).collect();
        for (index, stamp) in stamps.iter().enumerate() {
            let end = stamps.get(index + 1).map_or(stamp.at, |next| next.at);
            if steps.len() <= index {
                steps.push((stamp.text.chars().take(60).collect(), Vec::new()));
            }
            steps[index].1.push(end.saturating_sub(stamp.at));
        }
        process.wait()?;
        container.destroy()?;
    }
    for (text, times) in &mut steps {
        times.sort_unstable();
        let median = times.get(times.len() / 2).map_or(0, Duration::as_micros);
        println!("{text:<62} {median:>6}");
    }
    Ok(())
}

/// The cost of a start must not depend on the memory of the program that makes it.
fn ballast(place: &Place, config: &Config, options: &Options) -> Result<(), Failure> {
    let factory = Factory::new()?;
    let mut rows = Vec::new();
    for gib in [0, 1, 4] {
        let times = match no_room(gib, options)? {
            Some(reason) => Err(reason),
            None => {
                let memory = std::hint::black_box(vec![1_u8; gib << 30]);
                let times: Result<Vec<_>, _> =
                    (0..options.count).map(|_| library::run(&factory, place, config)).collect();
                drop(memory);
                Ok(times?)
            }
        };
        rows.push((format!("{gib} GiB dirty"), times));
    }
    rows::print(&format!("{} rounds, run+wait+destroy with", options.count), "no ballast", rows);
    Ok(())
}

/// Why so much memory is not to be had. Half of what is free stays so.
fn no_room(gib: usize, options: &Options) -> Result<Option<String>, Failure> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let free: usize =
        line.and_then(|line| line.split_whitespace().next()).ok_or("no MemAvailable")?.parse()?;
    Ok(match gib {
        2.. if options.short => Some("--short".to_owned()),
        _ if (free >> 20) < 2 * gib => Some(format!("{} MiB are available", free >> 10)),
        _ => None,
    })
}
