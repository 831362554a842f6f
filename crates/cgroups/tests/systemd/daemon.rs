//! A real dbus-daemon, private to the test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libcontainer_cgroups::systemd::wire::{Kind, Message};
use libcontainer_cgroups::systemd::{Bus, Endpoint, Manager, Property, Unit, Value, parse_address};

use crate::skip::skip;
use crate::straw::JOB;

const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=SOCKET</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"#;

struct Daemon {
    child: Child,
    endpoint: Endpoint,
    dir: std::path::PathBuf,
}

impl Daemon {
    fn start(name: &str) -> Option<Self> {
        let dir = std::env::temp_dir().join(format!("libcontainer-bus-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let config = CONFIG.replace("SOCKET", dir.join("bus").to_str().unwrap());
        std::fs::write(dir.join("bus.conf"), config).unwrap();
        let child = Command::new("dbus-daemon")
            .args(["--nofork", "--nosyslog", "--print-address"])
            .arg(format!("--config-file={}", dir.join("bus.conf").display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            std::fs::remove_dir_all(dir).unwrap();
            skip(name, "dbus-daemon is not installed");
            return None;
        };
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let endpoint = parse_address(address.trim().as_ref()).unwrap().remove(0);
        Some(Self { child, endpoint, dir })
    }

    fn connect(&self) -> Bus {
        Bus::open(&self.endpoint, soon()).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn hello_and_a_refusal() {
    let Some(daemon) = Daemon::start("hello_and_a_refusal") else { return };
    let bus = daemon.connect();
    assert!(bus.name().unwrap().starts_with(":1."), "{:?}", bus.name());
    let mut manager = Manager::over(bus, Duration::from_secs(20));
    let error = manager.version().unwrap_err().to_string();
    assert!(error.contains("org.freedesktop.DBus.Error.ServiceUnknown"), "{error}");
    let error = manager.start(&Unit::new("x.scope").unwrap(), &[]).unwrap_err().to_string();
    assert!(error.starts_with("systemd: StartTransientUnit: "), "{error}");
}

/// Answers as systemd would, over the daemon, until it has started a unit; returns its arguments.
fn systemd(mut bus: Bus) -> Vec<Value> {
    loop {
        let call = bus.receive("call", soon()).unwrap();
        if call.kind != Kind::Call {
            continue;
        }
        let answer = Message {
            kind: Kind::Return,
            reply_to: Some(call.serial),
            destination: call.sender.clone(),
            ..Message::default()
        };
        let member = call.member.as_deref().unwrap();
        let job = Value::Path(JOB.to_owned());
        let values = if member == "StartTransientUnit" { vec![job.clone()] } else { vec![] };
        bus.send(answer.with(&values).unwrap(), "answer", soon()).unwrap();
        if member == "StartTransientUnit" {
            let removed = crate::straw::removed("unused", JOB, "done");
            // The daemon says who sends.
            bus.send(Message { sender: None, ..removed }, "signal", soon()).unwrap();
            return call.arguments().unwrap();
        }
    }
}

#[test]
fn a_job_over_a_real_bus() {
    let Some(daemon) = Daemon::start("a_job_over_a_real_bus") else { return };
    let mut own = daemon.connect();
    let bus = "org.freedesktop.DBus";
    let request = Message::call(bus, "/org/freedesktop/DBus", bus, "RequestName")
        .with(&[Value::Text("org.freedesktop.systemd1".into()), Value::U32(0)])
        .unwrap();
    let answer = own.call(request, "RequestName", soon()).unwrap().or_refuse("RequestName").unwrap();
    assert_eq!(answer.arguments().unwrap(), [Value::U32(1)]);
    let server = std::thread::spawn(move || systemd(own));

    let mut manager = Manager::over(daemon.connect(), Duration::from_secs(20));
    let properties =
        [Property::new("TasksMax", Value::U64(3)), Property::new("PIDs", Value::numbers(&[1, 2]))];
    assert!(manager.start(&Unit::new("x.scope").unwrap(), &properties).unwrap());
    let arguments = server.join().unwrap();
    assert_eq!(arguments[0].text(), Some("x.scope"));
    assert_eq!(arguments[2], Property::list(&properties));
}

#[test]
fn nobody_listens() {
    let endpoint = Endpoint::bus("/nonexistent/bus");
    let error = Bus::open(&endpoint, soon()).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/bus") && error.contains("No such file"), "{error}");
    let long = Endpoint::bus(format!("/{}", "a".repeat(200)));
    assert!(Bus::open(&long, soon()).is_err());
}

#[test]
fn a_listener_that_never_accepts() {
    let dir = std::env::temp_dir().join(format!("libcontainer-bus-{}-full", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("bus");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let start = Instant::now();
    let error = Bus::open(&Endpoint::bus(&path), start + Duration::from_millis(200)).unwrap_err().to_string();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(error.contains("no answer in time"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
}
