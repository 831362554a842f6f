//! What clients of a runtime do: create, start, delete of a `config.json`, and a list of many.

use std::time::Duration;

use libcontainer::Config;
use libcontainer_tests::Place;

use crate::failure::Failure;
use crate::programs::{self, Runtime, id};
use crate::rows::{self, Measured};

const STEPS: [&str; 4] = ["create+start+delete", "create", "start", "delete --force"];

/// Both tables.
pub(crate) fn measure(place: &Place, config: &Config, count: usize, many: usize) -> Result<(), Failure> {
    programs::bundle(place, config, &["/bin/sleep", "600"])?;
    lives(place, count)?;
    lists(place, count, many)
}

/// The times of each step of one life, after their sum.
fn life(runtime: &Runtime<'_>) -> Result<[Duration; 4], Failure> {
    let create = runtime.create(&id(runtime.name()))?;
    let start = runtime.run(&["start"], &[]);
    let delete = runtime.run(&["delete", "--force"], &[])?;
    let start = start?;
    Ok([create + start + delete, create, start, delete])
}

/// The times of one runtime's lives, or why there are none.
type Lives = Result<Vec<[Duration; 4]>, String>;

fn lives(place: &Place, count: usize) -> Result<(), Failure> {
    let runtimes: Vec<_> = Runtime::all(place).collect();
    let none = |runtime: &Result<Runtime<'_>, String>| -> Lives {
        runtime.as_ref().map(|_| Vec::new()).map_err(Clone::clone)
    };
    let mut all: Vec<Lives> = runtimes.iter().map(|(_, runtime)| none(runtime)).collect();
    for round in 0..=count {
        for ((_, runtime), lives) in runtimes.iter().zip(&mut all) {
            let (Ok(runtime), Ok(known)) = (runtime, lives.as_mut()) else { continue };
            match life(runtime) {
                // The first is not counted.
                Ok(_) if round == 0 => {}
                Ok(taken) => known.push(taken),
                Err(error) if runtime.is_own() => return Err(error),
                Err(error) => *lives = Err(error.to_string()),
            }
        }
    }
    for (step, title) in STEPS.iter().enumerate() {
        let of = |lives: &Lives| lives.clone().map(|times| times.iter().map(|taken| taken[step]).collect());
        let rows = runtimes.iter().zip(&all).map(|((name, _), lives)| (format!("{name} {title}"), of(lives)));
        rows::print(&format!("{count} rounds, {title}"), "nsinit", rows.collect());
    }
    Ok(())
}

/// Makes many, lists them, and takes them away.
fn lists(place: &Place, count: usize, many: usize) -> Result<(), Failure> {
    let mut rows: Vec<Measured> = Vec::new();
    for (name, runtime) in Runtime::all(place) {
        let times = match runtime {
            Err(reason) => Err(reason),
            Ok(runtime) => match among(&runtime, count, many) {
                Err(error) if runtime.is_own() => return Err(error),
                times => times.map_err(|error| error.to_string()),
            },
        };
        rows.push((format!("{name} list"), times));
    }
    rows::print(&format!("{count} rounds, a list of {many} containers"), "nsinit", rows);
    Ok(())
}

fn among(runtime: &Runtime<'_>, count: usize, many: usize) -> Result<Vec<Duration>, Failure> {
    let names: Vec<_> = (0..many).map(|number| id(&format!("{}-{number}", runtime.name()))).collect();
    let made = names.iter().try_for_each(|name| runtime.create(name).map(drop));
    let times = made.and_then(|()| (0..count).map(|_| runtime.list(&runtime.root())).collect());
    for name in &names {
        // One that was never made is no failure of the benchmark; what remains is seen by who looks after it.
        let _ = runtime.run_as(name, &["delete", "--force"], &[]);
    }
    times
}
