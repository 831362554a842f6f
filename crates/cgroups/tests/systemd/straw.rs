//! A bus and a manager of straw: a thread at the other end of a socket pair that answers by a script.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libcontainer_cgroups::Result;
use libcontainer_cgroups::systemd::wire::{Kind, Message};
use libcontainer_cgroups::systemd::{Bus, Manager, Value};

/// What the straw does about a call.
pub(crate) enum Reply {
    /// Answers.
    Return(Vec<Value>),
    /// Refuses: name and words.
    Error(&'static str, &'static str),
    /// Sends a signal `JobRemoved` for a job, from somebody.
    Removed { sender: &'static str, job: &'static str, word: &'static str },
    /// Sends these bytes.
    Raw(Vec<u8>),
    /// Closes the connection.
    Close,
}

/// How the straw authenticates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// As dbus-daemon: takes the kernel's word after an empty `DATA`.
    Kernel,
    /// As an old sd-bus: takes the kernel's word at once.
    AtOnce,
    /// Wants to be told the user id.
    Told,
    /// Nobody may come in.
    Nobody,
    /// Never says anything.
    Silent,
}

pub(crate) const SYSTEMD: &str = ":1.1";
pub(crate) const JOB: &str = "/org/freedesktop/systemd1/job/7";

/// The calls that the straw got, each as `Member(arguments)`.
pub(crate) type Calls = JoinHandle<Vec<String>>;

pub(crate) fn bus(
    auth: Auth,
    patience: Duration,
    script: impl FnMut(&Message) -> Vec<Reply> + Send + 'static,
) -> (Result<Bus>, Calls) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let calls = std::thread::spawn(move || serve(theirs, auth, script));
    (Bus::over(OwnedFd::from(ours), true, Instant::now() + patience), calls)
}

pub(crate) fn manager(
    patience: Duration,
    script: impl FnMut(&Message) -> Vec<Reply> + Send + 'static,
) -> (Manager, Calls) {
    let (bus, calls) = bus(Auth::Kernel, patience, script);
    (Manager::over(bus.unwrap(), patience), calls)
}

fn serve(mut stream: UnixStream, auth: Auth, mut script: impl FnMut(&Message) -> Vec<Reply>) -> Vec<String> {
    let mut calls = Vec::new();
    if !authenticate(&mut stream, auth) {
        return calls;
    }
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while let Some((call, length)) = Message::decode(&received).unwrap() {
            received.drain(..length);
            let arguments = call.arguments().unwrap();
            let words: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            calls.push(format!("{}({})", call.member.as_deref().unwrap(), words.join(", ")));
            for reply in answer(&call, &mut script) {
                if !send(&mut stream, &call, reply) {
                    return calls;
                }
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return calls,
            Ok(count) => received.extend(&chunk[..count]),
        }
    }
}

fn answer(call: &Message, script: &mut impl FnMut(&Message) -> Vec<Reply>) -> Vec<Reply> {
    match call.member.as_deref().unwrap() {
        "Hello" => vec![Reply::Return(vec![Value::Text(":1.42".to_owned())])],
        "AddMatch" | "Subscribe" => vec![Reply::Return(vec![])],
        _ => script(call),
    }
}

fn send(stream: &mut UnixStream, call: &Message, reply: Reply) -> bool {
    let answer = Message { serial: 9, reply_to: Some(call.serial), ..Message::default() };
    let answer = Message { sender: Some(SYSTEMD.to_owned()), flags: 1, ..answer };
    let message = match reply {
        Reply::Return(values) => Message { kind: Kind::Return, ..answer }.with(&values),
        Reply::Error(name, words) => Message { kind: Kind::Error, error: Some(name.to_owned()), ..answer }
            .with(&[Value::Text(words.to_owned())]),
        Reply::Removed { sender, job, word } => Ok(removed(sender, job, word)),
        Reply::Raw(bytes) => return stream.write_all(&bytes).is_ok(),
        Reply::Close => return false,
    };
    stream.write_all(&message.unwrap().encode().unwrap()).is_ok()
}

pub(crate) fn removed(sender: &str, job: &str, word: &str) -> Message {
    let arguments = [
        Value::U32(7),
        Value::Path(job.to_owned()),
        Value::Text("x.scope".to_owned()),
        Value::Text(word.to_owned()),
    ];
    let manager = "org.freedesktop.systemd1.Manager";
    let signal = Message::call("x", "/org/freedesktop/systemd1", manager, "JobRemoved");
    let sender = Some(sender.to_owned());
    let signal = Message { kind: Kind::Signal, serial: 8, sender, destination: None, ..signal };
    signal.with(&arguments).unwrap()
}

fn authenticate(stream: &mut UnixStream, auth: Auth) -> bool {
    let hex: String = nix::unistd::geteuid().to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
    let told = format!("AUTH EXTERNAL {hex}");
    let mut first = true;
    loop {
        let mut line = line(stream);
        if std::mem::take(&mut first) {
            assert_eq!(line.remove(0), '\0');
        }
        let reply = match (line.as_str(), auth) {
            ("", _) => return false,
            (_, Auth::Silent) => continue,
            ("BEGIN", _) => return true,
            ("AUTH EXTERNAL", Auth::Kernel) => "DATA",
            ("DATA", Auth::Kernel) | ("AUTH EXTERNAL", Auth::AtOnce) => "OK 0123456789abcdef",
            (line, Auth::Told) if line == told => "OK 0123456789abcdef",
            _ => "REJECTED EXTERNAL",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).unwrap();
    }
}

/// A line without its end; empty when there is none any more. Byte by byte: what follows `BEGIN` is not a line.
fn line(stream: &mut UnixStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => line.push(byte[0]),
            _ => return String::new(),
        }
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).unwrap()
}
