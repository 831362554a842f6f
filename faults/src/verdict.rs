//! What a trial shows, from what was seen: pure.

use std::fmt;

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::call::errno_name;
use crate::fault::{How, Point, Who};
use crate::scene::{self, Whole};
use crate::tracer::{End, LIVING};
use crate::view;

/// A kind of bad end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Bad {
    /// Something stays after one delete, or the name can't be used again.
    Leaked,
    /// Success was told, and the container is less confined.
    FailOpen,
    /// The program was aborted.
    Panic,
    /// It did not end in time.
    Hang,
    /// What was said is not so, or does not say what failed.
    Untrue,
    /// The container is neither as it was nor as it was to be.
    Half,
}

impl Bad {
    pub(crate) const ALL: [Self; 6] =
        [Self::Leaked, Self::FailOpen, Self::Panic, Self::Hang, Self::Untrue, Self::Half];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Leaked => "leaked",
            Self::FailOpen => "fail-open",
            Self::Panic => "panic",
            Self::Hang => "hang",
            Self::Untrue => "untrue",
            Self::Half => "half",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bad| bad.name() == name)
    }
}

/// One thing that is wrong, with the particulars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) bad: Bad,
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn new(bad: Bad, text: impl Into<String>) -> Self {
        Self { bad, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.bad.name(), self.text)
    }
}

/// What the command did and said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) end: End,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) began: bool,
    pub(crate) hung: Option<String>,
    /// What the container's programs were confined by, one after the other.
    pub(crate) confined: Vec<Vec<String>>,
    /// What stood on the host afterwards.
    pub(crate) host: Vec<String>,
    pub(crate) descriptors: Vec<String>,
    /// Its standard error is what failed.
    pub(crate) mute: bool,
}

/// What may be seen if nothing fails: lines that are always there, and lines that may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Normal {
    always: Vec<String>,
    ever: Vec<String>,
}

impl Normal {
    /// Of two runs.
    pub(crate) fn of(one: &[String], two: &[String]) -> Self {
        let always = one.iter().filter(|line| two.contains(line)).cloned().collect();
        let ever = one.iter().chain(two).cloned().collect();
        Self { always, ever }
    }

    /// Without a demand for lines of these kinds: they may go by themselves.
    pub(crate) fn but(mut self, kinds: &[&str]) -> Self {
        self.always.retain(|line| !kinds.iter().any(|kind| line.split(' ').next() == Some(kind)));
        self
    }

    /// What is missing, and what is there and never is otherwise.
    pub(crate) fn compare(&self, found: &[String]) -> Vec<String> {
        let differences = view::differences(&self.always, found);
        let known = |line: &String| {
            line.strip_prefix("with: ").is_some_and(|line| self.ever.iter().any(|one| one == line))
        };
        differences.into_iter().filter(|line| !known(line)).collect()
    }
}

/// What is normal for a scene.
#[derive(Clone, Debug, Default)]
pub(crate) struct Baseline {
    pub(crate) begins: bool,
    /// A program that uses the library: it must have closed what the library opened.
    pub(crate) library: bool,
    /// Of each program, in their order.
    pub(crate) confined: Vec<Normal>,
    pub(crate) host: Normal,
    pub(crate) stdout: Normal,
    pub(crate) descriptors: Normal,
    pub(crate) whole: Whole,
    /// The host before the command.
    pub(crate) before: Normal,
}

/// What is normal for the programs of a scene, by two runs.
pub(crate) fn programs(one: &[Vec<String>], two: &[Vec<String>]) -> Result<Vec<Normal>> {
    if one.len() != two.len() {
        bail!("{} programs began, and {} the second time", one.len(), two.len());
    }
    Ok(one.iter().zip(two).map(|(one, two)| Normal::of(one, two)).collect())
}

/// Everything that is wrong with what a command did and said when this fault happened.
pub(crate) fn judge(point: &Point, said: &Said, baseline: &Baseline) -> Vec<Finding> {
    if let Some(place) = &said.hung {
        return vec![Finding::new(Bad::Hang, place.clone())];
    }
    if let Some(finding) = panicked(said) {
        return vec![finding];
    }
    let of_tool = matches!(point.who, Who::Tool | Who::Loader);
    let mut all = descriptors(point, said, baseline);
    all.extend(weaker(said, baseline));
    all.extend(half(said, baseline).into_iter().map(|line| Finding::new(Bad::Half, line)));
    match said.end {
        End::Code(0) => all.extend(success(point, said, baseline)),
        End::Code(_) if said.mute => {}
        End::Code(code) => all.extend(failure(point, code, told(point, said))),
        End::Signal(Signal::SIGKILL) if of_tool && point.how.errno().is_none() => {}
        End::Signal(signal) => all.push(Finding::new(Bad::Panic, format!("ended by {signal}"))),
    }
    all
}

/// A panic, an abort, a failed allocation.
fn panicked(said: &Said) -> Option<Finding> {
    let aborted =
        matches!(said.end, End::Code(101) | End::Signal(Signal::SIGABRT | Signal::SIGSEGV | Signal::SIGBUS));
    let line = said
        .stderr
        .lines()
        .position(|line| line.contains("panicked at") || line.contains("memory allocation of"));
    if !aborted && line.is_none() {
        return None;
    }
    let lines = said.stderr.lines().skip(line.unwrap_or(0)).take(2).collect::<Vec<_>>().join(" ");
    let text = if lines.is_empty() { format!("{:?}", said.end) } else { lines };
    Some(Finding::new(Bad::Panic, text))
}

/// An answer that was lost leaves its descriptor open: that one is ours.
fn descriptors(point: &Point, said: &Said, baseline: &Baseline) -> Vec<Finding> {
    if matches!(point.how, How::AnswerLost(_)) || !baseline.library || matches!(said.end, End::Signal(_)) {
        return Vec::new();
    }
    let more: Vec<_> = baseline.descriptors.compare(&said.descriptors);
    // Where the program could not end a process it still has it: after the next delete that is gone, or found.
    let ours = |line: &&str| said.end == End::Code(0) || *line != LIVING;
    let more = more.iter().filter_map(|line| line.strip_prefix("with: ")).filter(ours);
    more.map(|line| Finding::new(Bad::Leaked, format!("a descriptor at the end of the program: {line}")))
        .collect()
}

/// Whatever was said in the end: a program that began was confined as it is without a fault.
fn weaker(said: &Said, baseline: &Baseline) -> Vec<Finding> {
    let mut left: Vec<_> = baseline.confined.iter().collect();
    let mut of = |found: &Vec<String>| {
        if left.is_empty() {
            return vec!["with: one more program".to_owned()];
        }
        // RACE: those that begin beside each other are seen in either order.
        let words = |lines: &[String]| lines.iter().find(|line| line.starts_with("cmdline ")).cloned();
        let same = left.iter().position(|normal| words(&normal.always) == words(found));
        left.remove(same.unwrap_or(0)).compare(found)
    };
    let differences: Vec<_> = said.confined.iter().flat_map(&mut of).collect();
    differences.into_iter().map(|line| Finding::new(Bad::FailOpen, line)).collect()
}

/// What of the container is neither as it was nor as it was to be. Files are told by the delete that follows.
pub(crate) fn half(said: &Said, baseline: &Baseline) -> Vec<String> {
    let wanted = match said.end {
        End::Code(0) => false,
        End::Code(_) => baseline.whole != Whole::Never,
        End::Signal(_) => baseline.whole == Whole::Always,
    };
    let of_container = |line: &String| line.split(' ').nth(1) != Some("file");
    let differs =
        |normal: &Normal| normal.compare(&said.host).into_iter().filter(of_container).collect::<Vec<_>>();
    let before = differs(&baseline.before);
    if !wanted || before.is_empty() || differs(&baseline.host).is_empty() || has_ended(said, baseline) {
        return Vec::new();
    }
    before
}

/// It was to end, and has; who was killed can't take away what is left.
fn has_ended(said: &Said, baseline: &Baseline) -> bool {
    let lives = |lines: &[String]| lines.iter().any(|line| line.starts_with("process "));
    !lives(&baseline.host.ever) && !lives(&said.host)
}

fn success(point: &Point, said: &Said, baseline: &Baseline) -> Vec<Finding> {
    let mut all = Vec::new();
    if baseline.begins && !said.began {
        all.push(Finding::new(Bad::Untrue, "success, but no program began"));
    } else if said.confined.len() < baseline.confined.len() {
        let (wanted, found) = (baseline.confined.len(), said.confined.len());
        all.push(Finding::new(Bad::Untrue, format!("success, but {found} programs of {wanted} began")));
    }
    let more = |line: &&String| {
        !is_end_of_init(line, point, baseline)
            && !is_told(line, point, said, baseline)
            && !is_mark(line, point)
    };
    for line in baseline.host.compare(&said.host).iter().filter(more) {
        let bad = if line.starts_with("with: ") { Bad::Untrue } else { Bad::FailOpen };
        all.push(Finding::new(bad, format!("after success {line}")));
    }
    // Output that says what could not be found out is true, there or beside it.
    if !point.how.errno().is_some_and(|errno| tells(errno, &said.stdout) || tells(errno, &said.stderr)) {
        let differences = baseline.stdout.compare(&shape(&said.stdout));
        let printed = differences.into_iter().map(|line| format!("success, but it prints {line}"));
        all.extend(printed.map(|text| Finding::new(Bad::Untrue, text)));
    }
    all
}

/// A checkpoint that was written is a success, also if the container that it ended can't be removed and that is told.
fn is_told(line: &str, point: &Point, said: &Said, baseline: &Baseline) -> bool {
    let is_left = baseline.whole == Whole::Always && !line.contains(" process ");
    is_left && point.how.errno().is_some_and(|errno| tells(errno, &said.stderr))
}

/// The mark of a criu that has ended does no harm, and goes with the record.
fn is_mark(line: &str, point: &Point) -> bool {
    point.call == "unlinkat" && line.starts_with("with: file ") && line.ends_with("/criu")
}

/// RACE: an init that waits may fail when `create` has said that it does. No program has run, and `state` and `start` say what has become of it.
fn is_end_of_init(line: &str, point: &Point, baseline: &Baseline) -> bool {
    let waits = point.who == Who::Init && !baseline.begins;
    // Its links go with its network namespace, when the kernel gets to that.
    let gone = ["without: process (libcontainer) ", "without: link "];
    waits && (gone.iter().any(|start| line.starts_with(start)) || line.contains(" processes "))
}

/// Whether a text names an errno, in one of the ways in which that is done.
fn tells(errno: Errno, text: &str) -> bool {
    let ways = [errno_name(errno), errno.desc().to_owned(), format!("os error {}", errno as i32)];
    ways.iter().any(|way| text.contains(way))
}

/// Where a command says what is wrong: that is what `validate` prints.
fn told<'a>(point: &Point, said: &'a Said) -> &'a str {
    if point.scene == scene::VALIDATE && said.stderr.is_empty() { &said.stdout } else { &said.stderr }
}

fn failure(point: &Point, code: i32, stderr: &str) -> Option<Finding> {
    let message = stderr.trim();
    if message.is_empty() {
        return Some(Finding::new(Bad::Untrue, format!("exit code {code} and not a word")));
    }
    let errno = point.how.errno()?;
    let wrong_class = [("already exists", Errno::EEXIST), ("does not exist", Errno::ENOENT)];
    // Behind it stands what became of the calls by which the task is ended all the same.
    let first = message.split("; kill: ").next().filter(|_| point.scene == scene::SHIM).unwrap_or(message);
    if wrong_class.iter().any(|(words, of)| first.contains(words) && *of != errno) {
        return Some(Finding::new(Bad::Untrue, format!("another error: {message}")));
    }
    if tells(errno, message) || (makes_thread(point) && tells(Errno::EAGAIN, message)) {
        return None;
    }
    Some(Finding::new(Bad::Untrue, format!("does not say {}: {message}", errno_name(errno))))
}

/// pthread_create(3) says `EAGAIN` whatever it failed with.
fn makes_thread(point: &Point) -> bool {
    ["clone", "clone3", "mmap", "mprotect"].contains(&point.call.as_str())
}

/// Output without its numbers, line by line. Words with several colons are hardware addresses, addresses and times.
pub(crate) fn shape(text: &str) -> Vec<String> {
    let word = |word: &str| {
        let bare = word.trim_matches(['"', ',']);
        let address = bare.matches(':').count() > 1 && !bare.contains(['"', '/', '{']);
        let network = word.contains("::") || word.matches('.').count() > 2;
        if address || network { "#".to_owned() } else { view::blank(word) }
    };
    text.lines().map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")).collect()
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
