//! exec.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use libcontainer::security::CapSet;
use libcontainer::{CapabilitySets, Config, ProcessConfig, Stdio};

use super::{end, hand_over, load, plain_newlines};
use crate::arguments::ExecArgs;
use crate::console::Sockets;
use crate::failure::{Failure, Named, Outcome, both};
use crate::handed::Handed;
use crate::log::{Level, tell};
use crate::pid_file::PidFile;
use crate::pointers::refused;
use crate::root::State;
use crate::{foreground, program};

/// Bytes that a file with a process may have.
const LIMIT: u64 = 1024 * 1024;

#[inline(never)]
pub(crate) fn exec(root: &State, mut args: ExecArgs) -> Outcome {
    let signals = foreground::Signals::take()?;
    let container = load(root, &args.id)?;
    let sockets = Sockets::connect(&args.process)?;
    let handed = Handed::take(args.process.preserve_fds)?;
    let pid_file = args.process.pid_file.as_deref().map(PidFile::prepare).transpose()?;
    let detach = args.detach;
    let mut process = wanted(&container.config(), root.debug(), &mut args)?;
    if sockets.console() && !process.terminal {
        return Err(Failure::new("--console-socket: no terminal is asked for: give --tty"));
    }
    process.env.get_or_insert_default().extend(handed.environment.into_iter().map(OsString::from));
    process.preserved = handed.descriptors;
    process.plain_newlines = plain_newlines(&sockets);
    let copied = process.terminal && !detach && !sockets.console();
    process.terminal_size = foreground::first_size(copied, process.terminal_size);
    let mut process = container.start(process).map_err(|error| program::failure(&error))?;
    if let Err(failure) = hand_over(&mut process, &sockets, pid_file) {
        return both(Err(failure), end(&mut process));
    }
    if detach {
        return Ok(0);
    }
    foreground::wait(&signals, &mut process)
}

/// The process that the command line, or the file that it names, asks for.
fn wanted(config: &Config, tells: bool, args: &mut ExecArgs) -> Result<ProcessConfig, Failure> {
    let mut process = match &args.file {
        Some(path) => from_file(path, tells)?,
        None => from_options(config, args),
    };
    process.terminal |= args.tty;
    process.user = args.user.take().or(process.user);
    process.cwd = args.cwd.take().or(process.cwd);
    process.process_label = args.process_label.take().or(process.process_label);
    process.apparmor_profile = args.apparmor.take().or(process.apparmor_profile);
    process.no_new_privileges = args.no_new_privs.then_some(true).or(process.no_new_privileges);
    process.subgroups = subgroups(&args.cgroup)?;
    process.ignore_paused = args.ignore_paused;
    if !args.additional_gids.is_empty() {
        process.additional_groups = Some(args.additional_gids.iter().map(u32::to_string).collect());
    }
    if !args.cap.is_empty() {
        process.capability_sets = Some(more(
            process.capability_sets.or_else(|| config.capability_sets.clone()),
            &config.capabilities,
            &known(std::mem::take(&mut args.cap)),
        ));
    }
    let stdin = if args.detach && args.file.is_none() { Stdio::Null } else { Stdio::Inherit };
    Ok(ProcessConfig { stdin, stdout: Stdio::Inherit, stderr: Stdio::Inherit, ..process })
}

fn from_options(config: &Config, args: &mut ExecArgs) -> ProcessConfig {
    let mut env: Vec<OsString> = config.environment.iter().map(Into::into).collect();
    env.append(&mut args.env);
    ProcessConfig { env: Some(env), ..ProcessConfig::new(std::mem::take(&mut args.args)) }
}

/// What is to be said of the text is told as that of a config.json is.
fn from_file(path: &Path, tells: bool) -> Result<ProcessConfig, Failure> {
    let name = format!("--process {}", path.display());
    let mut text = Vec::new();
    let count = File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut text)).named(&name)?;
    if count as u64 > LIMIT {
        return Err(Failure::new(format!("{name}: more than {LIMIT} bytes")));
    }
    let process = libcontainer_oci::spec::Process::from_json(&text)
        .map_err(|error| Failure::new(format!("{name}: {error}")))?;
    for problem in process.notes.iter().filter(|_| tells) {
        tell(Level::Warning, &format!("{name}: {problem}"));
    }
    libcontainer_oci::process(&process).map_err(|problems| refused(&name, &problems))
}

/// `--cgroup`: one path for all hierarchies, or paths by their controllers. A slash at the beginning is the container's group.
fn subgroups(args: &[String]) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let refused = |arg: &str, why: &str| Err(Failure::usage(format!("--cgroup {arg}: {why}")));
    let mut paths = BTreeMap::new();
    for arg in args {
        let (names, path) = arg.split_once(':').unwrap_or(("", arg));
        if names.is_empty() && (args.len() > 1 || path.len() < arg.len()) {
            return refused(arg, "no controller before the path, of which there is more than one");
        }
        for name in names.split(',') {
            let path = PathBuf::from(path.trim_start_matches('/'));
            if (name.is_empty() && !names.is_empty()) || paths.insert(name.to_owned(), path).is_some() {
                return refused(arg, "a controller without a name, or named twice");
            }
        }
    }
    Ok(paths)
}

/// The container's sets, and these capabilities in those that count for a program that is executed; ambient becomes what is inheritable already.
fn more(sets: Option<CapabilitySets>, kept: &[String], names: &[String]) -> CapabilitySets {
    let kept = || kept.to_vec();
    let of_list = || CapabilitySets {
        bounding: kept(),
        effective: kept(),
        permitted: kept(),
        ..CapabilitySets::default()
    };
    let mut sets = sets.unwrap_or_else(of_list);
    let inheritable = names.iter().filter(|name| sets.inheritable.contains(name)).cloned().collect();
    add(&mut sets.ambient, inheritable);
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
        add(set, names.to_vec());
    }
    sets
}

fn add(set: &mut Vec<String>, mut names: Vec<String>) {
    names.retain(|name| !set.contains(name));
    set.append(&mut names);
}

/// Names that this program does not know are told and left out, as in a config.json.
fn known(names: Vec<String>) -> Vec<String> {
    let is_known = |name: &String| {
        let known = CapSet::from_names([name.as_str()]).is_ok();
        if !known {
            tell(Level::Warning, &format!("--cap {name:?}: unknown capability: left out"));
        }
        known
    };
    names.into_iter().filter(is_known).collect()
}
