//! `nsinit`, crun and runc: starts, and `exec` and `state` of a container that runs.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libcontainer::security::CapSet;
use libcontainer::security::seccomp::{Arch, default_profile};
use libcontainer::{Cgroup, Config, Probe, Seccomp};
use libcontainer_tests::Place;

use crate::failure::Failure;
use crate::private::MARK;
use crate::rows::Row;

/// In place of the other arguments of this program: before a command whose peak memory is to be told.
pub(crate) const PEAK: &str = "--peak";
pub(crate) const OWN: &str = "nsinit";
const NAMES: [&str; 3] = [OWN, "crun", "runc"];

/// A name of our own: crun and runc use it for control groups too.
pub(crate) fn id(name: &str) -> String {
    let mark = std::env::var(MARK).unwrap_or_else(|_| std::process::id().to_string());
    format!("lcbench-{name}-{mark}")
}

/// A control group, as crun and runc make one too.
pub(crate) fn group() -> Cgroup {
    Cgroup { path: id("library").into(), ..Cgroup::default() }
}

/// The program of that name, or why there is none.
fn program(name: &str) -> Result<PathBuf, String> {
    if name == OWN {
        let own = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name(name);
        return if own.exists() { Ok(own) } else { Err(format!("{} is not built", own.display())) };
    }
    let dirs = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    let found = dirs.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file());
    found.ok_or_else(|| "not installed".to_owned())
}

static TOLD: AtomicUsize = AtomicUsize::new(0);

/// Runs a command to its end; the error has the last line that it has written to standard error.
pub(crate) fn timed(place: &Place, command: &mut Command) -> Result<Duration, Failure> {
    // A file: what is left running may keep it open. Of its own, as several may run at once.
    let told = place.join(&format!("told-{}", TOLD.fetch_add(1, Ordering::Relaxed)));
    let streams = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&told)?);
    let start = Instant::now();
    let status = streams.status().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let taken = start.elapsed();
    let text = fs::read_to_string(&told)?;
    fs::remove_file(told)?;
    if status.success() {
        return Ok(taken);
    }
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word on standard error");
    Err(format!("{:?}: {status}: {last}", command.get_program()).into())
}

/// KiB of the peak memory of a command.
pub(crate) fn peak_of(place: &Place, words: &[&OsStr]) -> Result<u64, Failure> {
    let told = place.join("told-peak");
    let mut command = Command::new(std::env::current_exe()?);
    // A file: what is left running may keep it open.
    let output = command.arg(PEAK).args(words).stdin(Stdio::null()).stderr(File::create(&told)?).output()?;
    let text = fs::read_to_string(told)?;
    let number = String::from_utf8_lossy(&output.stdout).trim().parse();
    number.map_err(|_| format!("{words:?}: {}", text.lines().last().unwrap_or_default()).into())
}

/// One directory that serves all: container.json and config.json.
pub(crate) fn bundle(place: &Place, config: &Config, args: &[&str]) -> Result<(), Failure> {
    bundle_in(place, place.path(), config, args)
}

/// The same, in a directory of its own. The others get the same filter.
pub(crate) fn bundle_in(place: &Place, dir: &Path, config: &Config, args: &[&str]) -> Result<(), Failure> {
    let args: Vec<String> = args.iter().copied().map(str::to_owned).collect();
    // The others make control groups too, and name them by the container.
    let config = Config { cgroups: Some(Cgroup::default()), args: args.clone(), ..config.clone() };
    fs::write(dir.join("container.json"), config.to_json()?)?;
    let file = dir.join("config.json");
    if file.exists() {
        fs::remove_file(&file)?;
    }
    // The first that makes one does; if none does, the rows of both say what they lack.
    let made = |name: &&str| {
        let spec = |program| timed(place, Command::new(program).arg("spec").current_dir(dir));
        program(name).is_ok_and(|program| spec(program).is_ok()) && file.is_file()
    };
    if !["crun", "runc"].iter().any(made) {
        return Ok(());
    }
    let mut spec: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = serde_json::json!(args);
    spec["root"]["path"] = serde_json::json!(config.rootfs);
    if config.seccomp == Seccomp::Default {
        let caps = CapSet::from_names(config.capabilities.iter().map(String::as_str))?;
        let arch = Arch::native().ok_or("no architecture of seccomp's")?;
        spec["linux"]["seccomp"] =
            serde_json::to_value(default_profile(&caps, arch, Probe::current()?.version))?;
    }
    Ok(fs::write(file, spec.to_string())?)
}

/// One of the programs, with state of its own.
#[derive(Clone)]
pub(crate) struct Runtime<'a> {
    place: &'a Place,
    name: &'static str,
    program: PathBuf,
}

impl<'a> Runtime<'a> {
    /// All of them, or why one is not there.
    pub(crate) fn all(place: &'a Place) -> impl Iterator<Item = (&'static str, Result<Self, String>)> {
        NAMES.into_iter().map(move |name| (name, program(name).map(|program| Self { place, name, program })))
    }

    /// Runs it with words before the container's name and behind it.
    pub(crate) fn run(&self, words: &[&str], behind: &[&str]) -> Result<Duration, Failure> {
        self.run_as(&id(self.name), words, behind)
    }

    /// As [`Runtime::run`], with a container of that name.
    pub(crate) fn run_as(&self, id: &str, words: &[&str], behind: &[&str]) -> Result<Duration, Failure> {
        self.run_of(self.place.path(), id, words, behind)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn is_own(&self) -> bool {
        self.name == OWN
    }

    /// Creates a container of the bundle's `config.json`, which all of them take.
    pub(crate) fn create(&self, id: &str) -> Result<Duration, Failure> {
        let words: &[&str] = if self.is_own() { &["create", "--config", "config.json"] } else { &["create"] };
        self.run_as(id, words, &[])
    }

    /// Runs the program of a bundle to its end.
    pub(crate) fn run_bundle(&self, dir: &Path) -> Result<Duration, Failure> {
        self.run_of(dir, &id(self.name), &["run"], &[])
    }

    fn run_of(&self, dir: &Path, id: &str, words: &[&str], behind: &[&str]) -> Result<Duration, Failure> {
        timed(self.place, Command::new(&self.program).args(self.args(dir, id, words, behind)))
    }

    fn args(&self, dir: &Path, id: &str, words: &[&str], behind: &[&str]) -> Vec<OsString> {
        let mut args = vec!["--root".into(), self.root().into_os_string()];
        args.extend(words.iter().map(OsString::from));
        if words.contains(&"run") || words.contains(&"create") {
            args.extend(["--bundle".into(), dir.as_os_str().to_owned()]);
            // It has both, and is to be told.
            if self.name == OWN && !words.contains(&"--config") {
                args.extend(["--config".into(), "container.json".into()]);
            }
        }
        args.push(id.into());
        args.extend(behind.iter().map(OsString::from));
        args
    }

    /// KiB of its peak memory.
    pub(crate) fn peak(&self, words: &[&str], behind: &[&str]) -> Result<u64, Failure> {
        let args = self.args(self.place.path(), &id(self.name), words, behind);
        let words: Vec<_> =
            std::iter::once(self.program.as_os_str()).chain(args.iter().map(OsString::as_os_str)).collect();
        peak_of(self.place, &words)
    }

    /// Lists the containers below a directory.
    pub(crate) fn list(&self, dir: &Path) -> Result<Duration, Failure> {
        timed(self.place, Command::new(&self.program).arg("--root").arg(dir).arg("list"))
    }

    /// Its own.
    pub(crate) fn root(&self) -> PathBuf {
        self.place.join("run").join(self.name)
    }

    fn row(self, words: &'static [&'static str], behind: &'static [&'static str]) -> Row<'a> {
        let name = format!("{} {}", self.name, words.join(" "));
        let foreign = self.name != OWN;
        let job = move || self.run(words, behind);
        if foreign { Row::foreign(&name, job) } else { Row::own(&name, job) }
    }
}

/// A run of each.
pub(crate) fn starts(place: &Place) -> Result<Vec<Row<'_>>, Failure> {
    let mut rows: Vec<_> =
        Runtime::all(place).map(|(name, runtime)| start(name, runtime)).collect::<Result<_, _>>()?;
    // What the others are given, too.
    let own = Runtime::all(place).find(|(name, _)| *name == OWN);
    if let Some((_, Ok(own))) = own.filter(|_| place.join("config.json").is_file()) {
        rows.push(own.row(&["run", "--config", "config.json"], &[]));
    }
    Ok(rows)
}

fn start<'a>(name: &str, runtime: Result<Runtime<'a>, String>) -> Result<Row<'a>, Failure> {
    match runtime {
        Err(reason) if name == OWN => Err(reason.into()),
        Err(reason) => Ok(Row::left_out(&format!("{name} run"), &reason)),
        Ok(runtime) => Ok(runtime.row(&["run"], &[])),
    }
}

/// `state` and `exec` of each, in containers that are started for it. The bundle's program has to be one that stays.
pub(crate) fn running(place: &Place) -> Result<(Vec<Row<'_>>, Standing<'_>), Failure> {
    let (mut rows, mut standing) = (Vec::new(), Standing(Vec::new()));
    for (name, runtime) in Runtime::all(place) {
        let started = runtime.and_then(|runtime| {
            let started = runtime.run(&["run", "--detach"], &[]).map_err(|error| error.to_string());
            started.map(|_| runtime)
        });
        match started {
            Ok(runtime) => {
                rows.push(runtime.clone().row(&["state"], &[]));
                rows.push(runtime.clone().row(&["exec"], &["/bin/true"]));
                standing.0.push(runtime);
            }
            Err(reason) if name == OWN => return Err(reason.into()),
            Err(reason) => {
                rows.extend(["state", "exec"].map(|word| Row::left_out(&format!("{name} {word}"), &reason)));
            }
        }
    }
    Ok((rows, standing))
}

/// Containers that run.
pub(crate) struct Standing<'a>(Vec<Runtime<'a>>);

impl Standing<'_> {
    pub(crate) fn delete(self) -> Result<(), Failure> {
        self.0.iter().try_for_each(|runtime| runtime.run(&["delete", "--force"], &[]).map(drop))
    }
}
