//! Many containers: started at once from eight threads, and standing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libcontainer::{Config, Factory, ProcessConfig, RunState};
use libcontainer_tests::Place;

use crate::failure::Failure;
use crate::programs::Runtime;

const THREADS: usize = 8;

/// Runs `one` with each number up to `count`, on eight threads. Returns the time of all together.
fn together(count: usize, one: impl Fn(usize) -> Result<(), Failure> + Sync) -> Result<Duration, Failure> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), String> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            one(number).map_err(|error| error.to_string())?;
        }
    };
    let begin = Instant::now();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let taken = begin.elapsed();
    for result in results {
        result.map_err(|_| "a thread has panicked")??;
    }
    Ok(taken)
}

/// Starts at once: each runs `true`, is waited for and taken away.
pub(crate) fn at_once(place: &Place, config: &Config, counts: &[usize]) -> Result<(), Failure> {
    println!("\nstarts from {THREADS} threads, µs for each");
    print!("{:<40}", "");
    counts.iter().for_each(|count| print!(" {count:>8} at once"));
    println!();
    let factory = Factory::new()?;
    let dir = place.join("run/many");
    std::fs::create_dir_all(&dir)?;
    line("library run+wait+destroy", counts, |number| {
        let path = dir.join(number.to_string());
        let (container, mut process) = factory.run(path, config, ProcessConfig::new(["/bin/true"]))?;
        process.wait()?;
        Ok(container.destroy()?)
    });
    let template = factory.template(&dir, config)?;
    line("template run+wait+destroy", counts, |number| {
        let (container, mut process) =
            template.run(&number.to_string(), ProcessConfig::new(["/bin/true"]))?;
        process.wait()?;
        Ok(container.destroy_now()?)
    });
    for (name, runtime) in Runtime::all(place) {
        match runtime {
            Err(reason) => println!("{:<40} left out: {reason}", format!("{name} run")),
            Ok(runtime) => line(&format!("{name} run"), counts, |number| {
                runtime.run_as(&crate::programs::id(&format!("{name}-{number}")), &["run"], &[]).map(drop)
            }),
        }
    }
    Ok(())
}

fn line(name: &str, counts: &[usize], one: impl Fn(usize) -> Result<(), Failure> + Sync) {
    print!("{name:<40}");
    for count in counts {
        match together(*count, &one) {
            Ok(taken) => print!(" {:>16}", taken.as_micros() / u128::try_from(*count).unwrap_or(1)),
            Err(error) => print!(" left out: {error}"),
        }
    }
    println!();
}

/// What one more costs among so many that stand.
pub(crate) fn standing(place: &Place, config: &Config, counts: &[usize]) -> Result<(), Failure> {
    println!("\namong containers that stand, µs");
    println!(
        "{:<10} {:>12} {:>12} {:>12} {:>12} {:>14}",
        "standing", "create each", "list", "state", "one more", "destroy each"
    );
    for count in counts {
        let dir = place.join("run").join(format!("standing-{count}"));
        std::fs::create_dir(&dir)?;
        let template = Factory::new()?.template(&dir, config)?;
        let each = |taken: Duration| taken.as_micros() / u128::try_from(*count).unwrap_or(1);
        let begin = Instant::now();
        let mut all = Vec::with_capacity(*count);
        for number in 0..*count {
            let program = ProcessConfig::new(["/bin/true"]);
            all.push(template.create_with(&format!("c{number}"), program)?);
        }
        let created = each(begin.elapsed());
        let list = median(|| own(place)?.list(&dir))?;
        let middle = dir.join(format!("c{}", count / 2));
        let state = median(|| timed(|| look(&middle)))?;
        let more = median(|| {
            timed(|| {
                let (container, mut process) = template.run("more", ProcessConfig::new(["/bin/true"]))?;
                process.wait()?;
                Ok(container.destroy_now()?)
            })
        })?;
        let begin = Instant::now();
        for (container, _process) in &all {
            container.destroy_now()?;
        }
        let destroyed = each(begin.elapsed());
        println!("{count:<10} {created:>12} {list:>12} {state:>12} {more:>12} {destroyed:>14}");
    }
    Ok(())
}

fn own(place: &Place) -> Result<Runtime<'_>, Failure> {
    let (_, own) = Runtime::all(place).next().ok_or("no program")?;
    Ok(own?)
}

fn look(path: &std::path::Path) -> Result<(), Failure> {
    match Factory::new()?.load(path)?.run_state()? {
        RunState::Created => Ok(()),
        other => Err(format!("{}: {other:?}", path.display()).into()),
    }
}

fn timed(act: impl FnOnce() -> Result<(), Failure>) -> Result<Duration, Failure> {
    let begin = Instant::now();
    act()?;
    Ok(begin.elapsed())
}

/// Of eleven, in µs.
fn median(mut one: impl FnMut() -> Result<Duration, Failure>) -> Result<u128, Failure> {
    let mut times = (0..11).map(|_| one()).collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    Ok(times.get(5).map_or(0, Duration::as_micros))
}
