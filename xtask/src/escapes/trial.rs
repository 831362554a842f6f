//! One defence that is taken out: what is changed for that, and which tests must see it.

/// Where trials are kept.
pub(super) const TRIALS: &str = "tests/escapes/weakened.txt";

/// A trial.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) name: String,
    /// Test binaries, behind their package and a slash if they are not of the workspace's tests, with the tests that must fail.
    pub(super) runs: Vec<(String, Vec<String>)>,
    /// Words that the failing tests say.
    pub(super) says: Vec<String>,
    pub(super) hunks: Vec<Hunk>,
    /// Whether the tests run the command.
    pub(super) command: bool,
}

/// Lines of a file, and what stands in their place. Indentation does not count.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) file: String,
    pub(super) from: Vec<String>,
    pub(super) to: Vec<String>,
}

/// Reads trials: `[NAME]`, then `run BINARY TEST…`, `says WORDS`, and for each change `in FILE` with lines of `-` and `+`.
pub(super) fn parse(text: &str) -> Result<Vec<Trial>, String> {
    let mut all: Vec<Trial> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let wrong = || format!("line {}: {line}: not understood", number + 1);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            all.push(Trial { name: name.to_owned(), ..Trial::default() });
        } else if !line.starts_with('#') {
            all.last_mut().and_then(|trial| trial.take(line)).ok_or_else(wrong)?;
        }
    }
    Ok(all)
}

impl Trial {
    fn take(&mut self, line: &str) -> Option<()> {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "run" => {
                let mut words = rest.split(' ').map(str::to_owned);
                self.runs.push((words.next()?, words.collect()));
            }
            "nsinit" => self.command = true,
            "says" => self.says.push(rest.to_owned()),
            "in" => self.hunks.push(Hunk { file: rest.to_owned(), ..Hunk::default() }),
            "-" => {
                let last = self.hunks.last()?;
                if !last.to.is_empty() {
                    self.hunks.push(Hunk { file: last.file.clone(), ..Hunk::default() });
                }
                self.hunks.last_mut()?.from.push(rest.trim().to_owned());
            }
            "+" => self.hunks.last_mut()?.to.push(rest.trim().to_owned()),
            _ => return None,
        }
        Some(())
    }

    pub(super) fn tests(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().flat_map(|(_, tests)| tests).map(String::as_str)
    }

    /// Why a change can't be made; those of one file are made one after the other.
    pub(super) fn stale<'a>(&self, text: &dyn Fn(&str) -> &'a str) -> Option<String> {
        let mut done: Vec<(&str, String)> = Vec::new();
        for hunk in &self.hunks {
            let earlier = done.iter().rposition(|(file, _)| *file == hunk.file);
            let before = earlier.and_then(|at| done.get(at)).map_or(text(&hunk.file), |(_, text)| text);
            match hunk.apply(before) {
                Ok(after) => done.push((&hunk.file, after)),
                Err(error) => return Some(error),
            }
        }
        None
    }

    /// What is wrong with that test's end.
    pub(super) fn judge(&self, test: &str, output: &str) -> Option<String> {
        let ended = |line: &&str, how: &str| {
            let name = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(how));
            name.is_some_and(|name| name.rsplit("::").next() == Some(test))
        };
        // One that hangs, or takes the whole program with it, has no end.
        if output.lines().any(|line| ended(&line, " ... ok")) {
            return Some(format!("{test} does not fail"));
        }
        if !output.contains(test) {
            return Some(format!("{test} did not run: {output}"));
        }
        let missing = self.says.iter().find(|words| !output.contains(*words))?;
        Some(format!("{test} fails, but nothing says {missing:?}: {output}"))
    }
}

impl Hunk {
    /// The text with the weaker lines.
    pub(super) fn apply(&self, text: &str) -> Result<String, String> {
        let lines: Vec<_> = text.lines().collect();
        let at = self.place(&lines)?;
        let (before, rest) = lines.split_at(at);
        let after = rest.iter().skip(self.from.len()).copied();
        let all = before.iter().copied().chain(self.to.iter().map(String::as_str)).chain(after);
        Ok(all.flat_map(|line| [line, "\n"]).collect())
    }

    /// Where its lines stand: in one place.
    fn place(&self, lines: &[&str]) -> Result<usize, String> {
        let here = |window: &[&str]| window.iter().zip(&self.from).all(|(line, from)| line.trim() == from);
        let mut found = lines.windows(self.from.len().max(1)).enumerate().filter(|(_, window)| here(window));
        match (self.from.is_empty(), found.next(), found.next()) {
            (false, Some((at, _)), None) => Ok(at),
            (_, None, _) => Err(format!("{}: no such lines: {}", self.file, self.from.join(" / "))),
            _ => Err(format!("{}: more than once: {}", self.file, self.from.join(" / "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# x\n[one]\nrun escapes a b\nsays made outside\nin f.rs\n- if x {\n-     y();\n+ {\n\n[two]\nrun race c\n";

    #[test]
    fn trials_are_read_and_applied() {
        let all = parse(TEXT).unwrap();
        assert_eq!(all.len(), 2);
        let hunk = &all[0].hunks[0];
        let text = "fn f() {\n    if x {\n        y();\n    }\n}\n";
        assert_eq!(hunk.apply(text).unwrap(), "fn f() {\n{\n    }\n}\n");
        assert!(hunk.apply("fn f() {}\n").unwrap_err().contains("no such lines"));
        assert!(hunk.apply(&text.repeat(2)).unwrap_err().contains("more than once"));
        assert!(parse("run a b\n").is_err() && parse("[x]\nwalk a\n").is_err());
    }

    #[test]
    fn a_test_must_fail_as_it_was_said() {
        let all = parse(TEXT).unwrap();
        let judge = |output: &str| all[0].judge("a", output).unwrap_or_default();
        assert_eq!(judge("test m::a ... FAILED\nsomething was made outside"), "");
        assert_eq!(judge("test m::a has been running\nmade outside"), "", "it hangs");
        assert!(judge("test m::a ... FAILED\n").contains("nothing says"));
        assert!(judge("test m::a ... ok\nmade outside").contains("does not fail"));
        assert!(judge("test x::b ... ok").contains("did not run"));
    }
}
