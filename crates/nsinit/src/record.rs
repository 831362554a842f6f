//! `seccomp record`: a command is observed, and runs again under what came of that.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libcontainer::observe::{self, Draft, Tried};
use libcontainer::security::observe::Observation;
use libcontainer::{Config, ErrorKind, ExitStatus, Factory, ProcessConfig};
use nix::errno::Errno;

use crate::failure::{Failure, Named, Outcome, both};
use crate::output::say;
use crate::root::State;
use crate::seccomp::RecordArgs;
use crate::streams::note;
use crate::trial::Ground;
use crate::{bundle, program};

const FILE: &str = "confinement.json";
/// What a run may take longer than the one that was observed.
const LONGER: u32 = 4;
const ROOM: Duration = Duration::from_secs(10);

#[inline(never)]
pub(crate) fn record(root: &State, args: &RecordArgs) -> Outcome {
    let Some(dir) = &args.bundle else {
        let ground = Ground::new(root, args.command.clone())?;
        let (path, config) = (ground.container().to_owned(), ground.config.clone());
        let outcome = Recording { path, config, command: args.command.clone() }.run(args);
        return both(outcome, ground.remove());
    };
    let config = bundle::config(root, dir)?;
    let own = || config.args.iter().map(OsString::from).collect();
    let command = if args.command.is_empty() { own() } else { args.command.clone() };
    if command.is_empty() {
        return Err(Failure::new("no program: give one, or \"args\" in the config"));
    }
    root.ready()?;
    let path = root.container(&format!("record-{}", std::process::id()))?;
    Recording { path, config, command }.run(args)
}

/// What is run again and again.
struct Recording {
    path: PathBuf,
    config: Config,
    command: Vec<OsString>,
}

/// How a run ended: code or signal; nothing if it was still going.
type End = Option<(Option<i32>, Option<i32>)>;

fn end(status: Option<&ExitStatus>) -> End {
    status.map(|status| (status.code(), status.signal()))
}

fn shown(end: &End) -> String {
    match end {
        Some((Some(code), _)) => format!("exits with {code}"),
        Some((None, Some(signal))) => format!("is killed by signal {signal}"),
        Some((None, None)) => "ends".to_owned(),
        None => "runs until it is killed by --timeout".to_owned(),
    }
}

impl Recording {
    fn run(&self, args: &RecordArgs) -> Outcome {
        let factory = Factory::new()?;
        let limit = args.timeout.map(Duration::from_secs);
        let begin = Instant::now();
        let process = ProcessConfig { stdin: libcontainer::Stdio::Null, ..self.process().inherited() };
        let observed = observe::run(&factory, &self.path, &self.config, process, limit)
            .map_err(|error| program::failure(&error))?;
        let limit = limit.unwrap_or(begin.elapsed() * LONGER + ROOM);
        let wanted = end(observed.status.as_ref());
        tell(&observed.seen, &wanted)?;
        let draft = Draft::of(&observed.seen, &self.config);
        let may_need = draft.capabilities.clone();
        let mut same = |draft: &Draft| self.same(&factory, draft, limit, &wanted);
        let tried = observe::least(draft, &self.config, &mut same)?;
        tell_of_draft(&tried, &may_need)?;
        write(&args.output, &tried.draft)?;
        self.confirm(&factory, &tried.draft, limit, &wanted)
    }

    fn process(&self) -> ProcessConfig {
        ProcessConfig::new(self.command.clone())
    }

    /// Whether it ends in the same way under a draft. A program that may not be started does not; what else keeps it from that says nothing of the draft.
    fn same(
        &self,
        factory: &Factory,
        draft: &Draft,
        limit: Duration,
        wanted: &End,
    ) -> libcontainer::Result<bool> {
        match self.under(factory, draft, self.process(), limit) {
            Ok(found) => Ok(found == *wanted),
            Err(error) if is_denied(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn under(
        &self,
        factory: &Factory,
        draft: &Draft,
        process: ProcessConfig,
        limit: Duration,
    ) -> libcontainer::Result<End> {
        let (container, process) = factory.run(&self.path, &draft.confine(&self.config)?, process)?;
        let status = process.wait_timeout(limit);
        let destroyed = container.destroy();
        let status = status?;
        destroyed.map(|()| end(status.as_ref()))
    }

    /// Runs it for all to see.
    fn confirm(&self, factory: &Factory, draft: &Draft, limit: Duration, wanted: &End) -> Outcome {
        let process = ProcessConfig { stdin: libcontainer::Stdio::Null, ..self.process().inherited() };
        let found = self.under(factory, draft, process, limit).map_err(|error| program::failure(&error))?;
        if found == *wanted {
            say!("under it the command {}, as when it was observed", shown(&found))?;
            return Ok(0);
        }
        note(format_args!(
            "under it the command {}; when it was observed it {}: what it does differs from run to run, or needs more than was seen",
            shown(&found),
            shown(wanted)
        ));
        Ok(1)
    }
}

/// Whether what confines the program does not let it start: from dropped privileges on, so with these errors only.
fn is_denied(error: &libcontainer::Error) -> bool {
    const DENIED: [i32; 2] = [Errno::EACCES as i32, Errno::EPERM as i32];
    error.kind() == ErrorKind::StartFailed && error.errno().is_some_and(|errno| DENIED.contains(&errno))
}

fn tell(seen: &Observation, ended: &End) -> Result<(), Failure> {
    say!(
        "observed: the command {}; {} calls of {} kinds, {} paths, {} ports",
        shown(ended),
        seen.total,
        seen.calls.len(),
        seen.paths.len(),
        seen.bound.len() + seen.connected.len()
    )?;
    if !seen.unknown.is_empty() {
        note(format_args!("{} kinds of calls have no name here, and failed with ENOSYS", seen.unknown.len()));
    }
    if seen.unread > 0 || !seen.refused.is_empty() {
        let why: Vec<_> = seen.refused.iter().map(|errno| libcontainer::plan::errno_text(*errno)).collect();
        note(format_args!(
            "{} arguments could not be read ({}): what they named is missing",
            seen.unread,
            why.join("; ")
        ));
    }
    Ok(())
}

fn tell_of_draft(tried: &Tried, may_need: &[String]) -> Result<(), Failure> {
    let Tried { draft, runs, sufficient } = tried;
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(" ") };
    let names: usize = draft.seccomp.syscalls.iter().map(|rule| rule.names.len()).sum();
    let conditional = draft.seccomp.syscalls.iter().filter(|rule| !rule.args.is_empty()).count();
    // The last rule is that of clone3(2).
    say!("system calls: {} allowed, {conditional} of them by their arguments", names.saturating_sub(1))?;
    say!("capabilities: {}; tried in {runs} runs: {}", list(&draft.capabilities), list(may_need))?;
    if !sufficient {
        note(format_args!(
            "without all capabilities of the config the command ends in another way, so they are kept"
        ));
    }
    let ports = |ports: &[u16]| {
        let texts: Vec<String> = ports.iter().map(u16::to_string).collect();
        list(&texts)
    };
    let landlock = &draft.landlock;
    say!("files: {} rules", landlock.paths.len())?;
    say!("ports of TCP: bound {}, connected to {}", ports(&landlock.bind_tcp), ports(&landlock.connect_tcp))
}

fn write(dir: &Path, draft: &Draft) -> Result<(), Failure> {
    let path = dir.join(FILE);
    std::fs::write(&path, draft.to_json()? + "\n").named(format_args!("write {}", path.display()))?;
    say!("written: {}", path.display())
}
