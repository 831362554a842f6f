//! Templates: many containers of one config, and those that stand by for programs to come.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends by panicking")]

#[path = "template/budgets.rs"]
mod budgets;
#[path = "template/reaped.rs"]
mod reaped;
#[path = "template/threads.rs"]
mod threads;

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::Duration;

use libcontainer::{Config, Details, ErrorKind, Expected, Factory, ProcessConfig, RunState, Template};
use libcontainer_tests::{Place, able, config, text};

const PATIENCE: Duration = Duration::from_secs(20);

fn directory(place: &Place) -> std::path::PathBuf {
    let dir = place.join("all");
    std::fs::create_dir(&dir).unwrap();
    dir
}

fn template(place: &Place, change: impl FnOnce(&mut Config)) -> Template {
    let mut config = config(&place.rootfs().unwrap());
    change(&mut config);
    Factory::new().unwrap().template(directory(place), &config).unwrap()
}

/// As many of a plain config that stand by; none where containers can't be made, which is told.
fn standing_by(test: &str, count: usize) -> Option<(Place, Template)> {
    if !able(test) {
        return None;
    }
    let place = Place::new(test);
    let template = template(&place, |_| ());
    template.keep_ready(count).unwrap();
    assert!(template.settle(PATIENCE), "{:?}", template.stats());
    Some((place, template))
}

fn names(template: &Template) -> BTreeSet<String> {
    let entries = std::fs::read_dir(template.dir()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What `script` prints, in a container that `template` chooses.
fn shell(template: &Template, script: &str) -> String {
    let (container, process) = template.start(ProcessConfig::new(["sh", "-c", script]).piped()).unwrap();
    let output = text(&process.output(1 << 20).unwrap());
    container.destroy().unwrap();
    output
}

/// What a program can see of how it is confined and where it is.
const LOOK: &str = "id; pwd; hostname; umask; grep -E '^(Cap|NoNewPrivs|Groups|Seccomp|Cpus_allowed)' /proc/self/status; env | sort; \
                    cut -d' ' -f 4-7 /proc/self/mountinfo; ls -l /proc/self/fd | wc -l; cat /proc/self/oom_score_adj; ulimit -a; tr ' ' '\\n' </proc/self/stat | sed -n 4,8p";

#[test]
fn one_that_stood_by_is_as_one_that_was_made_for_its_program() {
    if !able("one_that_stood_by_is_as_one_that_was_made_for_its_program") {
        return;
    }
    let place = Place::new("same");
    let template = template(&place, |config| {
        config.user = "1000:1000".into();
        config.environment.push("FROM=config".into());
        config.working_dir = "/srv/work".into();
    });
    let cold = shell(&template, LOOK);
    template.keep_ready(1).unwrap();
    assert!(template.settle(PATIENCE), "{:?}", template.stats());
    let warm = shell(&template, LOOK);
    assert!(cold.contains("uid=1000") && cold.contains("/srv/work"), "{cold}");
    assert_eq!(cold, warm);
    let stats = template.stats();
    assert_eq!((stats.made, stats.handed_over, stats.failures), (1, 1, 0), "{stats:?}");
}

#[test]
fn a_program_that_is_handed_over_has_all_that_it_asks_for() {
    let Some((_place, template)) = standing_by("a_program_that_is_handed_over_has_all_that_it_asks_for", 1)
    else {
        return;
    };
    let (reader, writer) = std::io::pipe().unwrap();
    let mut process =
        ProcessConfig::new(["sh", "-c", "read line; echo $line $WHO $(pwd) $(id -u); echo six >&6; exit 9"]);
    process.env = Some(vec!["PATH=/bin".into(), "WHO=me".into()]);
    process.cwd = Some("/new/place".into());
    process.user = Some("7:8".into());
    process.capabilities = Some(vec![]);
    process.stdin = libcontainer::Stdio::Pipe;
    let null = || std::fs::File::open("/dev/null").unwrap().into();
    process.preserved = vec![null(), null(), null(), writer.into()];
    let (container, mut process) = template.start(process.piped()).unwrap();
    std::io::Write::write_all(&mut process.stdin.take().unwrap(), b"hello\n").unwrap();
    let output = process.output(4096).unwrap();
    assert_eq!((text(&output).as_str(), output.status.code()), ("hello me /new/place 7\n", Some(9)));
    assert_eq!(std::io::read_to_string(reader).unwrap(), "six\n");
    assert_eq!(template.stats().handed_over, 1);
    // What the init has dropped does not come back.
    assert!(template.settle(PATIENCE));
    let mut process = ProcessConfig::new(["grep", "-E", "Cap(Bnd|Prm)", "/proc/self/status"]).piped();
    process.capabilities = Some(vec!["SYS_ADMIN".into()]);
    let (other, process) = template.start(process).unwrap();
    let output = text(&process.output(4096).unwrap());
    assert_eq!(output, "CapPrm:\t0000000000200000\nCapBnd:\t0000000000200000\n");
    assert_eq!((template.stats().handed_over, template.stats().made), (1, 1));
    other.destroy().unwrap();
    container.destroy().unwrap();
    container.destroy().unwrap();
    assert!(template.settle(PATIENCE));
    assert_eq!(container.run_state().unwrap(), RunState::Destroyed);
}

#[test]
fn a_wrong_program_leaves_the_one_that_stands_by() {
    if !able("a_wrong_program_leaves_the_one_that_stands_by") {
        return;
    }
    let place = Place::new("wrong");
    let template = template(&place, |_| ());
    template.keep_ready(1).unwrap();
    assert!(template.settle(PATIENCE));
    let before = names(&template);
    let error =
        template.start(ProcessConfig { user: Some("nobody-here".into()), ..ProcessConfig::new(["true"]) });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidConfig);
    assert_eq!(names(&template), before);
    // One whose program is not there is used up: everything of it goes.
    let error = template.start(ProcessConfig::new(["/not/there"])).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOENT), "{error}");
    assert!(template.settle(PATIENCE));
    assert!(names(&template).is_disjoint(&before));
    assert_eq!(shell(&template, "echo still"), "still\n");
}

#[test]
fn as_many_as_are_wanted_stand_by_and_none_when_the_template_is_gone() {
    if !able("as_many_as_are_wanted_stand_by_and_none_when_the_template_is_gone") {
        return;
    }
    let place = Place::new("wanted");
    let template = template(&place, |_| ());
    let factory = Factory::new().unwrap();
    for count in [3, 1, 4] {
        template.keep_ready(count).unwrap();
        assert!(template.settle(PATIENCE), "{:?}", template.stats());
        let names = names(&template);
        assert_eq!((names.len(), template.stats().ready), (count, count));
        for name in names {
            let container = factory.load(template.dir().join(name)).unwrap();
            assert_eq!(container.run_state().unwrap(), RunState::Warm);
        }
    }
    let (dir, other) = (template.dir().to_owned(), template.clone());
    drop(template);
    assert_eq!(other.stats().ready, 4, "another handle is left");
    drop(other);
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
}

#[test]
fn one_that_somebody_kills_or_destroys_is_replaced() {
    let Some((_place, template)) = standing_by("one_that_somebody_kills_or_destroys_is_replaced", 2) else {
        return;
    };
    let factory = Factory::new().unwrap();
    for (number, name) in names(&template).into_iter().enumerate() {
        let container = factory.load(template.dir().join(name)).unwrap();
        if number == 0 {
            let pid = container.init_pid().unwrap().unwrap();
            let pidfd = libcontainer::plan::open_pidfd(pid).unwrap();
            libcontainer::plan::signal_pidfd(&pidfd, libc::SIGKILL).unwrap();
            // One that is on its way out can still be chosen.
            libcontainer::plan::wait_readable(pidfd.as_fd(), Some(PATIENCE)).unwrap();
        } else {
            container.destroy().unwrap();
        }
    }
    assert_eq!(shell(&template, "echo fine"), "fine\n");
    assert!(template.settle(PATIENCE), "{:?}", template.stats());
    assert_eq!(names(&template).len(), 2);
}

#[test]
fn each_has_its_own_name_and_address() {
    if !able("each_has_its_own_name_and_address") {
        return;
    }
    let place = Place::new("details");
    let template = template(&place, |_| ()).details(|id| Details::new().hostname(format!("host-of-{id}")));
    template.keep_ready(1).unwrap();
    assert!(template.settle(PATIENCE));
    let name = names(&template).pop_first().unwrap();
    assert_eq!(shell(&template, "hostname"), format!("host-of-{name}\n"));
    let (container, process) =
        template.run("mine", ProcessConfig::new(["sh", "-c", "hostname"]).piped()).unwrap();
    assert_eq!(text(&process.output(4096).unwrap()), "host-of-mine\n");
    container.destroy_now().unwrap();
    let template = template.details(|_| Details::new().hostname("x".repeat(65)));
    assert_eq!(template.create("other").unwrap_err().kind(), ErrorKind::InvalidConfig);
    for bad in ["", "..", "a/b", "."] {
        assert_eq!(template.create(bad).unwrap_err().kind(), ErrorKind::InvalidConfig, "{bad:?}");
    }
}

#[test]
fn many_threads_start_at_once() {
    if !able("many_threads_start_at_once") {
        return;
    }
    let place = Place::new("threads");
    let template = template(&place, |_| ());
    template.keep_ready(4).unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let template = &template;
            scope.spawn(move || {
                for round in 0..5 {
                    let wanted = format!("{number} {round}");
                    assert_eq!(shell(template, &format!("echo {wanted}")), format!("{wanted}\n"));
                }
            });
        }
    });
    assert!(template.settle(PATIENCE), "{:?}", template.stats());
    let stats = template.stats();
    assert_eq!((stats.handed_over + stats.made, stats.failures), (40, 0), "{stats:?}");
    assert_eq!(names(&template).len(), 4);
}

/// The last handle goes while its thread ends a container; and a container outlives its template.
#[test]
fn a_template_may_go_before_its_containers() {
    if !able("a_template_may_go_before_its_containers") {
        return;
    }
    let place = Place::new("goes");
    let template = template(&place, |_| ());
    template.keep_ready(1).unwrap();
    let dir = template.dir().to_owned();
    let (first, _process) = template.start(ProcessConfig::new(["sleep", "100"])).unwrap();
    let (second, _process) = template.start(ProcessConfig::new(["sleep", "100"])).unwrap();
    first.destroy().unwrap();
    drop((first, template));
    assert_eq!(second.run_state().unwrap(), RunState::Running);
    second.destroy().unwrap();
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
}

/// The record of the program that is to come is written beforehand. If somebody has taken it away the start writes it.
#[test]
fn the_record_is_written_ahead() {
    let Some((_place, template)) = standing_by("the_record_is_written_ahead", 1) else { return };
    let factory = Factory::new().unwrap();
    for taken_away in [false, true] {
        template.keep_ready(1).unwrap();
        assert!(template.settle(PATIENCE), "{:?}", template.stats());
        let dir = template.dir().join(names(&template).first().unwrap());
        assert_eq!(factory.load(&dir).unwrap().run_state().unwrap(), RunState::Warm);
        let ahead = dir.join(".ahead.json.new");
        assert!(ahead.exists());
        if taken_away {
            std::fs::remove_file(&ahead).unwrap();
        }
        let (container, mut process) = template.start(ProcessConfig::new(["sleep", "600"])).unwrap();
        template.keep_ready(0).unwrap();
        assert_eq!(factory.load(&dir).unwrap().run_state().unwrap(), RunState::Running, "{taken_away}");
        assert!(!ahead.exists());
        container.signal(libc::SIGKILL).unwrap();
        process.wait().unwrap();
        assert_eq!(factory.load(&dir).unwrap().run_state().unwrap(), RunState::Stopped);
        container.destroy().unwrap();
        assert!(template.settle(PATIENCE), "{:?}", template.stats());
    }
}

/// What is not going to change the host reads back while a container stands by: one that has others than it should never does.
#[test]
fn one_that_is_not_as_it_should_be_does_not_stand_by() {
    if !able("one_that_is_not_as_it_should_be_does_not_stand_by") {
        return;
    }
    let place = Place::new("others");
    let dir = directory(&place);
    let config = Config { cgroups: Some(place.cgroup()), ..config(&place.rootfs().unwrap()) };
    type Tamper = fn(&mut Expected);
    let tampers: [(&str, Tamper); 2] = [
        ("read back namespace", |expected| {
            expected.namespaces.iter_mut().for_each(|(_, own)| *own = !*own);
        }),
        ("read back control group", |expected| {
            let place = r#"[{"unified": true, "controllers": [], "mountpoint": "/m", "below": "elsewhere", "new": 1}]"#;
            expected.cgroup = serde_json::from_str(place).ok();
        }),
    ];
    for (wanted, tamper) in tampers {
        let template = Factory::new().unwrap().expect(tamper).template(&dir, &config).unwrap();
        template.keep_ready(1).unwrap();
        let end = std::time::Instant::now() + PATIENCE;
        while template.stats().failures == 0 && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        template.keep_ready(0).unwrap();
        assert!(template.settle(PATIENCE));
        let stats = template.stats();
        assert!(stats.last_error.as_ref().unwrap().contains(wanted), "{stats:?}");
        assert_eq!((stats.ready, names(&template).len()), (0, 0), "{stats:?}");
    }
}

/// What does not go into a message goes in a file.
#[test]
fn a_long_command_line_is_handed_over_too() {
    let Some((_place, template)) = standing_by("a_long_command_line_is_handed_over_too", 1) else { return };
    for length in [10, 30_000, 33_000, 120_000] {
        template.keep_ready(1).unwrap();
        assert!(template.settle(PATIENCE), "{:?}", template.stats());
        let program = ProcessConfig::new(["sh", "-c", "echo ${#1}", "sh", &"x".repeat(length)]).piped();
        let (container, process) = template.start(program).unwrap();
        assert_eq!(text(&process.output(100).unwrap()), format!("{length}\n"));
        container.destroy().unwrap();
    }
    let stats = template.stats();
    assert_eq!((stats.handed_over, stats.made, stats.failures), (4, 0, 0), "{stats:?}");
}

/// What it lacks of its program is made while a container stands by, for one as the last was.
#[test]
fn the_next_program_is_as_the_last_or_another() {
    let Some((_place, template)) = standing_by("the_next_program_is_as_the_last_or_another", 2) else {
        return;
    };
    let changes: [fn(&mut ProcessConfig); 8] = [
        |_| (),
        |process| process.user = Some("1000:1000".into()),
        |process| process.cwd = Some("/new/place".into()),
        |process| process.env = Some(vec!["PATH=/bin".into(), "OF=its own".into()]),
        |process| process.umask = Some(0o077),
        |process| process.capabilities = Some(vec!["KILL".into()]),
        |process| process.no_new_privileges = Some(true),
        |process| process.args.push("argument".into()),
    ];
    let run = |change: fn(&mut ProcessConfig)| {
        let mut process = ProcessConfig::new(["sh", "-c", &format!("echo $0; {LOOK}")]).piped();
        change(&mut process);
        let (container, process) = template.start(process).unwrap();
        let output = process.output(1 << 20).unwrap();
        container.destroy().unwrap();
        assert!(template.settle(PATIENCE), "{:?}", template.stats());
        text(&output)
    };
    template.keep_ready(0).unwrap();
    let fresh = changes.map(run);
    template.keep_ready(2).unwrap();
    assert!(template.settle(PATIENCE), "{:?}", template.stats());
    for (change, fresh) in changes.into_iter().zip(&fresh) {
        // Of two that stand by the first is not made for it, and the third is.
        for _ in 0..4 {
            assert_eq!(&run(change), fresh);
        }
    }
    assert_eq!(fresh.iter().collect::<BTreeSet<_>>().len(), changes.len());
    let stats = template.stats();
    assert_eq!((stats.handed_over, stats.made, stats.failures), (32, 8, 0), "{stats:?}");
}
