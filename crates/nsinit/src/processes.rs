//! ps: the processes of a container.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use libcontainer::Pid;
use nix::errno::Errno;
use serde_json::json;

use crate::arguments::PsArgs;
use crate::failure::{Failure, Named, Outcome};
use crate::lifecycle::load;
use crate::output::{say, table};
use crate::root::State;
use crate::streams;

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
        Ok(lines) => lines.iter().try_for_each(|line| say!("{line}")).map(|()| 0),
        Err(_) => own_table(pids),
    }
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
        Ok(lines) => lines.iter().try_for_each(|line| say!("{line}")).map(|()| 0),
        Err((failure, told)) => {
            streams::error(&told);
            Err(failure)
        }
    }
}

/// Its lines; else what is wrong, with what it has told of that.
fn filtered(pids: &[Pid], options: &[OsString]) -> Result<Vec<String>, (Failure, Vec<u8>)> {
    let output = Command::new("ps").args(options).stdin(Stdio::null()).output();
    let output = output.named("run ps, which the options behind the name are for");
    let output = output.map_err(|failure| (failure, Vec::new()))?;
    if !output.status.success() {
        return Err((Failure::new(format!("ps {options:?}: {}", output.status)), output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let none = || (Failure::new(format!("ps {options:?}: its table has no column PID")), Vec::new());
    Ok(lines_of(&text, pids).ok_or_else(none)?.into_iter().map(str::to_owned).collect())
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
