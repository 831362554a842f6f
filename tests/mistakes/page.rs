//! docs/error-messages.md: what three runtimes say, side by side.

use std::fmt::Write;
use std::path::PathBuf;

use crate::runtime::Runtime;
use crate::scene::{Mistake, Told, tried};

const HEAD: &str = "\
# What is said of mistakes

Written by `cargo xtask errors`, which makes each of these mistakes with each runtime that is installed, from the same bundle, as root; `/b` is that bundle. Before each message stands the exit code; times and log formats are left
out. *podman* is what podman makes of our message of a program that could not be run: 126 for `permission denied` and `operation not permitted`, 127 for `executable file not found in` and `no such file or directory`, else 125. The tests
in `tests/clients/podman/` see the same with podman itself. `tests/mistakes.rs` checks that ours have the object, the error number and, where one is known, the remedy.

";

pub(crate) fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/error-messages.md")
}

/// The whole page.
pub(crate) fn written(mistakes: &[Mistake]) -> String {
    let ours = Runtime::ours("the_page_has_each_mistake").unwrap();
    let others: Vec<_> = ["crun", "runc"].into_iter().filter_map(Runtime::other).collect();
    let runtimes: Vec<_> = std::iter::once(ours).chain(others).collect();
    let mut text = HEAD.to_owned();
    let titles: Vec<_> = runtimes.iter().map(Runtime::title).collect();
    writeln!(text, "| mistake | {} | podman |", titles.join(" | ")).unwrap();
    writeln!(text, "| --- |{} --- |", " --- |".repeat(runtimes.len())).unwrap();
    for mistake in mistakes {
        let told: Vec<_> = runtimes.iter().map(|runtime| tried(mistake, runtime)).collect();
        let cells: Vec<_> = told.iter().map(cell).collect();
        let class =
            if [126, 127].contains(&mistake.code) { podman(&told[0]).to_string() } else { String::new() };
        writeln!(text, "| {} | {} | {class} |", mistake.name, cells.join(" | ")).unwrap();
    }
    text
}

/// Exit code and message; what a table would take for its own is written otherwise.
fn cell(told: &Told) -> String {
    let text = told.text.replace('|', "\\|").replace('<', "&lt;").replace('`', "'").replace('\n', "<br>");
    let code = told.code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
    match (told.code, text.is_empty()) {
        (Some(0), true) => "0, nothing is said".to_owned(),
        (Some(124), _) => format!("hangs; {text}"),
        _ => format!("{code}: {text}"),
    }
}

/// The exit code that podman gives a run whose runtime says this.
pub(crate) fn podman(told: &Told) -> i32 {
    let text = told.text.to_lowercase();
    let has = |all: &[&str]| all.iter().any(|words| text.contains(words));
    match () {
        () if has(&["permission denied", "operation not permitted"]) => 126,
        () if has(&["executable file not found in", "no such file or directory"]) => 127,
        () => 125,
    }
}
