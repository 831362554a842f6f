//! Bundles: a directory with `config.json` (the OCI runtime specification) or `container.json`, and by default `rootfs/`.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use libcontainer::{Config, Factory, Mode, Problem, ProcessConfig};
use libcontainer_oci::{Options, spec::Spec};

use crate::arguments::{CreateArgs, ExplainArgs, FileArgs};
use crate::failure::{Failure, Named, Outcome};
use crate::log::{Level, tell};
use crate::output::say;
use crate::pointers::{Words, refused};
use crate::root::State;

const OCI: &str = "config.json";
const OWN: &str = "container.json";
const MADE_OF: &str =
    "a bundle is a directory with config.json or container.json and, unless that names another, rootfs/";
/// Bytes that a config.json may have.
const LIMIT: u64 = 16 * 1024 * 1024;

/// What a bundle says.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    pub(crate) config: Config,
    /// Rows and columns that the terminal is to begin with.
    pub(crate) terminal_size: Option<(u16, u16)>,
    /// Those of its config.json, if that is what it has.
    pub(crate) words: Option<Words>,
}

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Oci,
    Own,
}

/// How what is in a file is put to use.
#[derive(Debug)]
struct Reading {
    strict: bool,
    /// Whether what is left out of a config.json is told.
    tell: bool,
    options: Options,
}

/// Reads the bundle of a new container.
pub(crate) fn load(root: &State, args: &CreateArgs) -> Result<Bundle, Failure> {
    let dir = absolute(&args.bundle)?;
    let options = Options {
        no_pivot: args.no_pivot,
        no_new_keyring: args.no_new_keyring,
        ..root.options(&dir, &args.id)?
    };
    let mut bundle = in_bundle(
        &dir,
        args.config.as_deref(),
        &Reading { strict: args.strict, tell: root.debug(), options },
    )?;
    if args.no_pivot {
        bundle.config.mount_config.get_or_insert_default().no_pivot_root = true;
    }
    bundle.config.no_new_keyring |= args.no_new_keyring;
    Ok(bundle)
}

/// Reads the config of a bundle that nothing else is said about.
pub(crate) fn config(root: &State, dir: &Path) -> Result<Config, Failure> {
    let dir = absolute(dir)?;
    let options = root.options(&dir, "container")?;
    Ok(in_bundle(&dir, None, &Reading { strict: false, tell: true, options })?.config)
}

/// The file that counts of a path, which may be a bundle's, and how it is written.
pub(crate) fn file_of(path: &Path) -> Result<(PathBuf, Form), Failure> {
    let path = absolute(path)?;
    if !fs::metadata(&path).named(Shown("stat", &path))?.is_dir() {
        let form = form(&path)?;
        return Ok((path, form));
    }
    let form = only(&path)?;
    Ok((path.join(if form == Form::Oci { OCI } else { OWN }), form))
}

/// Reads a config file, or that of a bundle.
fn load_file(root: &State, args: &FileArgs) -> Result<Config, Failure> {
    let path = absolute(&args.path)?;
    let kind = fs::metadata(&path).named(Shown("stat", &path))?;
    let dir = if kind.is_dir() { &path } else { path.parent().unwrap_or(Path::new("/")) };
    let reading = Reading { strict: args.strict, tell: true, options: root.options(dir, "container")? };
    let bundle =
        if kind.is_dir() { in_bundle(&path, None, &reading) } else { read(&path, form(&path)?, &reading) };
    Ok(bundle?.config)
}

fn in_bundle(dir: &Path, named: Option<&Path>, reading: &Reading) -> Result<Bundle, Failure> {
    let kind = fs::metadata(dir).named(Shown("stat", dir))?;
    if !kind.is_dir() {
        return Err(Failure::new(format!("bundle {}: not a directory ({MADE_OF})", dir.display())));
    }
    if let Some(name) = named {
        let file = dir.join(name);
        return read(&file, form(&file)?, reading);
    }
    match only(dir)? {
        Form::Own => read(&dir.join(OWN), Form::Own, reading),
        Form::Oci => read(&dir.join(OCI), Form::Oci, reading),
    }
}

/// The form of the one config that a bundle has.
fn only(dir: &Path) -> Result<Form, Failure> {
    match (there(dir, OCI)?, there(dir, OWN)?) {
        (true, true) => Err(Failure::new(format!(
            "bundle {}: it has both {OCI} and {OWN}: say by --config which counts",
            dir.display()
        ))),
        (false, true) => Ok(Form::Own),
        (true, false) => Ok(Form::Oci),
        (false, false) => Err(Failure::new(format!(
            "bundle {} ({MADE_OF}): stat {OCI}, {OWN}: ENOENT: No such file or directory",
            dir.display()
        ))),
    }
}

fn there(dir: &Path, name: &str) -> Result<bool, Failure> {
    match fs::metadata(dir.join(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        found => found.named(Shown(&format!("stat {name}"), dir)).map(|_| true),
    }
}

/// By its name, and if that is another, by whether it says which version of the specification it is of.
fn form(file: &Path) -> Result<Form, Failure> {
    match file.file_name().and_then(|name| name.to_str()) {
        Some(OWN) => Ok(Form::Own),
        Some(OCI) => Ok(Form::Oci),
        _ => {
            let value: serde_json::Value = serde_json::from_slice(&bytes(file)?).named(file.display())?;
            Ok(if value.get("ociVersion").is_some() { Form::Oci } else { Form::Own })
        }
    }
}

fn read(file: &Path, form: Form, reading: &Reading) -> Result<Bundle, Failure> {
    match form {
        Form::Oci => read_oci(file, reading),
        Form::Own => read_own(file, reading),
    }
}

fn read_oci(file: &Path, reading: &Reading) -> Result<Bundle, Failure> {
    let name = file.display().to_string();
    let spec = Spec::from_json(&bytes(file)?).map_err(|error| Failure::new(format!("{name}: {error}")))?;
    let converted =
        libcontainer_oci::convert(&spec, &reading.options).map_err(|problems| refused(&name, &problems))?;
    if reading.strict && !converted.warnings.is_empty() {
        return Err(refused(&name, &converted.warnings));
    }
    // Callers take what is on standard error for a failure; runc leaves out in silence most of what this tells.
    for warning in if reading.tell { &converted.warnings } else { &converted.grave } {
        tell(Level::Warning, &format!("{name}: {warning}"));
    }
    let terminal_size = converted.process.and_then(|process| process.terminal_size);
    Ok(Bundle { config: converted.config, terminal_size, words: Some(Words::new(name, spec)) })
}

fn read_own(file: &Path, reading: &Reading) -> Result<Bundle, Failure> {
    let mode = if reading.strict { Mode::Strict } else { Mode::Lenient };
    let (mut config, unknown) = Config::from_file(file, mode)?;
    for problem in unknown.into_iter().map(Problem::left_out) {
        tell(Level::Warning, &format!("{}: {problem}", file.display()));
    }
    let dir = file.parent().unwrap_or(Path::new("/"));
    if config.rootfs.as_os_str().is_empty() {
        config.rootfs = dir.join("rootfs");
    } else if config.rootfs.is_relative() {
        config.rootfs = dir.join(&config.rootfs);
    }
    if config.bundle.as_os_str().is_empty() {
        dir.clone_into(&mut config.bundle);
    }
    match (reading.options.cgroups, reading.options.systemd_cgroup) {
        (false, _) => config.cgroups = None,
        (true, true) => config.cgroups.get_or_insert_default().systemd = true,
        (true, false) => {}
    }
    Ok(Bundle { config, terminal_size: None, words: None })
}

pub(crate) fn bytes(file: &Path) -> Result<Vec<u8>, Failure> {
    let name = file.display();
    let mut text = Vec::new();
    let count = File::open(file).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut text)).named(&name)?;
    if count as u64 > LIMIT {
        return Err(Failure::new(format!("{name}: more than {LIMIT} bytes")));
    }
    Ok(text)
}

/// A call on a bundle that fails.
struct Shown<'a>(&'a str, &'a Path);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bundle {} ({MADE_OF}): {}", self.1.display(), self.0)
    }
}

/// Joined to the working directory as text: no link is resolved.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).named(format_args!("{path:?}: make it absolute: getcwd"))
}

/// `config`: checks and prints.
#[inline(never)]
pub(crate) fn print(root: &State, args: &FileArgs) -> Outcome {
    let config = load_file(root, args)?;
    let printed = say!("{}", config.to_json()?);
    let facts = libcontainer::Facts { euid: nix::unistd::geteuid().as_raw() };
    let problems = config.problems(&facts);
    for problem in &problems {
        tell(Level::Error, &problem.to_string());
    }
    // A config that is wrong is so for a reader too that has seen enough.
    if problems.is_empty() { printed.map(|()| 0) } else { Ok(1) }
}

/// Says what this kernel will leave out, with the config's leave.
pub(crate) fn warn(config: &Config, probe: &libcontainer::Probe) {
    config.warnings(probe).into_iter().for_each(|warning| tell(Level::Warning, &warning.to_string()));
}

/// `explain`: prints the plan.
#[inline(never)]
pub(crate) fn explain(root: &State, args: &ExplainArgs) -> Outcome {
    let config = load_file(root, &args.file)?;
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
