//! Workers, and who does what.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A process with a host of its own.
struct Worker {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    dir: PathBuf,
}

impl Worker {
    fn start() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("lcf{}w{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(&name);
        std::fs::create_dir(&dir).with_context(|| dir.display().to_string())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("worker").arg(&dir).arg(&name);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start a worker")?;
        let requests = child.stdin.take().context("no pipe")?;
        let answers = BufReader::new(child.stdout.take().context("no pipe")?);
        Ok(Self { child, requests, answers, dir })
    }

    fn ask(&mut self, request: &str) -> Result<Value> {
        writeln!(self.requests, "{request}").context("ask a worker")?;
        let mut line = String::new();
        self.answers.read_line(&mut line).context("hear from a worker")?;
        serde_json::from_str(&line).with_context(|| format!("a worker died: {line:?}"))
    }

    /// Its host ends with it.
    fn end(self) {
        let Self { mut child, requests, dir, .. } = self;
        drop(requests);
        // What it can't end is reported by whoever looks at the host.
        let _ = child.wait();
        let _ = std::fs::remove_dir(dir);
    }
}

/// Has the requests done by `jobs` workers, and hands out each answer as it comes.
pub(crate) fn run(requests: Vec<String>, jobs: usize, mut each: impl FnMut(&str, &Value)) {
    let queue = Mutex::new(VecDeque::from(requests));
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (queue, send) = (&queue, send.clone());
            scope.spawn(move || work(queue, &send));
        }
        drop(send);
        for (request, answer) in receive {
            each(&request, &answer);
        }
    });
}

fn work(queue: &Mutex<VecDeque<String>>, send: &mpsc::Sender<(String, Value)>) {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let mut worker = None;
    while let Some(request) = next() {
        let answer = answer(&mut worker, &request);
        let answer = answer.unwrap_or_else(|error| json!({"error": format!("{error:#}"), "spoiled": true}));
        if answer.get("spoiled").and_then(Value::as_bool).unwrap_or(true) {
            worker.take().map(Worker::end).unwrap_or_default();
        }
        if send.send((request, answer)).is_err() {
            break;
        }
    }
    worker.map(Worker::end).unwrap_or_default();
}

fn answer(worker: &mut Option<Worker>, request: &str) -> Result<Value> {
    if worker.is_none() {
        *worker = Some(Worker::start()?);
    }
    let result = worker.as_mut().context("no worker")?.ask(request);
    if result.is_err() {
        worker.take().map(Worker::end).unwrap_or_default();
    }
    result
}
