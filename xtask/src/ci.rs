//! `ci`: everything that must hold before a change lands. Goes on after a failure and ends with a summary.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::run::{cargo, check};
use crate::{bench, faults, profiles, source, test, tidy, tools, vm};

type Step = (String, Box<dyn Fn() -> Result<()>>);

pub(crate) fn run() -> Result<()> {
    let mut failed = Vec::new();
    for (name, step) in steps()? {
        println!("== {name}");
        let start = Instant::now();
        let result = step();
        println!(
            "== {name}: {} in {:.0} s",
            if result.is_ok() { "ok" } else { "FAILED" },
            start.elapsed().as_secs_f64()
        );
        if let Err(error) = result {
            println!("   {error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "));
}

fn steps() -> Result<Vec<Step>> {
    let command = |args: &'static [&'static str]| -> Box<dyn Fn() -> Result<()>> {
        Box::new(move || check(&mut cargo(args)))
    };
    let mut steps: Vec<Step> = vec![
        ("fmt".into(), command(&["fmt", "--all", "--check"])),
        (
            "clippy".into(),
            command(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        ),
        ("docs".into(), Box::new(docs)),
        ("tidy".into(), Box::new(|| tidy::run(&[]))),
    ];
    for name in source::packages()? {
        let alone = name.clone();
        steps.push((
            format!("{name} alone"),
            Box::new(move || check(&mut cargo(&["check", "--quiet", "-p", &alone]))),
        ));
    }
    let tests = || {
        profiles::fetch();
        test::run(&[])
    };
    steps.push(("test".into(), Box::new(tests)));
    steps.push(("bench --short".into(), Box::new(short_bench)));
    steps.push(("faults".into(), Box::new(short_faults)));
    steps.push(("test --vm".into(), Box::new(|| vm::run(&["--vm".to_owned()]))));
    Ok(steps)
}

/// Behind the tests, which have built all of it.
fn short_bench() -> Result<()> {
    if tools::is_root()? {
        return bench::run(&["--short".to_owned()]);
    }
    println!("left out: only root can measure");
    Ok(())
}

/// A selection that is spread over all commands, who makes the call, and errors.
fn short_faults() -> Result<()> {
    if tools::is_root()? && cfg!(target_arch = "x86_64") {
        return faults::run(&["--count".to_owned(), "300".to_owned()]);
    }
    println!("left out: only root can try, and on x86_64 only");
    Ok(())
}

fn docs() -> Result<()> {
    let args = ["doc", "--quiet", "--workspace", "--no-deps", "--exclude", "xtask"];
    check(cargo(&args).env("RUSTDOCFLAGS", "-D warnings"))
}
