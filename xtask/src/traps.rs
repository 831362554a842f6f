//! The table of traps: each number has its tests, and each test names its number.

use std::collections::BTreeSet;

use crate::source::Source;

const TABLE: &str = "docs/traps.md";
const TRAPS: u32 = 40;

type Tests = BTreeSet<(u32, String)>;

/// Numbers without a row, tests in rows that are not there or don't name the number, and tests that have no row.
pub(crate) fn complaints(files: &[Source]) -> Vec<String> {
    let table = files.iter().find(|file| file.path == TABLE).map_or("", |file| file.text.as_str());
    let (listed, found) = (listed(table), found(files));
    let missing = (1..=TRAPS).filter(|trap| !listed.iter().any(|(number, _)| number == trap));
    let mut all: Vec<_> = missing.map(|trap| format!("{TABLE}: trap {trap} has no test")).collect();
    let lost = listed.difference(&found);
    all.extend(lost.map(|(trap, test)| format!("{TABLE}: no test {test} says that it is of trap {trap}")));
    let unlisted = found.difference(&listed);
    all.extend(unlisted.map(|(trap, test)| format!("{TABLE}: {test} is not listed for trap {trap}")));
    all
}

fn listed(table: &str) -> Tests {
    let mut all = Tests::new();
    for line in table.lines() {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let Some(trap) = cells.next().and_then(|cell| cell.parse().ok()) else { continue };
        let tests = cells.next_back().into_iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
        all.extend(tests.map(|test| (trap, test.to_owned())));
    }
    all
}

fn found(files: &[Source]) -> Tests {
    let mut all = Tests::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let (mut named, mut is_test) = (Vec::new(), false);
        for line in file.text.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("/// ") {
                named.extend(comment.split("Trap ").skip(1).filter_map(number));
            } else if line.starts_with("#[") {
                is_test |= line == "#[test]";
            } else {
                let name = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
                if let Some(name) = name.filter(|_| is_test) {
                    named.extend(name.strip_prefix("trap_").and_then(number));
                    all.extend(named.drain(..).map(|trap| (trap, name.to_owned())));
                }
                (named, is_test) = (Vec::new(), false);
            }
        }
    }
    all
}

fn number(text: &str) -> Option<u32> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_and_tests_agree() {
        let file = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let rows: String = (1..=TRAPS).map(|trap| format!("| {trap} | x | `t{trap}` |\n")).collect();
        let tests: String =
            (1..=TRAPS).map(|trap| format!("/// Trap {trap}: x.\n#[test]\nfn t{trap}() {{}}\n")).collect();
        let check = |rows: &str, tests: &str| complaints(&[file(TABLE, rows), file("tests/a.rs", tests)]);
        assert_eq!(check(&rows, &tests), Vec::<String>::new());
        assert_eq!(check("", "").len(), 40, "no row");
        assert_eq!(check(&rows, &tests.replace("Trap 7:", "trap 7:")).len(), 1, "a test that says nothing");
        assert_eq!(check(&rows, &tests.replace("#[test]\nfn t9(", "fn t9(")).len(), 1, "no test");
        assert_eq!(check(&rows, &format!("{tests}#[test]\nfn trap_08_b() {{}}\n")).len(), 1, "no row for it");
        assert_eq!(check(&rows.replace("| 35 |", "| x |"), &tests).len(), 2, "no number");
    }
}
