//! Starts `/bin/echo` in new namespaces by a plan, and shows the plan first.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks")]

use libcontainer_plan::wire::unsigned;
use libcontainer_plan::{Builder, File, Launch, Slot};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut plan = Builder::new();
    plan.purpose("say hello");
    let out: Slot<File> = plan.preset("standard output");
    plan.namespaces(u64::from(unsigned(libc::CLONE_NEWUTS | libc::CLONE_NEWPID)));
    plan.start_init();
    plan.setsid();
    plan.dup_to(out, 1);
    plan.reset_signals().unblock_signals();
    plan.exec(&["/bin/echo".into()], &[b"echo".to_vec(), b"hello".to_vec()], &[]);
    plan.await_exec();
    let plan = plan.seal()?;
    println!("{}", plan.explain());

    let mut launch = Launch::new(plan);
    launch.give(out, std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned()?);
    let started = launch.run()?;
    println!("pid {}: {:?}", started.pid, started.wait()?);
    Ok(())
}
