//! Templates: containers of one config, made when they are wanted and standing by.

use std::time::{Duration, Instant};

use libcontainer::{Config, Factory, ProcessConfig, Template};
use libcontainer_tests::Place;

use crate::failure::Failure;
use crate::rows::Row;
use crate::stamped::{self, Told};

const PATIENCE: Duration = Duration::from_secs(20);

/// When a start is over.
#[derive(Clone, Copy, PartialEq)]
enum Over {
    /// The program has begun, as it says itself.
    Begun,
    /// The call returns, as the program runs. It may run before whoever has started it.
    Running,
    /// It has ended, and the call of destroy has returned.
    Destroyed,
}

pub(crate) fn rows<'a>(place: &Place, config: &Config, name: &str) -> Result<Vec<Row<'a>>, Failure> {
    let mut rows = Vec::new();
    for (ready, over, row) in [
        (0, Over::Running, "template start"),
        (0, Over::Destroyed, "template start+wait+destroy"),
        (2, Over::Begun, "warm start until the first instruction"),
        (2, Over::Running, "warm start"),
        (2, Over::Destroyed, "warm start+wait+destroy"),
    ] {
        if over == Over::Begun {
            if let Err(reason) = stamped::install(&config.rootfs)? {
                rows.push(Row::left_out(row, &reason));
                continue;
            }
        }
        let dir = place.join("run").join(name).join(row.replace([' ', '+'], "-"));
        std::fs::create_dir_all(&dir)?;
        let template = Factory::new()?.template(dir, config)?;
        template.keep_ready(ready)?;
        rows.push(Row::own(row, move || start(&template, over)));
    }
    Ok(rows)
}

/// A start until the program runs, with so many containers that stand by.
pub(crate) fn row<'a>(
    dir: &std::path::Path,
    config: &Config,
    name: &str,
    ready: usize,
) -> Result<Row<'a>, Failure> {
    let template = Factory::new()?.template(dir.join("template"), config)?;
    std::fs::create_dir_all(dir.join("template"))?;
    template.keep_ready(ready)?;
    Ok(Row::own(name, move || start(&template, Over::Running)))
}

/// What the template does by itself before and afterwards is not counted: nobody waits for it.
fn start(template: &Template, over: Over) -> Result<Duration, Failure> {
    if !template.settle(PATIENCE) {
        return Err(format!("{:?}", template.stats()).into());
    }
    if over == Over::Begun {
        return begun(template);
    }
    let begin = Instant::now();
    let (container, mut process) = template.start(ProcessConfig::new(["/bin/true"]))?;
    let running = begin.elapsed();
    process.wait()?;
    container.destroy()?;
    Ok(match over {
        Over::Destroyed => begin.elapsed(),
        Over::Running | Over::Begun => running,
    })
}

fn begun(template: &Template) -> Result<Duration, Failure> {
    let mut told = Told::new()?;
    let program = ProcessConfig { stdout: told.output()?, ..ProcessConfig::new([stamped::PROGRAM]) };
    let begin = stamped::now()?;
    let (container, mut process) = template.start(program)?;
    process.wait()?;
    container.destroy()?;
    told.since(begin)
}
