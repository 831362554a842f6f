//! Development tasks: `cargo xtask test | tidy | ci | bench | golden`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

mod bench;
mod ci;
mod run;
mod source;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "cargo xtask COMMAND

  test [FILTER]   set up what the tests need, run them all, count skips
  tidy            check the invariants of ARCHITECTURE.md
  ci              fmt, clippy, docs, tidy, each crate alone, test
  bench [ARGS]    run the benchmarks, side by side with crun and runc where installed
  golden          write the golden files of explain anew and show what changed";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = args.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let result = match command {
        "test" => test::run(rest),
        "tidy" => tidy::run(),
        "ci" => ci::run(),
        "bench" => bench::run(rest),
        "golden" => test::golden(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
