//! Runs a bundle: `run_bundle BUNDLE [DIRECTORY OF STATE]`. As root; the program has this one's input, output and errors.

#![allow(clippy::print_stderr, reason = "a program for the terminal")]

use std::error::Error;
use std::path::{Path, PathBuf};

use libcontainer::Factory;
use libcontainer_oci::{Options, Spec, convert};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let bundle = std::path::absolute(args.next().unwrap_or_else(|| ".".into()))?;
    let state = args.next().map_or_else(|| std::env::temp_dir().join("run_bundle"), PathBuf::from);
    let code = run(&bundle, &state)?;
    eprintln!("{code}");
    Ok(())
}

fn run(bundle: &Path, state: &Path) -> Result<String, Box<dyn Error>> {
    let spec = Spec::from_json(&std::fs::read(bundle.join("config.json"))?)?;
    let options =
        Options { bundle: bundle.into(), id: "run_bundle".into(), cgroups: true, ..Options::default() };
    let converted = convert(&spec, &options).map_err(|all| listed(&all))?;
    eprintln!("{}", listed(&converted.warnings));
    let program = converted.process.ok_or("the config names no program")?;
    let factory = Factory::new()?;
    let (container, mut process) = factory.run(state, &converted.config, program.config().inherited())?;
    let status = process.wait()?;
    container.destroy()?;
    Ok(status.to_string())
}

fn listed(all: &[libcontainer_oci::Problem]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
