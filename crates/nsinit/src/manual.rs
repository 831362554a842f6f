//! Man pages, from the command line as clap knows it: what `--help` says and what they say is one text.
//!
//! Only a test writes them, for `cargo xtask dist`, so that the program does not carry what writes them.

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::arguments::Cli;

/// Name of the file, and its text in roff: one page of the program, one of each command.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut whole = Cli::command();
    whole.build();
    let mut all = vec![page("nsinit", &whole)];
    add(&whole, "nsinit", &mut all);
    all
}

/// Commands may have commands.
fn add(command: &Command, name: &str, all: &mut Vec<(String, Vec<u8>)>) {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        let name = format!("{name}-{}", inner.get_name());
        all.push(page(&name, inner));
        add(inner, &name, all);
    }
}

fn page(name: &str, command: &Command) -> (String, Vec<u8>) {
    let plain = command.clone().version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true);
    let man = Man::new(plain).title(name).section("8").manual("Containers").date("");
    let mut text = Vec::new();
    man.render(&mut text).unwrap_or_else(|error| panic!("{name}: {error}"));
    (format!("{name}.8"), text)
}

/// What a page shows of a text: without roff's escapes.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .replace("\\-", "-")
        .replace("\\fB", "")
        .replace("\\fR", "")
        .replace("\\fI", "")
}

#[test]
fn every_option_of_every_command_is_on_its_page() {
    let pages = pages();
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("nsinit-{}.8", command.get_name());
        let (_, text) = pages.iter().find(|(page, _)| *page == name).unwrap_or_else(|| panic!("no {name}"));
        let text = shown(text);
        for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
            let Some(long) = option.get_long() else { continue };
            assert!(text.contains(&format!("--{long}")), "{name}: --{long}: {text}");
        }
    }
}

/// For `cargo xtask dist`: into the directory that NSINIT_MANUAL names.
#[test]
fn written() {
    let Some(dir) = std::env::var_os("NSINIT_MANUAL").map(std::path::PathBuf::from) else { return };
    for (name, text) in pages() {
        std::fs::write(dir.join(&name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
