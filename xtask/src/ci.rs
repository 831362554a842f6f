//! `ci`: everything that must hold before a change lands. Goes on after a failure and ends with a summary.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::digest::Digest;
use crate::run::{cargo, check};
use crate::{bench, clients, criu, faults, profiles, source, test, tidy, tools, vm};

type Step = (String, Box<dyn Fn() -> Result<()>>);

/// Runs the steps in a process of its own, and repeats at the end what those said that failed.
pub(crate) fn run() -> Result<()> {
    // What is built once needs no notes for the next time: they were half of what lay in `target` behind clippy.
    let mut steps = Command::new(std::env::current_exe()?);
    let (status, failures) = follow(steps.arg("ci-steps").env("CARGO_INCREMENTAL", "0"))?;
    print!("{failures}");
    if !status.success() {
        bail!("steps failed: {status}");
    }
    Ok(())
}

/// Prints what a command does, and returns its status and what its failed steps said.
fn follow(command: &mut Command) -> Result<(ExitStatus, String)> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (send, lines) = mpsc::channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] =
        [child.stdout.take().map(|s| Box::new(s) as _), child.stderr.take().map(|s| Box::new(s) as _)];
    for (stream, send) in streams.into_iter().flatten().zip([send.clone(), send]) {
        std::thread::spawn(move || read(stream, &send));
    }
    let mut digest = Digest::default();
    let status = loop {
        // RACE: a process that a test left may hold the pipe for ever: the steps' end is the end, once nothing comes any more.
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                println!("{line}");
                digest.add(&line);
            }
            Err(RecvTimeoutError::Disconnected) => break child.wait()?,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(status) = child.try_wait()? {
                    break status;
                }
            }
        }
    };
    Ok((status, digest.text()))
}

/// Hands each line on as it comes, until there are none or nobody wants them.
fn read(stream: impl Read, send: &mpsc::Sender<String>) {
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { return };
        if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}

/// All steps, one after the other.
pub(crate) fn steps_in_turn() -> Result<()> {
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
        criu::fetch();
        test::run(&[])
    };
    steps.push(("test".into(), Box::new(tests)));
    steps.push(("bench --short".into(), Box::new(short_bench)));
    steps.push(("test --clients, a few".into(), Box::new(short_clients)));
    steps.push(("faults".into(), Box::new(short_faults)));
    // All of it has to end in 40 minutes.
    let machines = || vm::run(&["--vm", "--few"].map(str::to_owned));
    steps.push(("test --vm --few".into(), Box::new(machines)));
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

fn short_clients() -> Result<()> {
    if tools::is_root()? {
        return clients::short();
    }
    println!("left out: only root can make the worlds of the clients");
    Ok(())
}

/// A selection that is spread over all commands, who makes the call, and errors.
fn short_faults() -> Result<()> {
    if tools::is_root()? && cfg!(target_arch = "x86_64") {
        return faults::run(&["--count", "200", "--again", "3"].map(str::to_owned));
    }
    println!("left out: only root can try, and on x86_64 only");
    Ok(())
}

fn docs() -> Result<()> {
    let args = ["doc", "--quiet", "--workspace", "--no-deps", "--exclude", "xtask"];
    check(cargo(&args).env("RUSTDOCFLAGS", "-D warnings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_left_over_does_not_hold_the_end() -> Result<()> {
        let script = "echo '== a'; echo x; echo '== a: FAILED in 1 s'; exec 3>&1; sleep 5 & exit 1";
        let (status, failures) = follow(Command::new("sh").args(["-c", script]))?;
        assert_eq!((status.code(), failures.as_str()), (Some(1), "== a said:\n   x\n"));
        Ok(())
    }
}
