//! Starts, side by side: the floor, this library, `nsinit`, and crun and runc where they are installed.
//!
//! `side_by_side [COUNT]`. Medians with the 10th and 90th percentile, in microseconds; rounds are interleaved, so that all see the same noise.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a benchmark prints numbers"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libcontainer::{Config, Factory, ProcessConfig};
use libcontainer_tests::{Place, config};

type Failure = Box<dyn std::error::Error>;
type Job<'a> = (&'static str, Box<dyn FnMut() -> Result<Duration, Failure> + 'a>);

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().map(String::as_str) != Some("--inner") {
        return inner(&args);
    }
    let count = args.get(1).and_then(|text| text.parse().ok()).unwrap_or(30);
    let place = Place::new("bench");
    let config = config(&place.rootfs()?);
    for gap in [0, 60] {
        println!("\n{count} rounds, {gap} ms between starts      median    p10    p90  µs   of floor");
        let mut jobs = jobs(&place, &config)?;
        table(&mut jobs, count, Duration::from_millis(gap))?;
    }
    Ok(())
}

/// Runs itself in a mount namespace without the v2 hierarchy: crun refuses a hybrid layout.
fn inner(args: &[String]) -> Result<(), Failure> {
    let own = std::env::current_exe()?;
    let script = "umount -l /sys/fs/cgroup/unified 2>/dev/null; exec \"$0\" --inner \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(own).args(args);
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{status}").into()) }
}

fn jobs<'a>(place: &'a Place, config: &'a Config) -> Result<Vec<Job<'a>>, Failure> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name("floor");
    let factory = Factory::new()?;
    let (one, two) = (factory.clone(), factory.clone());
    let mut jobs: Vec<Job<'a>> = vec![("floor", Box::new(move || floor(&program, config)))];
    jobs.push(("library run+wait+destroy", Box::new(move || library(&one, place, config))));
    jobs.push(("library create+start+wait+destroy", Box::new(move || reaper(&two, place, config))));
    bundle(place, config)?;
    jobs.extend(commands(place, own.with_file_name("nsinit")));
    Ok(jobs)
}

fn floor(program: &Path, config: &Config) -> Result<Duration, Failure> {
    let output = Command::new(program).arg(&config.rootfs).args(["1", "0"]).output()?;
    Ok(Duration::from_micros(String::from_utf8(output.stdout)?.trim().parse()?))
}

fn library(factory: &Factory, place: &Place, config: &Config) -> Result<Duration, Failure> {
    let start = Instant::now();
    let (container, mut process) = factory.run(place.join("c"), config, ProcessConfig::new(["/bin/true"]))?;
    process.wait()?;
    container.destroy()?;
    Ok(start.elapsed())
}

fn reaper(factory: &Factory, place: &Place, config: &Config) -> Result<Duration, Failure> {
    let start = Instant::now();
    let container = factory.create(place.join("c"), config)?;
    container.start(ProcessConfig::new(["/bin/true"]))?.wait()?;
    container.destroy()?;
    Ok(start.elapsed())
}

/// One directory that serves both: container.json and config.json.
fn bundle(place: &Place, config: &Config) -> Result<(), Failure> {
    let mut config = config.clone();
    config.args = vec!["/bin/true".into()];
    std::fs::write(place.join("container.json"), config.to_json()?)?;
    let _ = std::fs::remove_file(place.join("config.json"));
    let Ok(status) = Command::new("crun").arg("spec").current_dir(place.path()).status() else {
        return Ok(());
    };
    if status.success() {
        let mut spec: serde_json::Value = serde_json::from_slice(&std::fs::read(place.join("config.json"))?)?;
        spec["process"]["terminal"] = false.into();
        spec["process"]["args"] = serde_json::json!(["/bin/true"]);
        std::fs::write(place.join("config.json"), spec.to_string())?;
    }
    Ok(())
}

fn commands(place: &Place, nsinit: PathBuf) -> Vec<Job<'_>> {
    let mut all: Vec<Job<'_>> = Vec::new();
    for (name, program) in
        [("nsinit run", nsinit), ("crun run", "/usr/bin/crun".into()), ("runc run", "/usr/sbin/runc".into())]
    {
        if program.exists() {
            let root = place.join(name);
            all.push((
                name,
                Box::new(move || {
                    timed(
                        Command::new(&program)
                            .arg("--root")
                            .arg(&root)
                            .args(["run", "--bundle"])
                            .arg(place.path())
                            .arg("bench"),
                    )
                }),
            ));
        }
    }
    all
}

fn timed(command: &mut Command) -> Result<Duration, Failure> {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(start.elapsed());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

fn table(jobs: &mut [Job<'_>], count: usize, gap: Duration) -> Result<(), Failure> {
    let mut times = vec![Vec::new(); jobs.len()];
    for _ in 0..count {
        for ((_, job), times) in jobs.iter_mut().zip(&mut times) {
            std::thread::sleep(gap);
            times.push(job()?);
        }
    }
    let mut base = None;
    for ((name, _), times) in jobs.iter().zip(&mut times) {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros);
        let median = at(50);
        let floor = *base.get_or_insert(median.max(1));
        println!(
            "{name:<40} {median:>9} {:>6} {:>6}   {:>9.2}",
            at(10),
            at(90),
            median as f64 / floor as f64
        );
    }
    Ok(())
}
