//! A program that uses the library: `library_host DIR NAME BUNDLE`. Threads, piped stdio, a network; every public way of starting a process. With `template` behind
//! it makes its containers of a template, and keeps some ready; with `class ROOT` one in a class of what stands in for resctrl. Its own threads are the library's kind: one of `std` ends the program for want of memory.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libcontainer::cgroups::Resources;
use libcontainer::{
    Config, Container, Factory, Mode, Process, ProcessConfig, Resctrl, ResctrlMount, Stdio, Template,
};
use libcontainer_thread::spawn;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Not the main thread: what belongs to a thread must not matter.
    let done = spawn("host", move || {
        let before = open_descriptors()?;
        let done = all(&args);
        let rest = args.first().map_or(Ok(()), |dir| come_to_rest(dir, before));
        done.and(rest)
    });
    match done.map(libcontainer_thread::Thread::join) {
        Ok(Some(Ok(()))) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "library_host: start a thread: {error}");
            ExitCode::FAILURE
        }
        Ok(Some(Err(error))) => {
            let _ = writeln!(std::io::stderr(), "library_host: {error}");
            ExitCode::FAILURE
        }
        Ok(None) => ExitCode::from(101),
    }
}

fn all(args: &[String]) -> Result<()> {
    let [dir, name, bundle, rest @ ..] = args else { return Err("three arguments".into()) };
    let bundle = Path::new(bundle);
    let (mut config, _) = Config::from_file(&bundle.join("container.json"), Mode::Strict)?;
    config.rootfs = bundle.join("rootfs");
    let factory = Factory::new()?;
    let path = Path::new(dir).join(name);
    match rest {
        [] => {}
        [what, root] if what == "class" => return in_class(factory, &path, config, root),
        _ => return of_template(&factory.template(dir, &config)?, name),
    }
    let (container, process) = factory.create_with(&path, &config, piped())?;
    ended(&container, |container| {
        container.run()?;
        talk(process)
    })?;
    let heard = Heard::default();
    let (container, process) = factory.run(&path, &config, copied(&heard))?;
    ended(&container, |_| heard.compare(process))?;
    ended(&factory.create(&path, &config)?, joined)?;
    let (container, mut process) = factory.run(&path, &config, ProcessConfig::new(["true"]))?;
    ended(&container, |_| match process.wait()? {
        status if status.success() => Ok(()),
        status => Err(format!("true: {status:?}").into()),
    })
}

/// A child that is traced can be reaped a moment later than it ends; whatever comes next in a program does that, and closes what it had open.
fn come_to_rest(dir: &str, descriptors: usize) -> Result<()> {
    let factory = Factory::new()?;
    for _ in 0..50 {
        libcontainer::plan::rest(Duration::from_millis(20));
        factory.destroy(Path::new(dir).join("none"))?;
        if open_descriptors()? <= descriptors {
            break;
        }
    }
    Ok(())
}

fn open_descriptors() -> Result<usize> {
    Ok(libcontainer::plan::names(std::fs::File::open("/proc/self/fd")?)?.len())
}

/// A class of its own, a join, and other shares.
fn in_class(factory: Factory, path: &Path, mut config: Config, root: &str) -> Result<()> {
    let [tasks, schemata, monitors] = ["cgroup.procs", "cgroup.max.depth", "."].map(str::to_owned);
    let factory = factory.resctrl(ResctrlMount { root: root.into(), tasks, schemata, monitors });
    let line = |value: &str| vec![value.to_owned()];
    config.resctrl = Some(Resctrl { schemata: line("7"), ..Resctrl::default() });
    ended(&factory.create(path, &config)?, |container| {
        talk(container.start(piped())?)?;
        Ok(container.update_with(&Resources::default(), &line("9"))?)
    })
}

/// Programs in containers that stand by, one that is made now, and everything taken back.
fn of_template(template: &Template, name: &str) -> Result<()> {
    template.keep_ready(2)?;
    rested(template)?;
    for _ in 0..2 {
        let (container, process) = template.start(piped())?;
        ended(&container, |_| talk(process))?;
    }
    ended(&template.create(name)?, joined)?;
    template.keep_ready(0)?;
    rested(template)
}

fn rested(template: &Template) -> Result<()> {
    if template.settle(Duration::from_secs(10)) {
        return Ok(());
    }
    let stats = template.stats();
    Err(format!("the template does not come to rest: {stats:?}").into())
}

/// Does something with a container, and ends it whatever comes of that.
fn ended(container: &Container, work: impl FnOnce(&Container) -> Result<()>) -> Result<()> {
    let done = work(container);
    match (done, container.destroy()) {
        (Ok(()), destroyed) => Ok(destroyed?),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(left)) => Err(format!("{error}; {left}").into()),
    }
}

fn joined(container: &Container) -> Result<()> {
    talk(container.start(piped())?)?;
    container.stats()?;
    Ok(())
}

fn piped() -> ProcessConfig {
    ProcessConfig {
        stdin: Stdio::Pipe,
        stdout: Stdio::Pipe,
        stderr: Stdio::Null,
        ..ProcessConfig::new(["cat"])
    }
}

/// Objects of the caller at both ends: threads of the library copy.
fn copied(heard: &Heard) -> ProcessConfig {
    ProcessConfig {
        stdin: Stdio::Reader(Box::new(&b"echo"[..])),
        stdout: Stdio::Writer(Box::new(heard.clone())),
        stderr: Stdio::Null,
        ..ProcessConfig::new(["cat"])
    }
}

/// What was written.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn compare(&self, mut process: Process) -> Result<()> {
        let status = process.wait()?;
        let text = self.0.lock().map_err(|_| "a writer panicked")?.clone();
        if status.success() && text == b"echo" {
            return Ok(());
        }
        Err(format!("cat: {status:?}, {:?}", String::from_utf8_lossy(&text)).into())
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|_| std::io::Error::other("a writer panicked"))?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Says something and wants it back.
fn talk(mut process: Process) -> Result<()> {
    let mut input = process.stdin.take().ok_or("no standard input")?;
    let mut output = process.stdout.take().ok_or("no standard output")?;
    let reader = spawn("reader", move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    })?;
    let written = input.write_all(b"echo");
    drop(input);
    let read = reader.join().ok_or("the reader panicked")?;
    written?;
    let status = process.wait()?;
    let text = read?;
    if status.success() && text == "echo" {
        return Ok(());
    }
    Err(format!("cat: {status:?}, {text:?}").into())
}
