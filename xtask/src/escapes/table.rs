//! The table of advisories: each names tests that exist, each test of the suite is named, and each trial can be applied.

use std::collections::BTreeSet;

use super::trial::{self, TRIALS};
use crate::source::Source;

const TABLE: &str = "docs/cve.md";
const SUITE: &str = "tests/escapes";
const COLUMNS: usize = 5;

/// A row: advisory, class, answer, tests, and the trials that show them failing.
struct Row<'a> {
    advisory: &'a str,
    tests: Vec<&'a str>,
    /// Why there is none.
    reason: bool,
    trials: Vec<&'a str>,
    shown: bool,
}

/// Everything about the table, the suite and the trials that does not fit.
pub(crate) fn complaints(files: &[Source]) -> Vec<String> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let rows: Vec<_> = text(TABLE).lines().filter_map(row).collect();
    let trials = match trial::parse(text(TRIALS)) {
        Ok(trials) => trials,
        Err(error) => return vec![format!("{TRIALS}: {error}")],
    };
    let everywhere: BTreeSet<_> = files.iter().flat_map(|file| tests(file)).collect();
    let suite = files.iter().filter(|file| file.path.starts_with(SUITE)).flat_map(|file| tests(file));
    let named: BTreeSet<_> = rows.iter().flat_map(|row| row.tests.iter().copied()).collect();
    let mut all: Vec<_> = suite
        .filter(|test| !named.contains(test))
        .map(|test| format!("{TABLE}: no row names {test}"))
        .collect();
    for row in &rows {
        let known = |trial: &&&str| trials.iter().any(|one| one.name == **trial);
        let lost = row.tests.iter().filter(|test| !everywhere.contains(**test));
        all.extend(lost.map(|test| format!("{TABLE}: {}: no test {test}", row.advisory)));
        let unknown = row.trials.iter().filter(|trial| !known(trial));
        all.extend(unknown.map(|trial| format!("{TABLE}: {}: no trial {trial} in {TRIALS}", row.advisory)));
        if row.tests.is_empty() && !row.reason {
            all.push(format!("{TABLE}: {}: no test, and no reason why", row.advisory));
        }
        if !row.tests.is_empty() && !row.shown {
            all.push(format!("{TABLE}: {}: nothing says when its test was seen to fail", row.advisory));
        }
    }
    let used: BTreeSet<_> = rows.iter().flat_map(|row| row.trials.iter().copied()).collect();
    for trial in &trials {
        if !used.contains(trial.name.as_str()) {
            all.push(format!("{TRIALS}: {}: no row of {TABLE} names it", trial.name));
        }
        let lost = trial.tests().filter(|test| !everywhere.contains(test));
        all.extend(lost.map(|test| format!("{TRIALS}: {}: no test {test}", trial.name)));
        all.extend(trial.stale(&text).map(|error| format!("{TRIALS}: {}: {error}", trial.name)));
    }
    all
}

fn row(line: &str) -> Option<Row<'_>> {
    let cells: Vec<_> = line.strip_prefix("| ")?.trim_end_matches('|').split('|').map(str::trim).collect();
    let [advisory, _, _, tests, trials] = cells.as_slice() else { return None };
    if cells.len() != COLUMNS || *advisory == "Advisory" || advisory.starts_with("---") {
        return None;
    }
    let reason = tests.contains('[');
    let (named, trials_named) = (quoted(tests), quoted(trials));
    Some(Row { advisory, tests: named, reason, trials: trials_named, shown: !trials.is_empty() })
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Names of the tests in a file.
fn tests(file: &Source) -> Vec<&str> {
    let lines = if file.is_rust() { file.text.as_str() } else { "" };
    let (mut all, mut is_test) = (Vec::new(), false);
    for line in lines.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line == "#[test]";
        } else {
            let name = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            all.extend(name.filter(|_| is_test));
            is_test = false;
        }
    }
    all
}

#[cfg(test)]
mod tests_of_it {
    use super::*;

    const SUITE_TEXT: &str = "#[test]\nfn a() {}\n#[test]\nfn b() {}\nfn c() {}\n";
    const TABLE_TEXT: &str = "| Advisory | Class | Answer | Test | Seen to fail when |\n| --- | --- | --- | --- | --- |\n\
        | X-1 | 1 | x | `a` | `one`: x |\n| X-2 | 1 | x | `b`, `d` | by hand |\n| X-3 | 2 | x | [doc] | |\n";
    const TRIALS_TEXT: &str = "[one]\nrun escapes a\nin f.rs\n- x\n+ y\n";

    fn check(table: &str, suite: &str, trials: &str) -> Vec<String> {
        let file = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        complaints(&[
            file(TABLE, table),
            file("tests/escapes/x.rs", suite),
            file(TRIALS, trials),
            file("f.rs", "x\n"),
            file("tests/other.rs", "#[test]\nfn d() {}\n"),
        ])
    }

    #[test]
    fn table_suite_and_trials_agree() {
        assert_eq!(check(TABLE_TEXT, SUITE_TEXT, TRIALS_TEXT), Vec::<String>::new());
        let one = |table: &str, suite: &str, trials: &str, wanted: &str| {
            let all = check(table, suite, trials);
            assert!(all.len() == 1 && all[0].contains(wanted), "{wanted}: {all:?}");
        };
        one(TABLE_TEXT, &format!("{SUITE_TEXT}#[test]\nfn e() {{}}\n"), TRIALS_TEXT, "no row names e");
        one(&TABLE_TEXT.replace("`d`", "`c`"), SUITE_TEXT, TRIALS_TEXT, "no test c");
        one(&TABLE_TEXT.replace("by hand", "`two`"), SUITE_TEXT, TRIALS_TEXT, "no trial two");
        one(&TABLE_TEXT.replace("by hand", ""), SUITE_TEXT, TRIALS_TEXT, "nothing says when");
        one(&TABLE_TEXT.replace("[doc]", ""), SUITE_TEXT, TRIALS_TEXT, "no reason why");
        one(TABLE_TEXT, SUITE_TEXT, &TRIALS_TEXT.replace("- x", "- z"), "no such lines");
        one(TABLE_TEXT, SUITE_TEXT, &TRIALS_TEXT.replace("escapes a", "escapes z"), "no test z");
        one(TABLE_TEXT, SUITE_TEXT, &format!("{TRIALS_TEXT}[two]\nrun escapes a\n"), "no row of");
    }
}
