//! Rows of a table: medians with the 10th and 90th percentile, in microseconds. Rounds are interleaved, so that all rows see the same noise.

use std::time::Duration;

use crate::failure::Failure;

/// One measurement.
pub(crate) type Job<'a> = Box<dyn FnMut() -> Result<Duration, Failure> + 'a>;

/// What is measured, or why it is not.
pub(crate) struct Row<'a> {
    name: String,
    job: Result<Job<'a>, String>,
    /// One of another project's programs, which may refuse this machine.
    foreign: bool,
    times: Vec<Duration>,
}

impl<'a> Row<'a> {
    /// Of this project: if it fails the benchmark fails.
    pub(crate) fn own(name: &str, job: impl FnMut() -> Result<Duration, Failure> + 'a) -> Self {
        Self { name: name.to_owned(), job: Ok(Box::new(job)), foreign: false, times: Vec::new() }
    }

    /// Of another project: if it fails its row says why.
    pub(crate) fn foreign(name: &str, job: impl FnMut() -> Result<Duration, Failure> + 'a) -> Self {
        Self { foreign: true, ..Self::own(name, job) }
    }

    pub(crate) fn left_out(name: &str, reason: &str) -> Self {
        Self { name: name.to_owned(), job: Err(reason.to_owned()), foreign: true, times: Vec::new() }
    }

    fn measure(&mut self, counts: bool) -> Result<(), Failure> {
        let Ok(job) = &mut self.job else { return Ok(()) };
        match job() {
            Ok(time) => self.times.extend(counts.then_some(time)),
            Err(error) if self.foreign => self.job = Err(error.to_string()),
            Err(error) => return Err(format!("{}: {error}", self.name).into()),
        }
        Ok(())
    }
}

/// A row's name, and its times or why there are none.
pub(crate) type Measured = (String, Result<Vec<Duration>, String>);

/// Measures each row `count` times, after one round that is not counted, and prints them; `of` is what the ratios are of.
pub(crate) fn table(
    title: &str,
    of: &str,
    mut rows: Vec<Row<'_>>,
    count: usize,
    gap: Duration,
) -> Result<(), Failure> {
    for round in 0..=count {
        for row in &mut rows {
            std::thread::sleep(gap);
            row.measure(round > 0)?;
        }
    }
    let rows = rows.into_iter().map(|row| (row.name, row.job.map(|_| row.times)));
    print(&format!("{count} rounds, {title}"), of, rows.collect());
    Ok(())
}

pub(crate) fn print(title: &str, of: &str, rows: Vec<Measured>) {
    println!("\n{title:<43}   median    p10    p90  µs   of {of}");
    let mut base = None;
    for (name, times) in rows {
        let mut times = match times {
            Ok(times) => times,
            Err(reason) => {
                println!("{name:<40} left out: {reason}");
                continue;
            }
        };
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros);
        let median = at(50);
        let first = *base.get_or_insert(median.max(1));
        let ratio = median as f64 / first as f64;
        println!("{name:<40} {median:>9} {:>6} {:>6}   {ratio:>9.2}", at(10), at(90));
    }
}
