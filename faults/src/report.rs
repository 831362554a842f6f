//! The table, the bad trials, and their kinds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use crate::fault::{Point, Who};
use crate::verdict::{Bad, Finding};
use crate::view::blank;

/// One trial.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) point: Point,
    object: String,
    /// The place in the code that made the call, if that was asked for and found.
    pub(crate) site: Option<String>,
    end: String,
    message: String,
    /// The call came.
    hit: bool,
    /// The trial itself failed.
    error: Option<String>,
    pub(crate) findings: Vec<Finding>,
    /// It was bad, and was not when it was repeated.
    once: bool,
}

impl Trial {
    pub(crate) fn read(point: Point, answer: &Value) -> Self {
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let finding = |value: &Value| {
            let bad = Bad::from_name(value.get(0)?.as_str()?)?;
            Some(Finding::new(bad, value.get(1)?.as_str()?))
        };
        let findings = answer.get("bad").and_then(Value::as_array).into_iter().flatten();
        Self {
            point,
            object: text("object"),
            site: answer.get("site").and_then(Value::as_str).map(str::to_owned),
            end: text("end"),
            message: text("stderr"),
            hit: answer.get("hit").and_then(Value::as_bool).unwrap_or(false),
            error: answer.get("error").and_then(Value::as_str).map(str::to_owned),
            findings: findings.filter_map(finding).collect(),
            once: false,
        }
    }

    /// Whether the call came, and what happened then is known.
    pub(crate) fn came(&self) -> bool {
        self.hit && self.error.is_none()
    }

    fn is_wrong(&self) -> bool {
        self.error.is_some() || !self.findings.is_empty()
    }

    /// Whether it may have been a busy machine's doing: what is left, weaker or aborted is bad however seldom it is.
    pub(crate) fn may_be_chance(&self) -> bool {
        self.is_wrong()
            && self.findings.iter().all(|finding| matches!(finding.bad, Bad::Hang | Bad::Untrue | Bad::Half))
    }

    /// What happened, and how to see it again.
    pub(crate) fn describe(&self) -> String {
        let once = if self.once { " (not when it was repeated)" } else { "" };
        let mut out =
            format!("cargo xtask faults --only {}  ({}) {}{once}\n", self.point, self.object, self.end);
        let said = self.message.lines().map(|line| format!("    | {line}\n"));
        let findings = self.findings.iter().map(|finding| format!("    {finding}\n"));
        let error = self.error.iter().map(|error| format!("    the trial failed: {error}\n"));
        out.extend(findings.chain(error).take(12));
        out.extend(said.take(4));
        out
    }

    fn is_bad(&self, bad: Bad) -> bool {
        self.findings.iter().any(|finding| finding.bad == bad)
    }

    fn survived(&self) -> bool {
        self.error.is_none() && self.hit && self.findings.is_empty()
    }

    /// What is alike in trials of one cause: what was found, without numbers and names of hierarchies, and of whom the call was.
    fn kind(&self) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(format!("trial failed: {}", blank(error)));
        }
        let finding = self.findings.first()?;
        let text: String = finding.text.chars().take(160).collect();
        let how = self.point.how.to_string();
        let text = text.replace(&how, "ERRNO").replace(how.trim_start_matches("LOST-"), "ERRNO");
        let text = alike(&blank(&text));
        Some(format!("{}: {text} [{}]", finding.bad.name(), self.point.who.name()))
    }

    /// The call and its object, without numbers.
    fn cause(&self) -> String {
        format!("{} {}", self.point.call, alike(&blank(&self.object)))
    }
}

/// Without the name of a cgroup hierarchy.
fn alike(text: &str) -> String {
    const ROOT: &str = "/sys/fs/cgroup/";
    let mut parts = text.split(ROOT);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        let rest = part.find('/').and_then(|at| part.get(at..)).unwrap_or_default();
        format!("{all}{ROOT}*{rest}")
    })
}

/// All trials, and the number of calls of each command and whom.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) calls: BTreeMap<(String, Who), usize>,
    pub(crate) trials: Vec<Trial>,
    /// Commands that fail without a fault.
    pub(crate) broken: Vec<String>,
    /// What was done to how many places, if it was places that were tried.
    pub(crate) places: String,
}

impl Report {
    /// Whether nothing bad happened, and something at all.
    pub(crate) fn is_good(&self) -> bool {
        !self.trials.is_empty()
            && self.broken.is_empty()
            && self.trials.iter().all(|trial| trial.once || !trial.is_wrong())
    }

    /// Those that are worth a repetition.
    pub(crate) fn doubtful(&self) -> Vec<Point> {
        self.trials.iter().filter(|trial| trial.may_be_chance()).map(|trial| trial.point.clone()).collect()
    }

    /// Takes the results of repetitions: what was good each time was bad once.
    pub(crate) fn repeated(&mut self, again: &[Trial]) {
        for trial in self.trials.iter_mut().filter(|trial| trial.may_be_chance()) {
            let mut same = again.iter().filter(|other| other.point == trial.point).peekable();
            trial.once = same.peek().is_some() && same.all(|other| !other.is_wrong());
        }
    }

    /// The table and, below, a line for each bad trial.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |cells: &[String]| {
            let (first, rest) = cells.split_at(2.min(cells.len()));
            let names: Vec<_> = first.iter().map(|cell| format!("{cell:<25}")).collect();
            let numbers: Vec<_> = rest.iter().map(|cell| format!("{cell:>10}")).collect();
            let _ = writeln!(out, "{}{}", names.concat(), numbers.concat().trim_end());
        };
        let head = [
            "command",
            "who",
            "calls",
            "trials",
            "survived",
            "leaked",
            "fail-open",
            "panics",
            "hangs",
            "untrue",
            "half",
            "other",
        ];
        line(&head.map(str::to_owned));
        let mut keys: BTreeSet<_> =
            self.trials.iter().map(|trial| (trial.point.scene.clone(), trial.point.who)).collect();
        keys.extend(self.calls.keys().filter(|key| key.1 != Who::Loader).cloned());
        for key in keys {
            let trials =
                || self.trials.iter().filter(|trial| trial.point.scene == key.0 && trial.point.who == key.1);
            let calls = self.calls.get(&key).copied().unwrap_or(0);
            line(&row(&key.0, key.1.name(), calls, &trials));
        }
        let calls = self.calls.iter().filter(|(key, _)| key.1 != Who::Loader).map(|(_, count)| count).sum();
        line(&row("all", "", calls, &|| self.trials.iter()));
        let _ = writeln!(
            out,
            "\nother: the call did not come this time, or the trial itself failed\n\n{}",
            self.places
        );
        for line in &self.broken {
            let _ = writeln!(out, "not tried, as it fails without a fault: {line}");
        }
        for trial in self.trials.iter().filter(|trial| trial.is_wrong()) {
            out.push_str(&trial.describe());
        }
        out
    }

    /// A line for each distinct cause: how often, one example, what it is.
    pub(crate) fn kinds(&self) -> String {
        let mut kinds = BTreeMap::<String, Vec<&Trial>>::new();
        for trial in &self.trials {
            if let Some(kind) = trial.kind() {
                kinds.entry(kind).or_default().push(trial);
            }
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, trials)| std::cmp::Reverse(trials.len()));
        let mut out = String::new();
        for (kind, trials) in kinds {
            let example = trials.first().map(|trial| trial.point.to_string()).unwrap_or_default();
            let scenes: BTreeSet<_> = trials.iter().map(|trial| trial.point.scene.clone()).collect();
            let causes: BTreeSet<_> = trials.iter().map(|trial| trial.cause()).collect();
            let _ = writeln!(out, "{:>5}  {kind}\n       --only {example}", trials.len());
            let _ = writeln!(out, "       in {}\n       by {}", some(scenes, " "), some(causes, "; "));
        }
        out
    }
}

/// The first few.
fn some(all: BTreeSet<String>, between: &str) -> String {
    const SHOWN: usize = 8;
    let more = all.len().saturating_sub(SHOWN);
    let shown: Vec<_> = all.into_iter().take(SHOWN).collect();
    let rest = if more > 0 { format!("{between}and {more} more") } else { String::new() };
    shown.join(between) + &rest
}

fn row<'a, I: Iterator<Item = &'a Trial>>(
    scene: &str,
    who: &str,
    calls: usize,
    trials: &dyn Fn() -> I,
) -> Vec<String> {
    let count = |wanted: &dyn Fn(&Trial) -> bool| trials().filter(|trial| wanted(trial)).count().to_string();
    let mut cells = vec![scene.to_owned(), who.to_owned(), calls.to_string(), trials().count().to_string()];
    cells.push(count(&Trial::survived));
    for bad in Bad::ALL {
        cells.push(count(&|trial| trial.is_bad(bad)));
    }
    cells.push(count(&|trial| trial.error.is_some() || (!trial.hit && trial.findings.is_empty())));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn trial(point: &str, answer: &Value) -> Trial {
        Trial::read(Point::parse(point).unwrap(), answer)
    }

    fn report() -> Report {
        let leak =
            json!({"hit": true, "bad": [["leaked", "left: group /x/12"]], "end": "Code(1)", "stderr": "EIO"});
        let trials = vec![
            trial("run:tool:1:openat:EIO", &json!({"hit": true, "bad": []})),
            trial("run:tool:2:openat:EIO", &leak),
            trial("run:tool:3:openat:EMFILE", &leak),
            trial("run:init:1:read:EIO", &json!({"hit": false, "bad": []})),
            trial("exec:tool:1:read:EIO", &json!({"error": "a worker died"})),
        ];
        Report { trials, calls: BTreeMap::from([(("run".to_owned(), Who::Tool), 955)]), ..Report::default() }
    }

    #[test]
    fn the_table_counts_and_bad_trials_can_be_repeated() {
        let text = report().text();
        let row = |who: &str| {
            text.lines()
                .find(|line| line.starts_with(who))
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(row(&format!("{:<25}tool", "run")), "run tool 955 3 1 2 0 0 0 0 0 0");
        assert_eq!(row(&format!("{:<25}init", "run")), "run init 0 1 0 0 0 0 0 0 0 1");
        assert_eq!(row("all"), "all 955 5 1 2 0 0 0 0 0 2");
        assert!(text.contains("cargo xtask faults --only run:tool:3:openat:EMFILE"), "{text}");
        assert!(!report().is_good());
    }

    #[test]
    fn alike_trials_are_one_kind() {
        let kinds = report().kinds();
        assert!(kinds.contains("2  leaked: left: group /x/# [tool]"), "{kinds}");
        assert!(kinds.contains("1  trial failed: a worker died"), "{kinds}");
    }

    #[test]
    fn what_is_wrong_once_is_told_and_passes() {
        let wrong = |bad: &str| json!({"hit": true, "bad": [[bad, "no errno"]]});
        let good = || trial("run:tool:1:openat:EIO", &json!({"hit": true, "bad": []}));
        let report = |bad: &str, again: &[Trial]| {
            let trials = vec![trial("run:tool:1:openat:EIO", &wrong(bad))];
            let mut report = Report { trials, ..Report::default() };
            report.repeated(again);
            report
        };
        let told = report("untrue", &[good(), good()]);
        assert!(told.is_good() && told.text().contains("not when it was repeated"), "{}", told.text());
        for again in [&[][..], &[good(), trial("run:tool:1:openat:EIO", &wrong("untrue"))]] {
            assert!(!report("untrue", again).is_good());
        }
        assert!(report("leaked", &[]).doubtful().is_empty() && !report("leaked", &[good()]).is_good());
    }

    #[test]
    fn hierarchies_are_alike() {
        assert_eq!(alike("open /sys/fs/cgroup/pids/a/b: no"), "open /sys/fs/cgroup/*/a/b: no");
        assert_eq!(alike("nothing"), "nothing");
    }

    #[test]
    fn nothing_tried_is_not_good() {
        assert!(!Report::default().is_good());
        let mut good = report();
        good.trials.truncate(1);
        assert!(good.is_good());
        good.broken.push("run".to_owned());
        assert!(!good.is_good());
    }
}
