//! Peak memory of `nsinit`, crun and runc: the largest resident set of the command and of what it has waited for.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use libcontainer::Config;
use libcontainer::plan::{Pid, open_pidfd, wait_pidfd};
use libcontainer_tests::Place;

use crate::failure::Failure;
use crate::programs::{self, OWN, Runtime};

const TIMES: usize = 5;
/// KiB that run, exec and state of a release build may need at most. Lower them when less will do; what is above may only need `cargo xtask order`.
/// Pages of the program that another command has brought into memory count too, up to 64 KiB around each that is touched: a file that was just written needs the most.
const BUDGET: [u64; 3] = [3_250, 2_700, 2_450];

/// Runs a command, and says the KiB of its peak. Exec keeps the peak of what the process was before, so this is a small one.
pub(crate) fn peak(words: &[String]) -> Result<(), Failure> {
    let [program, args @ ..] = words else { return Err("a command is missing".into()) };
    let mut command = Command::new(program);
    // With a user to change to the standard library forks: the child of a vfork would have our peak, the one of a fork begins with little.
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).uid(0);
    let child = command.spawn()?;
    let pidfd = open_pidfd(Pid::new(i32::try_from(child.id())?).ok_or("no pid")?)?;
    let ended = wait_pidfd(std::os::fd::AsFd::as_fd(&pidfd), true)?.ok_or("it has not ended")?;
    let usage = ended.usage.filter(|_| ended.end == libcontainer::plan::End::Exited(0));
    println!("{}", usage.ok_or("it has failed")?.max_rss / 1024);
    Ok(())
}

/// The table. The container of each is started for `exec` and `state`.
pub(crate) fn measure(place: &Place, config: &Config) -> Result<[u64; 3], Failure> {
    println!("\n{:<46}{:>8}{:>10}{:>10}", "peak memory, KiB", "run", "exec", "state");
    let least = median(&mut || programs::peak_of(place, &[place.join("rootfs/bin/true").as_os_str()]))?;
    println!("{:<46}{least:>8}", "a program that does nothing");
    let mut own = BUDGET;
    for (name, runtime) in Runtime::all(place) {
        match runtime {
            Ok(runtime) => {
                let peaks @ [run, exec, state] = of(&runtime, place, config)?;
                println!("{name:<46}{run:>8}{exec:>10}{state:>10}");
                own = if name == OWN { peaks } else { own };
            }
            Err(reason) => println!("{name:<46}left out: {reason}"),
        }
    }
    Ok(own)
}

/// Fails if ours are above the budget.
pub(crate) fn hold(own: [u64; 3]) -> Result<(), Failure> {
    if own.iter().zip(BUDGET).any(|(own, most)| *own > most) {
        return Err(format!("{OWN} needs {own:?} KiB, and the budget is {BUDGET:?}").into());
    }
    Ok(())
}

fn of(runtime: &Runtime<'_>, place: &Place, config: &Config) -> Result<[u64; 3], Failure> {
    programs::bundle(place, config, &["/bin/true"])?;
    let run = median(&mut || runtime.peak(&["run"], &[]))?;
    programs::bundle(place, config, &["/bin/sleep", "600"])?;
    runtime.run(&["run", "--detach"], &[])?;
    let exec = median(&mut || runtime.peak(&["exec"], &["/bin/true"]));
    let state = median(&mut || runtime.peak(&["state"], &[]));
    runtime.run(&["delete", "--force"], &[])?;
    Ok([run, exec?, state?])
}

fn median(one: &mut dyn FnMut() -> Result<u64, Failure>) -> Result<u64, Failure> {
    let mut all = (0..TIMES).map(|_| one()).collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable();
    all.get(TIMES / 2).copied().ok_or_else(|| "nothing was measured".into())
}
