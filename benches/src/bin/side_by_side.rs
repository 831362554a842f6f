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

use libcontainer::plan::Lane;
use libcontainer::{Cgroup, Config, Factory, Network, ProcessConfig};
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
    memory(&place)?;
    same_mounts(&place, &config)?;
    bridge()?;
    for gap in [0, 60] {
        println!("\n{count} rounds, {gap} ms between starts      median    p10    p90  µs   of floor");
        let mut jobs = jobs(&place, &config)?;
        table(&mut jobs, count, Duration::from_millis(gap))?;
    }
    init(count)?;
    groups(&place, &config, count)?;
    parts(&place, &config, count)?;
    running(&place, count)?;
    ballast(&place, &config, count)?;
    timed(Command::new("umount").arg(place.join("run"))).map(drop)
}

/// State directories are on a tmpfs, as `/run` is where systemd set it up.
fn memory(place: &Place) -> Result<(), Failure> {
    std::fs::create_dir(place.join("run"))?;
    let path = place.join("run");
    timed(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "tmpfs"]).arg(path)).map(drop)
}

/// The floor is one only if it makes what the container has: both show their mounts, but for numbers.
fn same_mounts(place: &Place, config: &Config) -> Result<(), Failure> {
    let show = ProcessConfig::new(["/bin/cat", "/proc/self/mountinfo"]).piped();
    let (container, process) = Factory::new()?.run(place.join("run/c"), config, show)?;
    let ours = process.output(4096)?.stdout;
    container.destroy()?;
    let floor = Command::new(floor_program()?).arg(&config.rootfs).arg("mounts").output()?.stdout;
    let (ours, floor) = (mounts(&ours), mounts(&floor));
    if ours == floor && !ours.is_empty() {
        return Ok(());
    }
    Err(format!("the floor has other mounts: {floor:#?}, not {ours:#?}").into())
}

/// Root, place, options and kind of each mount; not the numbers before them and the options of the whole filesystem behind.
fn mounts(table: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(table).into_owned();
    let of_mount = |line: &str| Some(line.rsplit_once(' ')?.0.splitn(4, ' ').nth(3)?.to_owned());
    let mut all: Vec<_> = text.lines().filter_map(of_mount).collect();
    all.sort_unstable();
    all
}

fn floor_program() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?.with_file_name("floor"))
}

/// The bridge stays: making it is no part of a start. All this is in a network namespace of its own.
fn bridge() -> Result<(), Failure> {
    timed(Command::new("ip").args(["link", "add", BRIDGE, "type", "bridge"])).map(drop)
}

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

/// `exec` and `state` of a container that runs.
fn running(place: &Place, count: usize) -> Result<(), Failure> {
    println!("\n{count} rounds, in a running container       median    p10    p90  µs   of nsinit state");
    let programs = programs();
    let mut jobs: Vec<Job<'_>> = Vec::new();
    std::fs::create_dir_all(place.join("run"))?;
    for (name, program) in &programs {
        let root = place.join("run").join(format!("{name}-running"));
        let base = move || {
            let mut command = Command::new(program);
            command.arg("--root").arg(&root);
            command
        };
        sleeper(place, name)?;
        timed(
            base()
                .args(["run", "--detach", "--bundle"])
                .arg(place.path())
                .arg(id(name))
                .stdout(Stdio::null()),
        )?;
        let again = base.clone();
        jobs.push((
            leak(format!("{name} state")),
            Box::new(move || timed(base().arg("state").arg(id(name)))),
        ));
        jobs.push((
            leak(format!("{name} exec")),
            Box::new(move || timed(again().arg("exec").arg(id(name)).arg("/bin/true"))),
        ));
    }
    let result = table(&mut jobs, count, Duration::from_millis(20));
    for (name, program) in &programs {
        let root = place.join("run").join(format!("{name}-running"));
        timed(Command::new(program).arg("--root").arg(root).args(["delete", "--force"]).arg(id(name)))?;
    }
    result
}

/// Names live as long as the program.
fn leak(name: String) -> &'static str {
    Box::leak(name.into_boxed_str())
}

/// Makes the bundle's program one that stays.
fn sleeper(place: &Place, name: &str) -> Result<(), Failure> {
    let (file, key) = if name == "nsinit" { ("container.json", "args") } else { ("config.json", "process") };
    let path = place.join(file);
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    let args = serde_json::json!(["/bin/sleep", "600"]);
    if key == "args" {
        config["args"] = args;
    } else {
        config["process"]["args"] = args;
    }
    Ok(std::fs::write(path, config.to_string())?)
}

/// The cost of a start must not depend on the memory of the program that makes it.
fn ballast(place: &Place, config: &Config, count: usize) -> Result<(), Failure> {
    println!("\n{count} rounds, run+wait+destroy with       median    p10    p90  µs   of no ballast");
    let factory = Factory::new()?;
    let mut rows = Vec::new();
    for (name, gib) in [("0 GiB dirty", 0), ("1 GiB dirty", 1), ("4 GiB dirty", 4)] {
        let memory = std::hint::black_box(vec![1_u8; gib << 30]);
        let times: Result<Vec<_>, _> = (0..count).map(|_| library(&factory, place, config)).collect();
        rows.push((name, times?));
        drop(memory);
    }
    rows_of(&mut rows);
    Ok(())
}

/// Runs itself in a mount namespace without the v2 hierarchy, as crun refuses a hybrid layout, and in a network namespace.
fn inner(args: &[String]) -> Result<(), Failure> {
    let own = std::env::current_exe()?;
    let script = "umount -l /sys/fs/cgroup/unified 2>/dev/null; exec \"$0\" --inner \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private", "sh", "-c", script]).arg(own).args(args);
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{status}").into()) }
}

fn jobs<'a>(place: &'a Place, config: &'a Config) -> Result<Vec<Job<'a>>, Failure> {
    let program = floor_program()?;
    let factory = Factory::new()?;
    let (one, two) = (factory.clone(), factory.clone());
    let mut jobs: Vec<Job<'a>> = vec![("floor", Box::new(move || floor(&program, &config.rootfs)))];
    jobs.push(("library run+wait+destroy", Box::new(move || library(&one, place, config))));
    jobs.push(("library create+start+wait+destroy", Box::new(move || created(&two, place, config))));
    let (three, four, five, six) = (factory.clone(), factory.clone(), factory.clone(), factory.clone());
    let (bare, veth) = (Config { networks: Vec::new(), ..config.clone() }, with_veth(config));
    jobs.push(("library run+wait+destroy, no interface", Box::new(move || library(&five, place, &bare))));
    jobs.push(("library run+wait+destroy, lo and veth", Box::new(move || library(&six, place, &veth))));
    let limited = Config { cgroups: Some(group()), ..config.clone() };
    jobs.push(("library run+wait+destroy, cgroups", Box::new(move || library(&four, place, &limited))));
    jobs.push(("library, reaper and one more process", Box::new(move || reaper(&three, place, config))));
    bundle(place, config)?;
    jobs.extend(commands(place));
    Ok(jobs)
}

fn floor(program: &Path, rootfs: &Path) -> Result<Duration, Failure> {
    let output = Command::new(program).arg(rootfs).args(["1", "0"]).output()?;
    Ok(Duration::from_micros(String::from_utf8(output.stdout)?.trim().parse()?))
}

fn library(factory: &Factory, place: &Place, config: &Config) -> Result<Duration, Failure> {
    Ok(spans(factory, place, config)?.1)
}

/// The time until the program runs, and until all is gone again.
fn spans(factory: &Factory, place: &Place, config: &Config) -> Result<(Duration, Duration), Failure> {
    let start = Instant::now();
    let (container, mut process) =
        factory.run(place.join("run/c"), config, ProcessConfig::new(["/bin/true"]))?;
    let running = start.elapsed();
    process.wait()?;
    container.destroy()?;
    Ok((running, start.elapsed()))
}

fn created(factory: &Factory, place: &Place, config: &Config) -> Result<Duration, Failure> {
    let start = Instant::now();
    let program = ProcessConfig::new(["/bin/true"]);
    let (container, mut process) = factory.create_with(place.join("run/c"), config, program)?;
    container.run()?;
    process.wait()?;
    container.destroy()?;
    Ok(start.elapsed())
}

fn reaper(factory: &Factory, place: &Place, config: &Config) -> Result<Duration, Failure> {
    let start = Instant::now();
    let container = factory.create(place.join("run/c"), config)?;
    container.start(ProcessConfig::new(["/bin/true"]))?.wait()?;
    container.destroy()?;
    Ok(start.elapsed())
}

/// What a control group adds to a start: until the program runs, its end and removal not counted.
fn groups(place: &Place, config: &Config, count: usize) -> Result<(), Failure> {
    println!("\n{count} rounds, 60 ms gaps, the start alone       median    p10    p90  µs   of the first");
    let (one, two) = (Factory::new()?, Factory::new()?);
    let limited = Config { cgroups: Some(group()), ..config.clone() };
    let mut jobs: Vec<Job<'_>> = vec![("library run", Box::new(move || Ok(spans(&one, place, config)?.0)))];
    jobs.push(("library run, cgroups", Box::new(move || Ok(spans(&two, place, &limited)?.0))));
    table(&mut jobs, count, Duration::from_millis(60))
}

/// What the sealed init itself costs: namespaces and exec straight, by way of the init, and with one wait for the host before the exec.
fn init(count: usize) -> Result<(), Failure> {
    for gap in [0, 60] {
        println!(
            "\n{count} rounds, {gap} ms gaps, exec in namespaces     median    p10    p90  µs   of the first"
        );
        let program = floor_program()?;
        let mut jobs: Vec<Job<'_>> = vec![("straight", Box::new(move || floor(&program, "bare".as_ref())))];
        jobs.push(("by the sealed init", Box::new(|| planned(false))));
        jobs.push(("and one wait for the host", Box::new(|| planned(true))));
        table(&mut jobs, count, Duration::from_millis(gap))?;
    }
    Ok(())
}

fn planned(wait: bool) -> Result<Duration, Failure> {
    use libcontainer::plan::{Builder, Launch, wire};
    let start = Instant::now();
    let mut plan = Builder::new();
    let new =
        libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWPID | libc::CLONE_NEWNET;
    plan.namespaces(u64::from(wire::unsigned(new)));
    plan.start_init();
    if wait {
        plan.notify_host("ready");
        plan.await_host("committed");
    }
    plan.exec(&["/bin/true".into()], &[b"true".to_vec()], &[]);
    plan.await_exec();
    let status = Launch::new(plan.seal()?).run()?.wait()?;
    let taken = start.elapsed();
    match status {
        nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(taken),
        other => Err(format!("/bin/true: {other:?}").into()),
    }
}

fn group() -> Cgroup {
    Cgroup { path: format!("lcbench-library-{}", std::process::id()).into(), ..Cgroup::default() }
}

/// What a start is made of: the time of each step of the host, with a control group and a veth pair.
fn parts(place: &Place, config: &Config, count: usize) -> Result<(), Failure> {
    println!(
        "\n{count} starts with a control group and a veth pair: median time of each step of the host, µs"
    );
    let factory = Factory::new()?.trace(true);
    let config = Config { cgroups: Some(group()), ..with_veth(config) };
    let mut steps: Vec<(String, Vec<Duration>)> = Vec::new();
    for _ in 0..count {
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

const BRIDGE: &str = "lcbench0";

/// One directory that serves both: container.json and config.json.
fn bundle(place: &Place, config: &Config) -> Result<(), Failure> {
    // The others make control groups too.
    let mut config = Config { cgroups: Some(group()), ..config.clone() };
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

/// A name of our own: crun and runc use it for cgroups too.
fn id(name: &str) -> String {
    format!("lcbench-{name}-{}", std::process::id())
}

/// `nsinit`, and the others that are installed.
fn programs() -> Vec<(&'static str, PathBuf)> {
    let own = std::env::current_exe().map(|own| own.with_file_name("nsinit")).unwrap_or_default();
    let all = [("nsinit", own), ("crun", "/usr/bin/crun".into()), ("runc", "/usr/sbin/runc".into())];
    all.into_iter().filter(|(_, program)| program.exists()).collect()
}

fn commands(place: &Place) -> Vec<Job<'_>> {
    let job = |(name, program): (&'static str, PathBuf)| -> Job<'_> {
        let root = place.join("run").join(name);
        let run = move || {
            let mut command = Command::new(&program);
            timed(command.arg("--root").arg(&root).args(["run", "--bundle"]).arg(place.path()).arg(id(name)))
        };
        (leak(format!("{name} run")), Box::new(run))
    };
    programs().into_iter().map(job).collect()
}

fn timed(command: &mut Command) -> Result<Duration, Failure> {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(start.elapsed()) } else { Err(format!("{command:?}: {status}").into()) }
}

fn table(jobs: &mut [Job<'_>], count: usize, gap: Duration) -> Result<(), Failure> {
    let mut times = vec![Vec::new(); jobs.len()];
    for _ in 0..count {
        for ((_, job), times) in jobs.iter_mut().zip(&mut times) {
            std::thread::sleep(gap);
            times.push(job()?);
        }
    }
    let mut rows: Vec<_> = jobs.iter().map(|(name, _)| *name).zip(times).collect();
    rows_of(&mut rows);
    Ok(())
}

fn rows_of(rows: &mut [(&'static str, Vec<Duration>)]) {
    let mut base = None;
    for (name, times) in rows {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros);
        let median = at(50);
        let first = *base.get_or_insert(median.max(1));
        println!(
            "{name:<40} {median:>9} {:>6} {:>6}   {:>9.2}",
            at(10),
            at(90),
            median as f64 / first as f64
        );
    }
}
