//! Bundles: a directory with `container.json` and by default `rootfs/`.

use std::fs;
use std::path::{Path, PathBuf};

use libcontainer::{Config, Factory, Mode, ProcessConfig};

use crate::arguments::{ExplainArgs, FileArgs};
use crate::failure::{Failure, Named, Outcome};
use crate::output::say;
use crate::root::State;
use crate::streams::note;

const FILE: &str = "container.json";
const MADE_OF: &str = "a bundle is a directory with container.json and, unless that names another, rootfs/";

/// Reads the config of a bundle; tells of keys that were left out.
pub(crate) fn load(bundle: &Path, strict: bool) -> Result<Config, Failure> {
    let bundle = absolute(bundle)?;
    let kind = fs::metadata(&bundle).named(Shown("stat", &bundle))?;
    if !kind.is_dir() {
        return Err(Failure::new(format!("bundle {}: not a directory ({MADE_OF})", bundle.display())));
    }
    in_directory(&bundle, strict)
}

/// Reads a config file, or that of a bundle.
fn load_file(path: &Path, strict: bool) -> Result<Config, Failure> {
    let path = absolute(path)?;
    let kind = fs::metadata(&path).named(Shown("stat", &path))?;
    if kind.is_dir() { in_directory(&path, strict) } else { read(&path, strict) }
}

fn in_directory(bundle: &Path, strict: bool) -> Result<Config, Failure> {
    let file = bundle.join(FILE);
    fs::metadata(&file).named(Shown("stat container.json", bundle))?;
    read(&file, strict)
}

/// A call on a bundle that fails.
struct Shown<'a>(&'a str, &'a Path);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bundle {} ({MADE_OF}): {}", self.1.display(), self.0)
    }
}

fn read(file: &Path, strict: bool) -> Result<Config, Failure> {
    let mode = if strict { Mode::Strict } else { Mode::Lenient };
    let (mut config, unknown) = Config::from_file(file, mode)?;
    for pointer in unknown {
        note(format_args!("{}: {pointer}: unknown key, left out", file.display()));
    }
    let dir = file.parent().unwrap_or(Path::new("/"));
    if config.rootfs.as_os_str().is_empty() {
        config.rootfs = dir.join("rootfs");
    } else if config.rootfs.is_relative() {
        config.rootfs = dir.join(&config.rootfs);
    }
    Ok(config)
}

/// Joined to the working directory as text: no link is resolved.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).named(format_args!("{path:?}: make it absolute: getcwd"))
}

/// `config`: checks and prints.
pub(crate) fn print(root: &State, args: &FileArgs) -> Outcome {
    let mut config = load_file(&args.path, args.strict)?;
    root.adapt(&mut config);
    let printed = say!("{}", config.to_json()?);
    let facts = libcontainer::Facts { euid: nix::unistd::geteuid().as_raw() };
    let problems = config.problems(&facts);
    for problem in &problems {
        note(format_args!("{problem}"));
    }
    // A config that is wrong is so for a reader too that has seen enough.
    if problems.is_empty() { printed.map(|()| 0) } else { Ok(1) }
}

/// Says what this kernel will leave out, with the config's leave.
pub(crate) fn warn(config: &Config, probe: &libcontainer::Probe) {
    config.warnings(probe).into_iter().for_each(|warning| note(format_args!("{warning}")));
}

/// `explain`: prints the plan.
pub(crate) fn explain(root: &State, args: &ExplainArgs) -> Outcome {
    let mut config = load_file(&args.file.path, args.file.strict)?;
    root.adapt(&mut config);
    let program = if config.args.is_empty() { vec!["sh".to_owned()] } else { config.args.clone() };
    let process = ProcessConfig { terminal: config.tty, ..ProcessConfig::new(program) };
    // As root: the plan is that of the operator who will run it, not of whoever looks at it.
    let mut probe = libcontainer::Probe::current().named("look at this kernel")?;
    if !config.namespaces.contains(libcontainer::NamespaceKind::User) {
        (probe.euid, probe.egid) = (0, 0);
    }
    warn(&config, &probe);
    let plan = Factory::with_probe(probe).explain(&config, (!args.reaper).then_some(&process))?;
    if args.json {
        say!("{}", plan.to_json().named("the plan as JSON")?)?;
    } else {
        say!("{}", plan.explain())?;
    }
    Ok(0)
}
