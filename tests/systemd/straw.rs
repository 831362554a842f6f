//! A manager of straw at a socket: it makes scopes' groups as systemd does, and remembers what it was asked.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use libcontainer::cgroups::Layout;
use libcontainer::cgroups::systemd::wire::{Kind, Message};
use libcontainer::cgroups::systemd::{Environment, Slice, Value};
use libcontainer_tests::Place;

const JOB: &str = "/org/freedesktop/systemd1/job/7";
const MANAGED: [&str; 5] = ["cpu", "memory", "devices", "pids", "name=systemd"];

/// What the threads share.
#[derive(Default)]
pub(crate) struct Known {
    /// Calls, each as `Member(arguments)`.
    pub(crate) calls: Vec<String>,
    units: BTreeMap<String, BTreeMap<String, Value>>,
    /// How jobs end that start a unit.
    pub(crate) job: &'static str,
    root: String,
}

pub(crate) struct Straw {
    pub(crate) known: Arc<Mutex<Known>>,
    path: PathBuf,
    root: String,
}

impl Straw {
    pub(crate) fn new(place: &Place, job: &'static str) -> Self {
        let path = place.join("bus");
        let root = place.path().file_name().unwrap().to_str().unwrap().to_owned();
        let known = Known { job, root: root.clone(), ..Known::default() };
        let known = Arc::new(Mutex::new(known));
        let (listener, shared) = (UnixListener::bind(&path).unwrap(), Arc::clone(&known));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self { known, path, root }
    }

    pub(crate) fn environment(&self) -> Environment {
        let address = Some(format!("unix:path={}", self.path.display()).into());
        Environment { system_address: address.clone(), session_address: address, ..Environment::default() }
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.known.lock().unwrap().calls.clone()
    }

    pub(crate) fn has_units(&self) -> bool {
        !self.known.lock().unwrap().units.is_empty()
    }

    /// Groups that are left below the straw's own, slices aside.
    pub(crate) fn scopes(&self) -> Vec<PathBuf> {
        let roots = Layout::of_this_process().unwrap();
        let roots = roots.all().map(|one| one.mountpoint.join(&self.root));
        let mut left = Vec::new();
        for root in roots {
            walk(&root, &mut |dir| {
                left.extend(
                    Some(dir.clone()).filter(|dir| dir.extension().is_some_and(|end| end == "scope")),
                );
            });
        }
        left
    }
}

impl Drop for Straw {
    fn drop(&mut self) {
        for one in Layout::of_this_process().unwrap().all() {
            walk(&one.mountpoint.join(&self.root), &mut |dir| drop(fs::remove_dir(dir)));
        }
    }
}

/// The directory and those below it, the lowest first.
fn walk(dir: &PathBuf, each: &mut dyn FnMut(&PathBuf)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            walk(&entry.path(), each);
        }
    }
    each(dir);
}

fn serve(stream: UnixStream, known: &Mutex<Known>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = String::from_utf8_lossy(&line).trim_matches(['\0', '\r', '\n']).to_owned();
        let reply = match line.as_str() {
            "BEGIN" => break,
            "AUTH EXTERNAL" => "DATA",
            _ => "OK 0123456789abcdef",
        };
        writer.write_all(format!("{reply}\r\n").as_bytes()).unwrap();
    }
    let (mut received, mut chunk) = (Vec::new(), [0; 4096]);
    while let Some(count) = reader.read(&mut chunk).ok().filter(|count| *count > 0) {
        received.extend(&chunk[..count]);
        while let Some((call, length)) = Message::decode(&received).unwrap() {
            received.drain(..length);
            for message in answer(&call, &mut known.lock().unwrap()) {
                let _ = writer.write_all(&message.encode().unwrap());
            }
        }
    }
}

fn answer(call: &Message, known: &mut Known) -> Vec<Message> {
    let (member, arguments) = (call.member.as_deref().unwrap(), call.arguments().unwrap());
    let words: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    known.calls.push(format!("{member}({})", words.join(", ")));
    let text = |index: usize| arguments.get(index).and_then(Value::text).unwrap_or_default().to_owned();
    let reply = Message {
        serial: 9,
        reply_to: Some(call.serial),
        sender: Some(":1.1".into()),
        flags: 1,
        ..Message::default()
    };
    let values = match member {
        "Hello" => vec![Value::Text(":1.42".into())],
        "Get" => match known.property(call.path.as_deref().unwrap(), &text(1)) {
            Some(value) => vec![Value::variant(value)],
            None => return vec![error(reply, "org.freedesktop.DBus.Error.UnknownProperty")],
        },
        "StartTransientUnit" => {
            known.start(&text(0), &arguments[2]);
            let job = Value::Path(JOB.into());
            return vec![
                Message { kind: Kind::Return, ..reply }.with(&[job]).unwrap(),
                removed(&text(0), known.job),
            ];
        }
        "GetUnit" | "StopUnit" | "SetUnitProperties" if !known.units.contains_key(&text(0)) => {
            return vec![error(reply, "org.freedesktop.systemd1.NoSuchUnit")];
        }
        "GetUnit" => vec![Value::Path(format!("/unit/{}", text(0).replace(['.', '-'], "_")))],
        "StopUnit" => {
            known.stop(&text(0));
            let job = Value::Path(JOB.into());
            return vec![
                Message { kind: Kind::Return, ..reply }.with(&[job]).unwrap(),
                removed(&text(0), "done"),
            ];
        }
        "SetUnitProperties" => {
            let unit = known.units.get_mut(&text(0)).unwrap();
            unit.extend(properties(&arguments[2]));
            vec![]
        }
        _ => vec![],
    };
    vec![Message { kind: Kind::Return, ..reply }.with(&values).unwrap()]
}

fn error(reply: Message, name: &str) -> Message {
    Message { kind: Kind::Error, error: Some(name.to_owned()), ..reply }
}

fn removed(unit: &str, word: &str) -> Message {
    let manager = "org.freedesktop.systemd1.Manager";
    let signal = Message::call("x", "/org/freedesktop/systemd1", manager, "JobRemoved");
    let signal =
        Message { kind: Kind::Signal, serial: 8, sender: Some(":1.1".into()), destination: None, ..signal };
    let texts = [unit, word].map(|text| Value::Text(text.to_owned()));
    let [unit, word] = texts;
    signal.with(&[Value::U32(7), Value::Path(JOB.into()), unit, word]).unwrap()
}

fn properties(list: &Value) -> BTreeMap<String, Value> {
    let Value::Array(list) = list else { panic!("{list}") };
    let pair = |item: &Value| match item {
        Value::Struct(fields) => (fields[0].text().unwrap().to_owned(), fields[1].inner().clone()),
        other => panic!("{other}"),
    };
    list.items().iter().map(pair).collect()
}

impl Known {
    fn property(&self, path: &str, name: &str) -> Option<Value> {
        match name {
            "Version" => Some(Value::Text("257.9-1".into())),
            "ControlGroup" if !path.starts_with("/unit/") => Some(Value::Text(format!("/{}", self.root))),
            _ => {
                let units = self.units.iter();
                let mut own =
                    units.filter(|(unit, _)| path == format!("/unit/{}", unit.replace(['.', '-'], "_")));
                own.next()?.1.get(name).cloned()
            }
        }
    }

    fn directories(&self, unit: &str, slice: &str) -> Vec<PathBuf> {
        let below = PathBuf::from(&self.root).join(Slice::new(slice).unwrap().path()).join(unit);
        let layout = Layout::of_this_process().unwrap();
        let managed =
            layout.all().filter(|one| one.controllers.is_empty() || MANAGED.iter().any(|name| one.has(name)));
        managed.map(|one| one.mountpoint.join(&below)).collect()
    }

    fn start(&mut self, unit: &str, list: &Value) {
        let all = properties(list);
        if self.job != "done" {
            return;
        }
        for dir in self.directories(unit, all["Slice"].text().unwrap()) {
            fs::create_dir_all(&dir).unwrap();
            let Value::Array(pids) = &all["PIDs"] else { panic!("PIDs") };
            fs::write(dir.join("cgroup.procs"), pids.items()[0].to_string()).unwrap();
        }
        self.units.insert(unit.to_owned(), all);
    }

    fn stop(&mut self, unit: &str) {
        let all = self.units.remove(unit).unwrap();
        for dir in self.directories(unit, all["Slice"].text().unwrap()) {
            let _ = fs::remove_dir(dir);
        }
    }
}
