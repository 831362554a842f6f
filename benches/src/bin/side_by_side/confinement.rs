//! What the default filter costs a start, beside the same start without, and the same rules in the other runtimes.

use std::time::Duration;

use libcontainer::{Config, Factory, Seccomp};
use libcontainer_tests::Place;

use crate::failure::Failure;
use crate::rows::{Row, table};
use crate::{library, programs, warm};

pub(crate) fn measure(place: &Place, config: &Config, count: usize) -> Result<(), Failure> {
    let filters = [("no filter", Seccomp::Unconfined), ("default filter", Seccomp::Default)];
    for gap in [0, 60] {
        let mut rows = Vec::new();
        for (name, seccomp) in &filters {
            let config = Config { seccomp: seccomp.clone(), ..config.clone() };
            rows.extend(of(place, &config, name, gap)?);
        }
        let title = format!("{gap} ms between starts, filters");
        table(&title, "the first", rows, count, Duration::from_millis(gap))?;
    }
    Ok(())
}

fn of<'a>(place: &'a Place, config: &Config, name: &str, gap: u64) -> Result<Vec<Row<'a>>, Failure> {
    let (factory, own) = (Factory::new()?, config.clone());
    let run = move || library::run(&factory, place, &own);
    let mut rows = vec![Row::own(&format!("library run+wait+destroy, {name}"), run)];
    let dir = place.join("run").join(format!("filter-{gap}-{}", name.replace(' ', "-")));
    std::fs::create_dir_all(&dir)?;
    rows.push(warm::row(&dir, config, &format!("template start, {name}"), 0)?);
    programs::bundle_in(place, &dir, config, &["/bin/true"])?;
    for (program, runtime) in programs::Runtime::all(place) {
        let (title, dir) = (format!("{program} run, {name}"), dir.clone());
        rows.push(match runtime {
            Ok(runtime) => Row::foreign(&title, move || runtime.run_bundle(&dir)),
            Err(reason) => Row::left_out(&title, &reason),
        });
    }
    Ok(rows)
}
