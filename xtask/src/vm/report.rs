//! What the guests report, as ordinary counts.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::test::Totals;

/// One binary's end.
#[derive(Clone, Debug, Default)]
struct Outcome {
    name: String,
    exit: i64,
    status: String,
    seconds: f64,
    output: String,
    skips: BTreeSet<String>,
}

/// One boot.
#[derive(Debug, Default)]
pub(crate) struct Report {
    outcomes: Vec<Outcome>,
    /// The guest came to its end line.
    pub(crate) complete: bool,
    /// Why the boot as a whole is a failure.
    pub(crate) broken: Option<String>,
    pub(crate) seconds: f64,
}

impl Outcome {
    fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let output = text("output");
        // Unit tests of crates that share nothing with the end-to-end tests print their skips.
        let printed =
            output.lines().filter_map(|line| line.strip_prefix("SKIP: ").or(line.strip_prefix("skipped: ")));
        let skips = text("skips").lines().map(str::to_owned).chain(printed.map(str::to_owned)).collect();
        Some(Self {
            name: value.get("name")?.as_str()?.to_owned(),
            exit: value.get("exit")?.as_i64()?,
            status: text("status"),
            seconds: value.get("seconds").and_then(Value::as_f64).unwrap_or_default(),
            skips,
            output,
        })
    }

    /// A binary that fails without a failed test counts as one: it was killed, or could not start.
    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.output.lines().for_each(|line| totals.add(line));
        if self.exit != 0 && totals.failed == 0 {
            totals.failed = 1;
        }
        totals
    }

    /// Which tests failed and where they panicked: who sees only the end of a log has these.
    fn failures(&self) -> Vec<String> {
        let lines: Vec<_> = self.output.lines().collect();
        let told = |pair: &[&str]| match pair {
            [line, ..] if line.ends_with("FAILED") => Some((*line).to_owned()),
            [line, next] if line.contains("panicked at") => Some(format!("{line} {next}")),
            _ => None,
        };
        let told = lines.windows(2).filter_map(told);
        told.map(|line| format!("{}: {}", self.name, line.trim())).collect()
    }
}

impl Report {
    /// Lines of JSON.
    pub(crate) fn read(text: &str) -> Self {
        let mut report = Self::default();
        // What is no JSON is half a line or the kernel's: the count at the end shows whether an outcome is missing.
        for value in text.lines().filter_map(|line| serde_json::from_str::<Value>(line.trim()).ok()) {
            if let Some(outcome) = Outcome::read(&value) {
                report.outcomes.push(outcome);
            }
            let end = value.get("end").and_then(Value::as_u64);
            report.complete |= end == u64::try_from(report.outcomes.len()).ok();
        }
        report
    }

    /// Passed, failed and skipped tests.
    pub(crate) fn totals(&self) -> (Totals, usize) {
        let mut sum = Totals::default();
        let mut skips = BTreeSet::new();
        for outcome in &self.outcomes {
            let totals = outcome.totals();
            sum.passed += totals.passed;
            sum.failed += totals.failed;
            skips.extend(&outcome.skips);
        }
        (sum, skips.len())
    }

    /// Whether everything ran and nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        let (totals, _) = self.totals();
        self.broken.is_none() && self.complete && totals.failed == 0 && totals.passed > 0
    }

    /// Outputs of failed binaries, skips, and the line that counts.
    pub(crate) fn print(&self, name: &str) {
        for outcome in self.outcomes.iter().filter(|outcome| outcome.totals().failed > 0) {
            println!("vm {name}: {} failed ({}):", outcome.name, outcome.status);
            outcome.output.lines().for_each(|line| println!("    {line}"));
        }
        for skip in self.outcomes.iter().flat_map(|outcome| &outcome.skips).collect::<BTreeSet<_>>() {
            println!("vm {name}: skipped: {skip}");
        }
        let (totals, skipped) = self.totals();
        let (passed, failed, seconds) = (totals.passed, totals.failed, self.seconds);
        println!("vm {name}: {passed} passed, {failed} failed, {skipped} skipped in {seconds:.0} s");
        for told in self.outcomes.iter().flat_map(Outcome::failures) {
            println!("vm {name}: {told}");
        }
        if let Some(reason) = &self.broken {
            println!("vm {name}: {reason}");
        }
    }
}

/// A line of JSON as a line for the person who waits.
pub(crate) fn progress(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line.trim()).ok()?;
    if let Some(release) = value.get("start").and_then(Value::as_str) {
        let uptime = value.get("uptime").and_then(Value::as_str).unwrap_or_default();
        return Some(format!("Linux {release}, tests begin {uptime} s after boot"));
    }
    let outcome = Outcome::read(&value)?;
    let (totals, seconds) = (outcome.totals(), outcome.seconds);
    Some(format!("{}: {} passed, {} failed in {seconds:.1} s", outcome.name, totals.passed, totals.failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"name":"a","exit":0,"seconds":1.5,"output":"test result: ok. 3 passed; 0 failed;\nskipped: no v1","skips":"x: y\n"}"#;

    #[test]
    fn counts_are_added_and_the_end_is_demanded() {
        let report = Report::read(&format!("{{\"start\":\"6.1\"}}\n{GOOD}\r\n"));
        let (totals, skipped) = report.totals();
        assert_eq!((totals.passed, totals.failed, skipped), (3, 0, 2));
        assert!(!report.is_good());
        assert!(Report::read(&format!("{GOOD}\n{{\"end\":1}}\n")).is_good());
        assert!(!Report::read(&format!("{GOOD}\n{{\"end\":2}}\n")).is_good());
    }

    #[test]
    fn what_failed_is_told_last() {
        let text = r#"{"name":"a","exit":101,"output":"running 2 tests\ntest b ... ok\ntest c ... FAILED\n\nthread 'c' panicked at x.rs:3:4:\nleft: 1\n"}"#;
        let report = Report::read(text);
        assert_eq!(
            report.outcomes[0].failures(),
            ["a: test c ... FAILED", "a: thread 'c' panicked at x.rs:3:4: left: 1"]
        );
    }

    #[test]
    fn a_killed_binary_is_a_failure() {
        let report =
            Report::read("{\"name\":\"a\",\"exit\":-1,\"output\":\"running 3 tests\"}\n{\"end\":1}\n");
        assert_eq!(report.totals().0.failed, 1);
        assert!(!report.is_good());
    }
}
