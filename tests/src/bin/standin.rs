//! Stands in for criu: speaks its protocol by descriptor 3, and misbehaves as `STANDIN` says. Without a word it works: what it writes is an empty image, what it restores
//! is a program that sleeps, in namespaces of its own.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::unistd::Pid;

const CONNECTION: i32 = 3;
/// What a criu 4.1 says when it is asked which version it is, and one of 3.10.
const NEW: &[u8] = b"\x08\x0a\x10\x01\x52\x04\x08\x04\x10\x01";
const OLD: &[u8] = b"\x08\x0a\x10\x01\x52\x04\x08\x03\x10\x0a";
/// What it says of its work, behind the number of that.
const REFUSED: &[u8] = b"\x10\x00\x38\x0d\x4a\x06no way";
const DONE: &[u8] = b"\x10\x01";
const CHECKPOINT: u8 = 1;
const RESTORE: u8 = 2;
/// That a notification was taken for good.
const NOTED: &[u8] = b"\x08\x06\x18\x01";
/// Longest message.
const ROOM: usize = 65536;
/// Exit codes of one that dies.
const DIED: u8 = 3;
const VANISHED: u8 = 9;

fn main() -> ExitCode {
    let mode = std::env::var("STANDIN").unwrap_or_default();
    if std::env::args().nth(1).as_deref() == Some("check") {
        return ExitCode::SUCCESS;
    }
    hear();
    let kind = if mode.ends_with("restore") { RESTORE } else { CHECKPOINT };
    let mode = mode.trim_end_matches("-restore");
    match mode {
        "hang" => stay(),
        "die" => return ExitCode::from(DIED),
        "rubbish" => drop(say(b"HTTP/1.1 400 Bad Request")),
        "old" => drop(say(OLD)),
        _ => {
            say(NEW);
            return asked(mode, kind, &hear());
        }
    }
    ExitCode::SUCCESS
}

/// Behind the question for its version.
fn asked(mode: &str, kind: u8, request: &[u8]) -> ExitCode {
    match mode {
        "stall" => stay(),
        "vanish" => return ExitCode::from(VANISHED),
        "refuse" => drop(answer(kind, REFUSED)),
        "lie" => drop(answer(kind, DONE)),
        "" | "frozen" | "frozen-stall" | "frozen-hush" | "first" | "first-stall" => {
            return work(mode, request);
        }
        _ => return ExitCode::from(99),
    }
    ExitCode::SUCCESS
}

fn hear() -> Vec<u8> {
    let mut request = vec![0; ROOM];
    let count = recv(CONNECTION, &mut request, MsgFlags::empty()).unwrap_or(0);
    request.truncate(count);
    request
}

fn say(bytes: &[u8]) -> bool {
    send(CONNECTION, bytes, MsgFlags::MSG_NOSIGNAL).is_ok()
}

/// Answers what was asked for.
fn answer(kind: u8, text: &[u8]) -> bool {
    say(&[&[0x08, kind], text].concat())
}

fn stay() {
    loop {
        sleep(Duration::from_secs(60));
    }
}

fn work(mode: &str, request: &[u8]) -> ExitCode {
    let all = fields(request);
    let options = fields(text(&all, 2));
    match number(&all, 1) {
        1 => dump(mode, &options),
        2 => restore(mode),
        // It was left.
        _ => Some(()),
    }
    .map_or(ExitCode::from(DIED), |()| ExitCode::SUCCESS)
}

/// Has the processes stand still, as criu does, and ends them if they are not to go on.
fn dump(mode: &str, options: &[Field<'_>]) -> Option<()> {
    let group = String::from_utf8_lossy(text(options, 44)).into_owned();
    let images = fs::File::open(format!("/proc/{}/fd/{}", parent_id(), number(options, 1))).ok()?;
    freeze(Path::new(&group), true)?;
    match mode {
        "frozen" => return None,
        "frozen-stall" => stay(),
        "frozen-hush" => return Some(()),
        _ => {}
    }
    let written = fs::write(format!("/proc/self/fd/{}/inventory.img", images.as_raw_fd()), "").ok();
    if written.is_some() && number(options, 3) == 0 {
        kill(Pid::from_raw(i32::try_from(number(options, 2)).ok()?), Signal::SIGKILL).ok()?;
    }
    freeze(Path::new(&group), false)?;
    written?;
    answer(CHECKPOINT, DONE).then_some(())
}

fn freeze(group: &Path, still: bool) -> Option<()> {
    let words = if still { ["FROZEN", "1"] } else { ["THAWED", "0"] };
    let old = group.join("freezer.state");
    if !old.exists() {
        return fs::write(group.join("cgroup.freeze"), words[1]).ok();
    }
    fs::write(&old, words[0]).ok()?;
    (0..1000).find_map(|_| {
        sleep(Duration::from_millis(1));
        (fs::read_to_string(&old).ok()?.trim() == words[0]).then_some(())
    })
}

/// Makes a process, and tells of it before anything runs, as criu does.
fn restore(mode: &str) -> Option<()> {
    let kinds = [
        CloneFlags::CLONE_NEWPID,
        CloneFlags::CLONE_NEWNET,
        CloneFlags::CLONE_NEWUTS,
        CloneFlags::CLONE_NEWIPC,
    ];
    kinds.into_iter().try_for_each(unshare).ok()?;
    let mut child = Command::new("sleep").arg("1000").spawn().ok()?;
    let told = announced(mode, &child);
    if told.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    told
}

fn announced(mode: &str, child: &Child) -> Option<()> {
    note("setup-namespaces", child)?;
    match mode {
        "first" => return None,
        "first-stall" => stay(),
        _ => {}
    }
    note("post-restore", child)?;
    answer(RESTORE, DONE).then_some(())
}

/// Announces a step, and hears whether it is to go on.
fn note(step: &str, child: &Child) -> Option<()> {
    let mut notify = vec![0x0a, u8::try_from(step.len()).ok()?];
    notify.extend(step.bytes());
    notify.push(0x10);
    notify.extend(varint(u64::from(child.id())));
    let mut message = b"\x08\x06\x10\x01\x2a".to_vec();
    message.push(u8::try_from(notify.len()).ok()?);
    message.extend(notify);
    (say(&message) && hear() == NOTED).then_some(())
}

/// A field of a message of Protocol Buffers: its number, and what it holds.
enum Field<'a> {
    Number(u64, u64),
    Text(u64, &'a [u8]),
}

fn number(all: &[Field<'_>], wanted: u64) -> u64 {
    let one = |field: &Field<'_>| match field {
        Field::Number(field, value) if *field == wanted => Some(*value),
        _ => None,
    };
    all.iter().find_map(one).unwrap_or(0)
}

fn text<'a>(all: &[Field<'a>], wanted: u64) -> &'a [u8] {
    let one = |field: &Field<'a>| match field {
        Field::Text(field, value) if *field == wanted => Some(*value),
        _ => None,
    };
    all.iter().find_map(one).unwrap_or_default()
}

fn fields(mut rest: &[u8]) -> Vec<Field<'_>> {
    let mut all = Vec::new();
    while let Some((key, behind)) = read(rest) {
        let Some((value, behind)) = read(behind) else { break };
        rest = behind;
        if key & 7 != 2 {
            all.push(Field::Number(key >> 3, value));
            continue;
        }
        let Some((value, behind)) = usize::try_from(value).ok().and_then(|at| rest.split_at_checked(at))
        else {
            break;
        };
        rest = behind;
        all.push(Field::Text(key >> 3, value));
    }
    all
}

fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (number, rest) = bytes.split_at(length);
    let value = number.iter().rev().fold(0, |value, byte| (value << 7) | u64::from(byte & 0x7f));
    Some((value, rest))
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
    bytes
}
