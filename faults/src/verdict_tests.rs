use super::*;

fn point(text: &str) -> Point {
    Point::parse(text).unwrap()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn said(code: i32, stderr: &str) -> Said {
    Said {
        end: End::Code(code),
        stdout: "web running\n".to_owned(),
        stderr: stderr.to_owned(),
        began: true,
        hung: None,
        confined: vec![lines("NoNewPrivs: 1\nSeccomp: 0")],
        host: lines("group a\nprocess sleep"),
        descriptors: Vec::new(),
        mute: false,
    }
}

fn baseline() -> Baseline {
    let normal = |text: &str| Normal::of(&lines(text), &lines(text));
    Baseline {
        begins: true,
        library: false,
        confined: vec![normal("NoNewPrivs: 1\nSeccomp: 0")],
        host: normal("group a\nprocess sleep"),
        stdout: normal("web running"),
        descriptors: Normal::default(),
        whole: Whole::Never,
        before: normal("group a"),
    }
}

fn kinds(text: &str, said: &Said) -> Vec<Bad> {
    judge(&point(text), said, &baseline()).into_iter().map(|finding| finding.bad).collect()
}

const FAULT: &str = "run:tool:1:openat:EIO";

#[test]
fn an_error_must_say_its_errno_and_a_success_may_say_nothing() {
    assert_eq!(kinds(FAULT, &said(0, "")), []);
    assert_eq!(kinds(FAULT, &said(1, "nsinit: open /x: EIO: I/O error")), []);
    assert_eq!(kinds(FAULT, &said(1, "nsinit: open /x: Input/output error (os error 5)")), []);
    assert_eq!(kinds(FAULT, &said(1, "nsinit: it does not work")), [Bad::Untrue]);
    assert_eq!(kinds(FAULT, &said(1, "nsinit: EIO: \"web\" already exists")), [Bad::Untrue]);
    assert_eq!(kinds(FAULT, &said(1, "")), [Bad::Untrue]);
    assert_eq!(kinds(FAULT, &Said { mute: true, ..said(1, "") }), []);
    assert_eq!(kinds("run:tool:1:clone3:ENOMEM", &said(1, "start a thread: os error 11")), []);
    assert_eq!(kinds("run:init:1:openat:KILL", &said(1, "nsinit: the init was killed")), []);
}

#[test]
fn programs_that_begin_beside_each_other_are_told_apart_by_their_words() {
    let normal = |text: &str| Normal::of(&lines(text), &lines(text));
    let (first, second) = ("Uid: 0\ncmdline sleep #", "Uid: 5\ncmdline true");
    let two = Baseline { confined: vec![normal(first), normal(second)], ..baseline() };
    let found = |programs: &[&str]| {
        let confined = programs.iter().map(|text| lines(text)).collect();
        judge(&point(FAULT), &Said { confined, ..said(0, "") }, &two)
    };
    assert_eq!(found(&[first, second]), []);
    assert_eq!(found(&[second, first]), []);
    for weaker in
        [&[second, "Uid: 7\ncmdline sleep #"][..], &["Uid: 0\ncmdline true", first], &[first, second, first]]
    {
        let all = found(weaker);
        assert!(all.iter().any(|finding| finding.bad == Bad::FailOpen), "{weaker:?}: {all:?}");
    }
}

#[test]
fn what_a_shim_answers_to_the_calls_behind_its_error_is_no_other_error() {
    let text = "delete: umount /x: EIO: I/O error; kill: container \"web\" does not exist";
    assert_eq!(kinds("shim:tool:1:umount2:EIO", &said(1, text)), []);
    assert_eq!(kinds("shim:tool:1:umount2:EIO", &said(1, "delete: EIO: it does not exist")), [Bad::Untrue]);
    assert_eq!(kinds("run:tool:1:umount2:EIO", &said(1, text)), [Bad::Untrue]);
}

#[test]
fn the_mark_of_a_criu_that_has_ended_may_stay() {
    let more = |text: &str| Said { host: lines(&format!("group a\nprocess sleep\n{text}")), ..said(0, "") };
    assert_eq!(kinds("restore:tool:1:unlinkat:EPERM", &more("file /s/web/criu")), []);
    assert_eq!(kinds("restore:tool:1:openat:EPERM", &more("file /s/web/criu")), [Bad::Untrue]);
    assert_eq!(kinds("restore:tool:1:unlinkat:EPERM", &more("file /s/web/other")), [Bad::Untrue]);
}

#[test]
fn panics_and_hangs_come_before_everything_else() {
    assert_eq!(kinds(FAULT, &said(101, "thread 'main' panicked at x.rs")), [Bad::Panic]);
    assert_eq!(kinds(FAULT, &said(0, "thread 'pump' panicked at x.rs")), [Bad::Panic]);
    let killed = |signal| Said { end: End::Signal(signal), ..said(0, "") };
    assert_eq!(kinds(FAULT, &killed(Signal::SIGABRT)), [Bad::Panic]);
    assert_eq!(kinds(FAULT, &killed(Signal::SIGKILL)), [Bad::Panic]);
    assert_eq!(kinds("run:tool:1:openat:KILL", &killed(Signal::SIGKILL)), []);
    assert_eq!(kinds(FAULT, &Said { hung: Some("main in read".to_owned()), ..said(0, "") }), [Bad::Hang]);
}

#[test]
fn a_success_must_be_as_strong_as_without_the_fault() {
    let weaker = Said { confined: vec![lines("NoNewPrivs: 0\nSeccomp: 0")], ..said(0, "") };
    assert_eq!(kinds(FAULT, &weaker), [Bad::FailOpen, Bad::FailOpen]);
    assert_eq!(kinds(FAULT, &Said { confined: Vec::new(), ..said(0, "") }), [Bad::Untrue]);
    assert_eq!(kinds(FAULT, &Said { began: false, ..said(0, "") }), [Bad::Untrue]);
    assert_eq!(kinds(FAULT, &Said { host: lines("process sleep"), ..said(0, "") }), [Bad::FailOpen]);
    assert_eq!(kinds(FAULT, &Said { stdout: "web stopped\n".to_owned(), ..said(0, "") }), [Bad::Untrue; 2]);
    assert_eq!(kinds(FAULT, &Said { stdout: String::new(), ..said(1, "EIO") }), []);
    assert_eq!(kinds(FAULT, &Said { stdout: "web\n".to_owned(), ..said(0, "nsinit: the name: EIO") }), []);
    assert_eq!(kinds(FAULT, &Said { stdout: "web ? open /x: EIO\n".to_owned(), ..said(0, "") }), []);
}

#[test]
fn a_program_that_began_is_confined_whatever_is_said() {
    let weaker = || vec![lines("NoNewPrivs: 0\nSeccomp: 0")];
    let failed = Said { confined: weaker(), ..said(1, "EIO") };
    assert_eq!(kinds(FAULT, &failed), [Bad::FailOpen, Bad::FailOpen]);
    let killed = Said { end: End::Signal(Signal::SIGKILL), ..failed.clone() };
    assert_eq!(kinds("run:tool:1:openat:KILL", &killed), [Bad::FailOpen, Bad::FailOpen]);
    assert_eq!(kinds(FAULT, &Said { confined: Vec::new(), began: false, ..said(1, "EIO") }), []);
    let one_more = Said { confined: vec![failed.confined[0].clone(); 2], ..said(1, "EIO") };
    assert_eq!(kinds(FAULT, &one_more), [Bad::FailOpen; 3]);
    let normal = said(0, "").confined;
    assert!(programs(&normal, &normal).is_ok() && programs(&normal, &[]).is_err());
}

#[test]
fn an_init_that_waits_may_end_later() {
    let host = lines("group a processes 1\nprocess (libcontainer) S x1\ngroup a/pids.max 64\nlink v#");
    let waiting =
        |begins| Baseline { begins, confined: Vec::new(), host: Normal::of(&host, &host), ..baseline() };
    let gone = |text: &str| Said { host: lines(text), confined: Vec::new(), ..said(0, "") };
    let of = |who: &str, said: &Said, begins| {
        judge(&point(&format!("create:{who}:4:read:ENOMEM")), said, &waiting(begins)).len()
    };
    let ended = gone("group a processes 0\ngroup a/pids.max 64");
    assert_eq!((of("init", &ended, false), of("tool", &ended, false), of("init", &ended, true)), (0, 4, 4));
    assert_eq!(of("init", &gone("group a processes 0"), false), 1);
}

#[test]
fn a_container_is_as_it_was_or_as_it_was_to_be() {
    let of = |whole, end, host: &str| {
        let said = Said { end, host: lines(host), ..said(1, "EIO") };
        half(&said, &Baseline { whole, ..baseline() }).len()
    };
    let (told, killed) = (End::Code(1), End::Signal(Signal::SIGKILL));
    for (host, wanted) in
        [("group a", 0), ("group a\nprocess sleep", 0), ("group a\nfile x", 0), ("", 1), ("process x", 2)]
    {
        assert_eq!(of(Whole::Told, told, host), wanted, "{host:?}");
        assert_eq!(of(Whole::Always, killed, host), wanted, "{host:?}");
        assert_eq!(
            of(Whole::Told, killed, host)
                + of(Whole::Never, told, host)
                + of(Whole::Always, End::Code(0), host),
            0
        );
    }
    let host = lines("group a");
    let ends = Baseline {
        whole: Whole::Always,
        host: Normal::of(&host, &host),
        before: Normal::default(),
        ..baseline()
    };
    let of = |text: &str| half(&Said { host: lines(text), ..said(1, "EIO") }, &ends).len();
    assert_eq!((of("group b"), of("group b\nprocess sleep")), (0, 2));
}

#[test]
fn what_a_checkpoint_has_left_is_told() {
    let of = |whole, stderr: &str, host: &str| {
        let said = Said { host: lines(host), ..said(0, stderr) };
        judge(&point("checkpoint:tool:1:unlinkat:EIO"), &said, &Baseline { whole, ..baseline() }).len()
    };
    let (left, runs) = ("group a\nprocess sleep\nfile x", "group a\nprocess sleep\nprocess x");
    assert_eq!((of(Whole::Always, "EIO", left), of(Whole::Always, "", left)), (0, 1));
    assert_eq!((of(Whole::Told, "EIO", left), of(Whole::Always, "EIO", runs)), (1, 1));
}

#[test]
fn what_changes_by_itself_is_neither_wanted_nor_refused() {
    let normal = Normal::of(&lines("a\nb"), &lines("a\nc"));
    for (found, wanted) in [("a", 0), ("a\nb", 0), ("a\nc", 0), ("b", 1), ("a\nd", 1)] {
        assert_eq!(normal.compare(&lines(found)).len(), wanted, "{found:?}");
    }
    let links = Normal::of(&lines("link a\ngroup b"), &lines("link a\ngroup b")).but(&["link"]);
    assert_eq!((links.compare(&lines("group b")).len(), links.compare(&lines("link a")).len()), (0, 1));
}

#[test]
fn a_library_program_must_have_closed_what_it_had() {
    let library = Baseline { library: true, ..baseline() };
    let open = Said { descriptors: lines("/x"), ..said(1, "EIO") };
    let of = |text: &str| judge(&point(text), &open, &library).len();
    assert_eq!(of("library:tool:1:read:EIO"), 1);
    assert_eq!(of("library:tool:1:openat:LOST-EIO"), 0);
    assert_eq!(kinds(FAULT, &open), []);
    let living = |code| Said { descriptors: vec![LIVING.to_owned()], ..said(code, "EIO") };
    let of = |said: &Said| judge(&point("library:tool:1:read:EIO"), said, &library).len();
    assert_eq!((of(&living(1)), of(&living(0))), (0, 1));
}

#[test]
fn output_is_compared_by_its_shape() {
    assert_eq!(shape("web  12 running\n"), ["web # running"]);
    assert_eq!(shape("eth0 02:42:ac:11:00:65 10.0.0.2/24 fe80::1"), ["eth# # # #"]);
    assert_eq!(shape("\"mac\": \"ca:4b:11:00:e1:01\","), ["\"mac\": #"]);
}
