//! What the steps that failed have said, to be printed last: who reads a long log often sees only its end.

use std::collections::VecDeque;

/// How much of a step is kept: its last lines, and the first of those that look like a failure.
const LAST: usize = 40;
const MARKED: usize = 60;
const MARKS: [&str; 5] = ["FAILED", "panicked at", "error:", "--only", "fails without"];

/// Reads a log line by line.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    step: String,
    marked: Vec<String>,
    last: VecDeque<String>,
    failed: Vec<String>,
}

impl Digest {
    pub(crate) fn add(&mut self, line: &str) {
        match line.strip_prefix("== ").map(|rest| rest.split_once(": ")) {
            Some(None) => self.begin(line),
            Some(Some((name, end))) if name == self.step => {
                if end.starts_with("FAILED") {
                    self.failed.push(self.of_the_step());
                }
            }
            _ => self.keep(line),
        }
    }

    fn begin(&mut self, line: &str) {
        self.step = line.trim_start_matches("== ").to_owned();
        self.marked.clear();
        self.last.clear();
    }

    fn keep(&mut self, line: &str) {
        self.last.push_back(line.to_owned());
        let old = if self.last.len() > LAST { self.last.pop_front() } else { None };
        let telling = |line: &String| MARKS.iter().any(|mark| line.contains(mark));
        if self.marked.len() < MARKED {
            self.marked.extend(old.filter(telling));
        }
    }

    fn of_the_step(&self) -> String {
        let lines = self.marked.iter().chain(&self.last).map(|line| format!("   {line}\n"));
        format!("== {} said:\n{}", self.step, lines.collect::<String>())
    }

    /// What failed, step by step; empty when nothing did.
    pub(crate) fn text(&self) -> String {
        self.failed.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> String {
        let mut digest = Digest::default();
        lines.iter().for_each(|line| digest.add(line));
        digest.text()
    }

    #[test]
    fn only_steps_that_failed_are_repeated() {
        let text = of(&["== fmt", "a", "== fmt: ok in 1 s", "== test", "b", "== test: FAILED in 2 s", "c"]);
        assert_eq!(text, "== test said:\n   b\n");
    }

    #[test]
    fn of_a_long_step_the_end_and_what_looks_like_a_failure() {
        let mut lines = vec!["== test", "test a ... FAILED"];
        lines.extend(std::iter::repeat_n("test b ... ok", 100));
        lines.extend(["bad: c", "== test: FAILED in 2 s"]);
        let text = of(&lines);
        assert!(text.contains("   test a ... FAILED\n") && text.ends_with("   bad: c\n"), "{text}");
        assert_eq!(text.lines().count(), 2 + LAST);
    }
}
