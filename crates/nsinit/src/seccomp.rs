//! `seccomp`: what a profile does, without a container.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use libcontainer::Probe;
use libcontainer::security::CapSet;
use libcontainer::security::seccomp::{
    Action, Arch, Data, DockerProfile, Filter, Kernel, Options, Profile, compile, default_profile, explain,
    run,
};
use serde_json::Value;

use crate::failure::{Failure, Named, Outcome};
use crate::output::say;

/// Most bytes of a file that is read.
const LIMIT: u64 = 16 * 1024 * 1024;

/// `seccomp`.
#[derive(Debug, Subcommand)]
pub(crate) enum SeccompCommand {
    #[command(flatten)]
    Look(Look),
    /// Run a command, note its system calls, files, ports and capabilities, and write the least confinement under which it runs; it is run several times
    Record(RecordArgs),
}

/// Arguments of `seccomp record`.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Directory for confinement.json
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Kill the command when it has run so long; what was seen until then counts
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Observe it in the container of this bundle, not in one made from the host
    #[arg(short, long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// Command and arguments; without, with --bundle, those of container.json
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required_unless_present = "bundle")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Look {
    /// Compile profiles: what is wrong with them, how long the filters are, how much of them a system call executes
    Check {
        /// OCI or Docker profiles, container.json or config.json files; `default` is our own profile
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Say what happens to each system call under a profile
    Explain {
        /// As for `check`
        file: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Say which system calls two profiles treat differently
    Diff {
        /// As for `check`
        one: PathBuf,
        /// As for `check`
        other: PathBuf,
        #[command(flatten)]
        target: Target,
    },
}

/// For whom the profile is.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Architecture as OCI names it [default: this machine's]
    #[arg(long, value_name = "SCMP_ARCH_…")]
    arch: Option<String>,
    /// Capabilities of the container, by which Docker's profiles and our own differ: names with commas, or `ALL`
    #[arg(long, value_name = "NAMES", default_value = "")]
    caps: String,
}

struct Known {
    arch: Arch,
    caps: CapSet,
    kernel: Kernel,
}

#[inline(never)]
pub(crate) fn seccomp(command: &Look) -> Outcome {
    match command {
        Look::Check { files, target } => check(files, &known(target)?),
        Look::Explain { file, target } => {
            let known = known(target)?;
            say!("{}", explained(file, &known)?)?;
            Ok(0)
        }
        Look::Diff { one, other, target } => diff(one, other, &known(target)?),
    }
}

fn known(target: &Target) -> Result<Known, Failure> {
    let arch = match &target.arch {
        None => Arch::native().ok_or_else(|| Failure::new("no architecture of seccomp's: give --arch"))?,
        Some(name) => serde_json::from_value(Value::String(name.clone()))
            .map_err(|error| Failure::usage(format!("--arch {name}: {error}")))?,
    };
    let names = target.caps.split(',').filter(|name| !name.is_empty());
    let caps = CapSet::from_names(names).map_err(|error| Failure::usage(format!("--caps: {error}")))?;
    Ok(Known {
        arch,
        caps,
        kernel: Probe::current().map_err(|error| Failure::new(error.to_string()))?.version,
    })
}

/// The code is 1 if one of them is no filter.
fn check(files: &[PathBuf], known: &Known) -> Outcome {
    let mut code = 0;
    for file in files {
        let told = profile(file, known).and_then(|profile| {
            let options = Options { listener: true, ..Options::new(known.arch) };
            compile(&profile, &options).map_err(|error| Failure::new(format!("{}: {error}", file.display())))
        });
        match told {
            Ok(filter) => tell(file, &filter, known.arch)?,
            Err(failure) => {
                code = 1;
                crate::streams::note(format_args!("{failure}"));
            }
        }
    }
    Ok(code)
}

fn tell(file: &Path, filter: &Filter, arch: Arch) -> Result<(), Failure> {
    let (fates, mut executed) = walk(filter, arch);
    executed.sort_unstable();
    let middle = executed.get(executed.len() / 2).copied().unwrap_or(0);
    let worst = executed.last().copied().unwrap_or(0);
    say!(
        "{}: {} instructions; of them a call of {arch} executes {middle} (median), at most {worst}",
        file.display(),
        filter.instructions().len()
    )?;
    for (fate, count) in fates {
        say!("  {count:>4} system calls: {fate}")?;
    }
    for warning in filter.warnings() {
        say!("  warning: {warning}")?;
    }
    Ok(())
}

/// What happens to each call with all arguments 0, and how many instructions that takes.
fn walk(filter: &Filter, arch: Arch) -> (BTreeMap<String, usize>, Vec<usize>) {
    let (mut fates, mut executed) = (BTreeMap::new(), Vec::new());
    for (_, number) in arch.syscalls() {
        // The compiler's own programs end.
        let Ok(verdict) = run(filter.instructions(), &Data::new(arch, number, [0; 6])) else { continue };
        *fates.entry(verdict.outcome.to_string()).or_default() += 1;
        executed.push(verdict.executed);
    }
    (fates, executed)
}

fn explained(file: &Path, known: &Known) -> Result<libcontainer::security::seccomp::Explanation, Failure> {
    let options = Options { listener: true, ..Options::new(known.arch) };
    explain(&profile(file, known)?, &options)
        .map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}

/// The code is 1 if they differ, as that of diff(1).
fn diff(one: &Path, other: &Path, known: &Known) -> Outcome {
    let difference = explained(one, known)?.difference(&explained(other, known)?);
    for line in difference.lines() {
        say!("{line}")?;
    }
    Ok(u8::from(!difference.is_empty()))
}

fn profile(file: &Path, known: &Known) -> Result<Profile, Failure> {
    if file.as_os_str() == "default" {
        return Ok(default_profile(&known.caps, known.arch, known.kernel));
    }
    let name = || file.display().to_string();
    let text = read(file)?;
    let value: Value =
        serde_json::from_slice(&text).map_err(|error| Failure::new(format!("{}: {error}", name())))?;
    let inner = ["/linux/seccomp", "/seccomp"].iter().find_map(|pointer| value.pointer(pointer));
    match inner {
        Some(Value::String(word)) if word == "default" => {
            return Ok(default_profile(&known.caps, known.arch, known.kernel));
        }
        Some(Value::String(word)) if word == "unconfined" => return Ok(Profile::new(Action::Allow)),
        _ => {}
    }
    parse(inner.unwrap_or(&value), known).map_err(|text| Failure::new(format!("{}: {text}", name())))
}

/// What only Docker's form has tells it apart.
fn parse(value: &Value, known: &Known) -> Result<Profile, String> {
    let conditional =
        |rule: &Value| ["name", "includes", "excludes"].iter().any(|key| rule.get(key).is_some());
    let rules = value.get("syscalls").and_then(Value::as_array);
    let docker = value.get("archMap").is_some() || rules.is_some_and(|rules| rules.iter().any(conditional));
    if !docker {
        return serde_json::from_value(value.clone()).map_err(|error| error.to_string());
    }
    let profile: DockerProfile = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    profile.resolve(&known.caps, known.arch, known.kernel).map_err(|error| error.to_string())
}

/// A regular file: a FIFO would keep us waiting.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    let name = format!("read {}", file.display());
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    let opened = std::fs::File::options().read(true).custom_flags(flags).open(file).named(&name)?;
    if !opened.metadata().named(&name)?.is_file() {
        return Err(Failure::new(format!("{}: not a regular file", file.display())));
    }
    let mut text = Vec::new();
    opened.take(LIMIT + 1).read_to_end(&mut text).named(&name)?;
    if text.len() as u64 > LIMIT {
        return Err(Failure::new(format!("{}: larger than 16 MiB", file.display())));
    }
    Ok(text)
}
