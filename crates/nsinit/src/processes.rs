//! ps: the processes of a container.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek};
use std::process::{Command, ExitStatus, Stdio};

use libcontainer::Pid;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde_json::json;

use crate::arguments::PsArgs;
use crate::failure::{Failure, Named, Outcome, shown};
use crate::lifecycle::load;
use crate::output::{say, table};
use crate::root::State;
use crate::streams::{self, harmless};

#[inline(never)]
pub(crate) fn ps(root: &State, args: &PsArgs) -> Outcome {
    let mut pids = load(root, &args.id)?.processes()?;
    pids.sort_unstable();
    if args.format == "json" {
        say!("{}", json!(pids.iter().map(|pid| pid.as_raw()).collect::<Vec<_>>()))?;
        return Ok(0);
    }
    if !args.options.is_empty() {
        return by_ps(&pids, &args.options);
    }
    // As runc prints it, where there is a ps(1) that knows that.
    match filtered(&pids, &["-ef".into()]) {
        Ok(lines) => lines.iter().try_for_each(|line| say!("{}", harmless(line))).map(|()| 0),
        Err(Unable::Unfit(..)) => own_table(pids),
        Err(Unable::Failed(failure)) => Err(failure),
    }
}

/// Why ps(1) gives no table.
enum Unable {
    /// There is none, or it does not know these options; with what it says of that.
    Unfit(Failure, Vec<u8>),
    /// It could not be run to its end.
    Failed(Failure),
}

fn own_table(pids: Vec<Pid>) -> Outcome {
    let mut lines = vec![["PID", "PPID", "UID", "STATE", "COMMAND"].map(str::to_owned).to_vec()];
    for pid in pids {
        lines.extend(process(pid)?);
    }
    table(&lines)?;
    Ok(0)
}

/// The line of a process; none if it has ended meanwhile.
fn process(pid: Pid) -> Result<Option<Vec<String>>, Failure> {
    let (Some(status), Some(line)) = (file(pid, "status")?, file(pid, "cmdline")?) else { return Ok(None) };
    let status = String::from_utf8_lossy(&status).into_owned();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()).unwrap_or("-").to_owned()
    };
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(|word| word.escape_ascii().to_string()).collect();
    let command = if words.is_empty() { format!("[{}]", field("Name")) } else { words.join(" ") };
    Ok(Some(vec![pid.to_string(), field("PPid"), field("Uid"), field("State"), command]))
}

/// A file of `/proc/PID`; none if the process has ended.
fn file(pid: Pid, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    let path = format!("/proc/{pid}/{name}");
    match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => Ok(None),
        read => read.map(Some).named(path),
    }
}

/// Has ps(1) look, and keeps the heading and the lines of these processes.
fn by_ps(pids: &[Pid], options: &[OsString]) -> Outcome {
    match filtered(pids, options) {
        Ok(lines) => lines.iter().try_for_each(|line| say!("{}", harmless(line))).map(|()| 0),
        Err(Unable::Unfit(failure, told)) => {
            streams::error(&told);
            Err(failure)
        }
        Err(Unable::Failed(failure)) => Err(failure),
    }
}

/// Its lines; else what is wrong.
fn filtered(pids: &[Pid], options: &[OsString]) -> Result<Vec<String>, Unable> {
    const WHAT: &str = "run ps, which the options behind the name are for";
    let ran = run(options).map_err(|error| {
        let missing = error.kind() == ErrorKind::NotFound;
        let failure = Failure::new(format!("{WHAT}: {}", shown(&error)));
        if missing { Unable::Unfit(failure, Vec::new()) } else { Unable::Failed(failure) }
    });
    let Ran { status, stdout, stderr } = ran?;
    let failed = || Failure::new(format!("ps {options:?}: {status}"));
    match status.code() {
        Some(0) => {}
        Some(_) => return Err(Unable::Unfit(failed(), stderr)),
        None => return Err(Unable::Failed(failed())),
    }
    let text = String::from_utf8_lossy(&stdout);
    let none = || {
        let failure = Failure::new(format!("ps {options:?}: its table has no column PID"));
        Unable::Unfit(failure, Vec::new())
    };
    Ok(lines_of(&text, pids).ok_or_else(none)?.into_iter().map(str::to_owned).collect())
}

/// How a ps(1) went.
struct Ran {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// By files in memory: the standard library panics if a pipe can't be read.
fn run(options: &[OsString]) -> io::Result<Ran> {
    let file = || memfd_create(c"ps", MFdFlags::MFD_CLOEXEC).map(File::from);
    let (stdout, stderr) = (file()?, file()?);
    let mut command = Command::new("ps");
    command.args(options).stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    Ok(Ran { status: command.status()?, stdout: written(stdout)?, stderr: written(stderr)? })
}

fn written(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The heading and the lines whose `PID` is one of these; nothing without such a column.
fn lines_of<'a>(text: &'a str, pids: &[Pid]) -> Option<Vec<&'a str>> {
    let mut lines = text.lines();
    let heading = lines.next()?;
    let column = heading.split_whitespace().position(|word| word == "PID")?;
    let ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        pid.is_some_and(|pid: i32| pids.iter().any(|own| own.as_raw() == pid))
    };
    Some(std::iter::once(heading).chain(lines.filter(ours)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_others_are_left_out() {
        let text =
            "UID        PID  CMD\nroot         1  init\nroot        12  sleep 1\nroot       112  sh 12\n";
        let pids = [Pid::new(12).unwrap()];
        assert_eq!(lines_of(text, &pids).unwrap(), ["UID        PID  CMD", "root        12  sleep 1"]);
        assert_eq!(lines_of("CMD\nsh\n", &pids), None);
    }
}
