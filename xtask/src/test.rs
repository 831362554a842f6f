//! `test`: installs what the tests need, runs them, counts what was skipped and why.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, check, root};
use crate::tools::{self, BUSYBOX, Tool, tool};

const TOOLS: [Tool; 7] = [
    tool("strace", "strace", "compares the init's system calls with the plan"),
    tool("newuidmap", "uidmap", "maps more than one id without root"),
    tool("ip", "iproute2", "compares what it sees of a network with what we see"),
    tool("pasta", "passt", "connects containers of ordinary users"),
    tool("iptables-restore", "iptables", "holds back the network of what criu writes"),
    BUSYBOX,
    tool("setpriv", "util-linux", "runs the rootless tests as another user"),
];

/// Their messages stand beside ours.
const OTHERS: [Tool; 2] = [tool("crun", "crun", "is compared"), tool("runc", "runc", "is compared")];

/// Builds everything that is run by its name.
pub(crate) const PROGRAMS: [&str; 4] = ["build", "--workspace", "--bins", "--examples"];

/// Totals over all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    if !tools::install(&TOOLS)?.is_empty() {
        println!("install these packages to run the tests that need them; they are skipped now");
    }
    let skips = root().join("target/skipped-tests");
    std::fs::create_dir_all(root().join("target"))?;
    std::fs::write(&skips, "")?;
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    if let Some(filter) = args.first() {
        command.arg(filter);
    }
    // The programs under test are built first: tests start the binary of the same profile.
    check(&mut cargo(&PROGRAMS))?;
    command.env("LIBCONTAINER_SKIP_FILE", &skips).env("RUST_BACKTRACE", "1").stdout(Stdio::piped());
    let mut child = command.spawn().context("cargo test")?;
    let mut totals = Totals::default();
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let line = line?;
        totals.add(&line);
        println!("{line}");
    }
    let status = child.wait()?;
    let skipped = report(&std::fs::read_to_string(&skips)?);
    println!("{} passed, {} failed, {skipped} skipped", totals.passed, totals.failed);
    if !status.success() || totals.failed > 0 {
        bail!("tests failed");
    }
    if totals.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

impl Totals {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; …`.
    pub(crate) fn add(&mut self, line: &str) {
        // A number that is none counts nothing: cargo's status then tells of failures.
        let Some(rest) = line.trim().strip_prefix("test result:") else { return };
        let number = |name: &str| {
            let part = rest.split(['.', ';']).find(|part| part.trim_end().ends_with(name));
            part.and_then(|part| part.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0)
        };
        self.passed += number("passed");
        self.failed += number("failed");
    }
}

/// Prints each skip once with its reason; returns their number.
fn report(text: &str) -> usize {
    let mut lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.dedup();
    for line in &lines {
        println!("skipped: {line}");
    }
    lines.len()
}

/// `golden`: rewrites the expected plans.
pub(crate) fn golden() -> Result<()> {
    let tests = ["test", "-p", "libcontainer-tests", "--test", "golden"];
    check(cargo(&tests).env("UPDATE_GOLDEN", "1"))?;
    check(
        Command::new("git").args(["--no-pager", "diff", "--stat", "--", "tests/golden"]).current_dir(root()),
    )
}

/// `errors`: writes the page of messages.
pub(crate) fn errors() -> Result<()> {
    if !tools::is_root()? {
        bail!("only root can make the mistakes");
    }
    tools::install_where_possible(&OTHERS)?;
    check(&mut cargo(&["build", "--quiet", "-p", "nsinit"]))?;
    let tests = ["test", "-p", "libcontainer-tests", "--test", "mistakes", "the_page_has"];
    check(cargo(&tests).env("UPDATE_ERRORS", "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added() {
        let mut totals = Totals::default();
        totals.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        );
        totals.add("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured");
        totals.add("test x ... ok");
        assert_eq!(totals, Totals { passed: 7, failed: 2 });
    }

    #[test]
    fn skips_are_counted_once() {
        assert_eq!(report("a: b\n\na: b\nc: d\n"), 2);
    }
}
