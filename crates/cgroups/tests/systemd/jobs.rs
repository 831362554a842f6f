//! Requests and their jobs, answered by a manager of straw.

use std::path::Path;
use std::time::{Duration, Instant};

use libcontainer_cgroups::Error;
use libcontainer_cgroups::systemd::wire::{Kind, Message};
use libcontainer_cgroups::systemd::{Property, Unit, Value};
use nix::unistd::Pid;

use crate::straw::{Auth, JOB, Reply, SYSTEMD, bus, manager, removed};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(150);
const NO_UNIT: Reply = Reply::Error("org.freedesktop.systemd1.NoSuchUnit", "Unit x.scope not loaded.");

fn unit() -> Unit {
    Unit::new("x.scope").unwrap()
}

fn job() -> Reply {
    Reply::Return(vec![Value::Path(JOB.to_owned())])
}

fn ends(word: &'static str) -> Reply {
    Reply::Removed { sender: SYSTEMD, job: JOB, word }
}

fn tasks() -> [Property; 1] {
    [Property::new("TasksMax", Value::U64(3))]
}

fn member(call: &Message) -> &str {
    call.member.as_deref().unwrap()
}

/// Trap 37: a start waits for its job.
#[test]
fn a_unit_starts() {
    let (mut manager, calls) = manager(LONG, |_| vec![job(), ends("done")]);
    assert!(manager.start(&unit(), &tasks()).unwrap());
    assert!(manager.start(&unit(), &[]).unwrap());
    drop(manager);
    let calls = calls.join().unwrap();
    assert_eq!(calls[0], "Hello()");
    assert!(calls[1].starts_with("AddMatch(\"type='signal',sender='org.freedesktop.systemd1',"), "{calls:?}");
    assert!(!calls[1].contains("  "), "{calls:?}");
    assert_eq!(
        calls[2..],
        [
            "Subscribe()",
            "StartTransientUnit(\"x.scope\", \"replace\", [(\"TasksMax\", 3)], [])",
            "StartTransientUnit(\"x.scope\", \"replace\", [], [])",
        ]
    );
}

#[test]
fn the_signal_may_overtake_the_answer() {
    let (mut manager, _calls) = manager(LONG, |_| vec![ends("done"), job()]);
    assert!(manager.start(&unit(), &[]).unwrap());
}

#[test]
fn only_systemd_ends_a_job() {
    let (mut manager, calls) = manager(SHORT, |_| {
        let stranger = Reply::Removed { sender: ":1.666", job: JOB, word: "done" };
        let other = Reply::Removed { sender: SYSTEMD, job: "/org/freedesktop/systemd1/job/8", word: "done" };
        vec![stranger, job(), other]
    });
    let start = Instant::now();
    let error = manager.start(&unit(), &[]).unwrap_err();
    assert!(start.elapsed() >= SHORT && start.elapsed() < LONG);
    assert!(
        matches!(&error, Error::Timeout { path, after, .. } if path == Path::new("x.scope") && *after == SHORT)
    );
    assert_eq!(error.to_string(), "systemd's job for x.scope: not done after 150ms");
    drop(manager);
    calls.join().unwrap();
}

#[test]
fn jobs_that_end_badly() {
    for (word, told) in [
        ("failed", "the unit failed"),
        ("canceled", "canceled by another request"),
        ("timeout", "systemd waited too long"),
        ("dependency", "a unit that it needs failed"),
        ("odd", "odd"),
    ] {
        let (mut manager, calls) = manager(LONG, move |call| match member(call) {
            "StartTransientUnit" => vec![job(), ends(word)],
            _ => vec![NO_UNIT],
        });
        let error = manager.start(&unit(), &[]).unwrap_err().to_string();
        assert_eq!(error, format!("systemd: StartTransientUnit: x.scope: {told}"));
        drop(manager);
        assert_eq!(calls.join().unwrap().last().unwrap(), "ResetFailedUnit(\"x.scope\")");
    }
}

#[test]
fn systemd_s_own_words() {
    let (mut manager, _calls) = manager(LONG, |_| {
        vec![Reply::Error("org.freedesktop.DBus.Error.InvalidArgs", "Cannot set property TasksMax")]
    });
    let words = "Cannot set property TasksMax (org.freedesktop.DBus.Error.InvalidArgs)";
    let error = manager.start(&unit(), &tasks()).unwrap_err().to_string();
    assert_eq!(error, format!("systemd: StartTransientUnit: {words}"));
    let error = manager.set(&unit(), &tasks()).unwrap_err().to_string();
    assert_eq!(error, format!("systemd: SetUnitProperties: {words}"));
    let error = manager.stop(&unit()).unwrap_err().to_string();
    assert_eq!(error, format!("systemd: StopUnit: {words}"));
}

#[test]
fn a_failed_unit_of_the_same_name_is_reset() {
    let mut starts = 0;
    let (mut manager, calls) = manager(LONG, move |call| match member(call) {
        "StartTransientUnit" => {
            starts += 1;
            match starts {
                1 => vec![Reply::Error(
                    "org.freedesktop.systemd1.UnitExists",
                    "Unit x.scope was already loaded",
                )],
                _ => vec![job(), ends("done")],
            }
        }
        _ => vec![Reply::Return(vec![])],
    });
    assert!(manager.start(&unit(), &[]).unwrap());
    drop(manager);
    let calls = calls.join().unwrap();
    assert_eq!(calls[4], "ResetFailedUnit(\"x.scope\")");
    assert_eq!(calls.len(), 6);
}

#[test]
fn a_unit_that_runs_is_not_taken() {
    let exists = || Reply::Error("org.freedesktop.systemd1.UnitExists", "Unit x was already loaded");
    let (mut manager, calls) = manager(LONG, move |call| match member(call) {
        "StartTransientUnit" => vec![exists()],
        _ => vec![Reply::Return(vec![])],
    });
    let error = manager.start(&unit(), &[]).unwrap_err().to_string();
    assert!(error.contains("already loaded"), "{error}");
    // But a slice that is there is as good as a new one.
    assert!(!manager.start(&Unit::new("a.slice").unwrap(), &[]).unwrap());
    drop(manager);
    assert_eq!(calls.join().unwrap().iter().filter(|call| call.starts_with("StartTransient")).count(), 3);
}

/// Trap 37: no longer than told.
#[test]
fn garbage_and_silence() {
    type Case = (&'static str, fn() -> Vec<Reply>, &'static str);
    let cases: [Case; 7] = [
        ("closed", || vec![Reply::Close], "the connection was closed"),
        ("closed after the answer", || vec![job(), Reply::Close], "the connection was closed"),
        (
            "garbage",
            || vec![Reply::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())],
            "D-Bus message: no message",
        ),
        ("half a message", || vec![Reply::Raw(b"l\x02\x00\x01\x00".to_vec()), Reply::Close], "was closed"),
        (
            "a huge message",
            || vec![Reply::Raw(b"l\x02\x00\x01\xff\xff\xff\x7f\x01\0\0\0\0\0\0\0".to_vec())],
            "a message of 2147483647",
        ),
        ("no job", || vec![Reply::Return(vec![Value::U32(1)])], "the answer is no job"),
        ("no answer", Vec::new, "no answer in time"),
    ];
    for (name, replies, words) in cases {
        let (mut manager, calls) = manager(SHORT, move |_| replies());
        let error = manager.start(&unit(), &[]).unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
        drop(manager);
        calls.join().unwrap();
    }
}

#[test]
fn a_flood_of_signals_does_not_hide_ours() {
    let (mut manager, _calls) = manager(LONG, |_| {
        let noise = removed(SYSTEMD, "/org/freedesktop/systemd1/job/9", "done").encode().unwrap();
        vec![Reply::Raw(noise.repeat(5000)), job(), Reply::Raw(noise.repeat(100)), ends("done")]
    });
    assert!(manager.start(&unit(), &[]).unwrap());
}

#[test]
fn a_unit_stops() {
    let (mut manager, calls) = manager(LONG, |call| match member(call) {
        "StopUnit" => vec![job(), ends("done")],
        _ => vec![NO_UNIT],
    });
    assert!(manager.stop(&unit()).unwrap());
    drop(manager);
    assert_eq!(
        calls.join().unwrap()[3..],
        ["StopUnit(\"x.scope\", \"replace\")", "ResetFailedUnit(\"x.scope\")"]
    );
}

#[test]
fn a_unit_that_is_not_there_is_stopped() {
    let (mut manager, _calls) = manager(LONG, |_| vec![NO_UNIT]);
    assert!(!manager.stop(&unit()).unwrap());
    manager.reset_failed(&unit()).unwrap();
    assert_eq!(manager.group(&unit()).unwrap(), None);
}

#[test]
fn a_stop_that_ends_badly_counts_if_the_group_is_gone() {
    for (gone, fine) in [(true, true), (false, false)] {
        let (mut manager, _calls) = manager(LONG, move |call| match member(call) {
            "StopUnit" => vec![job(), ends("canceled")],
            "GetUnit" if gone => vec![NO_UNIT],
            "GetUnit" => vec![Reply::Return(vec![Value::Path("/org/freedesktop/systemd1/unit/x".into())])],
            "Get" => vec![Reply::Return(vec![Value::variant(Value::Text("/system.slice/x.scope".into()))])],
            _ => vec![Reply::Return(vec![])],
        });
        let stopped = manager.stop(&unit());
        assert_eq!(stopped.is_ok(), fine, "{stopped:?}");
    }
}

#[test]
fn where_a_unit_is_and_what_systemd_is() {
    let (mut manager, calls) = manager(LONG, |call| {
        let arguments = call.arguments().unwrap();
        let value = match (member(call), arguments.get(1).and_then(Value::text)) {
            ("GetUnit", _) => {
                return vec![Reply::Return(vec![Value::Path("/org/freedesktop/systemd1/unit/x".into())])];
            }
            (_, Some("Version")) => "v252.39-1~deb12u1",
            _ if call.path.as_deref() == Some("/org/freedesktop/systemd1") => "/user.slice/user@0.service",
            _ => "/system.slice/x.scope",
        };
        vec![Reply::Return(vec![Value::variant(Value::Text(value.to_owned()))])]
    });
    assert_eq!(manager.version().unwrap(), 252);
    assert_eq!(manager.root().unwrap(), Path::new("user.slice/user@0.service"));
    assert_eq!(manager.group(&unit()).unwrap().unwrap(), Path::new("system.slice/x.scope"));
    manager.attach(&unit(), "/sub", &[Pid::from_raw(5), Pid::from_raw(6)]).unwrap();
    manager.set(&unit(), &tasks()).unwrap();
    drop(manager);
    assert_eq!(
        calls.join().unwrap()[1..],
        [
            "Get(\"org.freedesktop.systemd1.Manager\", \"Version\")",
            "Get(\"org.freedesktop.systemd1.Manager\", \"ControlGroup\")",
            "GetUnit(\"x.scope\")",
            "Get(\"org.freedesktop.systemd1.Scope\", \"ControlGroup\")",
            "AttachProcessesToUnit(\"x.scope\", \"/sub\", [5, 6])",
            "SetUnitProperties(\"x.scope\", true, [(\"TasksMax\", 3)])",
            // Once more around: now the control files are written.
            "Get(\"org.freedesktop.systemd1.Manager\", \"Version\")",
        ]
    );
}

/// What this systemd doesn't have is left out of the way back; what it doesn't tell for another reason is no such thing.
#[test]
fn properties_that_are_not_told() {
    for (name, known) in [
        ("org.freedesktop.DBus.Error.UnknownProperty", true),
        ("org.freedesktop.DBus.Error.AccessDenied", false),
        ("org.freedesktop.DBus.Error.NoReply", false),
    ] {
        let (mut manager, _calls) = manager(LONG, move |call| match member(call) {
            "GetUnit" => vec![Reply::Return(vec![Value::Path("/org/freedesktop/systemd1/unit/x".into())])],
            _ if call.arguments().unwrap()[1].text() == Some("New") => vec![Reply::Error(name, "no")],
            _ => vec![Reply::Return(vec![Value::variant(Value::U64(3))])],
        });
        match manager.properties(&unit(), &["New", "TasksMax"]) {
            Ok(found) => assert!(known && found == tasks(), "{name}: {found:?}"),
            Err(error) => assert!(!known && error.to_string().contains(name), "{name}: {error}"),
        }
    }
    let (mut manager, calls) = manager(LONG, |_| vec![Reply::Return(vec![])]);
    manager.attach(&unit(), "", &[Pid::from_raw(5), Pid::from_raw(0)]).unwrap_err();
    drop(manager);
    assert_eq!(calls.join().unwrap().len(), 1, "nothing but the greeting");
}

#[test]
fn a_version_without_a_number() {
    let (mut manager, _calls) =
        manager(LONG, |_| vec![Reply::Return(vec![Value::variant(Value::Text("main".into()))])]);
    assert!(manager.version().unwrap_err().to_string().contains("\"main\" has no number in front"));
}

#[test]
fn ways_to_authenticate() {
    for (auth, words) in [
        (Auth::Kernel, None),
        (Auth::AtOnce, None),
        (Auth::Told, None),
        (Auth::Nobody, Some("authentication: the bus says \"REJECTED EXTERNAL\"")),
        (Auth::Silent, Some("authentication: no answer in time")),
    ] {
        let (bus, calls) = bus(auth, if auth == Auth::Silent { SHORT } else { LONG }, |_| Vec::new());
        match (bus, words) {
            (Ok(bus), None) => assert_eq!(bus.name(), Some(":1.42")),
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
            (other, _) => panic!("{other:?}"),
        }
        calls.join().unwrap();
    }
}

#[test]
fn late_answers_are_not_taken_for_others() {
    let (bus, _calls) = bus(Auth::Kernel, LONG, |call| {
        // An answer to a call that nobody waits for, then the right one.
        let late =
            Message { kind: Kind::Return, serial: 3, reply_to: Some(call.serial + 77), ..Message::default() };
        let late = late.with(&[Value::U32(1)]).unwrap().encode().unwrap();
        vec![Reply::Raw(late), Reply::Return(vec![Value::U32(2)])]
    });
    let mut bus = bus.unwrap();
    let answer = bus.call(Message::call("a.b", "/", "a.b", "Any"), "Any", Instant::now() + LONG).unwrap();
    assert_eq!(answer.or_refuse("Any").unwrap().arguments().unwrap(), [Value::U32(2)]);
}
