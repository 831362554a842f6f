//! Bundles: a directory with `container.json` and by default `rootfs/`.

use std::path::{Path, PathBuf};

use libcontainer::{Config, Factory, Mode, ProcessConfig};

use crate::output::say;
use crate::root::State;
use crate::{ExplainArgs, Failure, FileArgs, Outcome};

/// Reads the config of a bundle; tells of keys that were left out.
pub(crate) fn load(bundle: &Path, strict: bool) -> Result<Config, Failure> {
    let bundle = absolute(bundle)?;
    let file = if bundle.is_dir() { bundle.join("container.json") } else { bundle.clone() };
    let mode = if strict { Mode::Strict } else { Mode::Lenient };
    let (mut config, unknown) = Config::from_file(&file, mode)?;
    for pointer in unknown {
        eprintln!("nsinit: {}: {pointer}: unknown key, left out", file.display());
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
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(1, format!("{}: {error}", path.display())))
}

/// `config`: checks and prints.
pub(crate) fn print(root: &State, args: &FileArgs) -> Outcome {
    let mut config = load(&args.path, args.strict)?;
    root.adapt(&mut config);
    say!("{}", config.to_json()?);
    let facts = libcontainer::Facts { euid: nix::unistd::geteuid().as_raw(), allow_unsupported: false };
    let problems = config.problems(&facts);
    for problem in &problems {
        eprintln!("nsinit: {problem}");
    }
    Ok(u8::from(!problems.is_empty()))
}

/// `explain`: prints the plan.
pub(crate) fn explain(root: &State, args: &ExplainArgs) -> Outcome {
    let mut config = load(&args.file.path, args.file.strict)?;
    root.adapt(&mut config);
    let program = if config.args.is_empty() { vec!["sh".to_owned()] } else { config.args.clone() };
    let process = ProcessConfig { terminal: config.tty, ..ProcessConfig::new(program) };
    // As root: the plan is that of the operator who will run it, not of whoever looks at it.
    let mut probe = libcontainer::Probe::current()?;
    if !config.namespaces.contains(libcontainer::NamespaceKind::User) {
        (probe.euid, probe.egid) = (0, 0);
    }
    let plan = Factory::with_probe(probe).explain(&config, (!args.reaper).then_some(&process))?;
    if args.json {
        say!("{}", plan.to_json()?);
    } else {
        say!("{}", plan.explain());
    }
    Ok(0)
}
