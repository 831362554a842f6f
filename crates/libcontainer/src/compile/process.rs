//! The program: terminal, confinement, descriptors, exec. The same steps for a new container and for a join.

use std::path::Path;

use libcontainer_plan::{At, Builder, Dir, How, Pty, Slot, Sock};
use libcontainer_security::plan as security;

use super::given::Given;
use crate::setup::{ListenerSetup, ProcessSetup};

/// A terminal that the init has opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal {
    pub(super) master: Slot<Pty>,
    pub(super) slave: Slot<Pty>,
}

/// A terminal of the devpts at `/dev/pts` of a root that was entered.
pub(super) fn open_terminal(plan: &mut Builder) -> Terminal {
    plan.purpose("open a terminal");
    let how = How { flags: libc::O_PATH | libc::O_DIRECTORY, ..How::NO_LINKS };
    let how = How { resolve: libcontainer_plan::Resolve::NO_SYMLINKS, ..how };
    let pts: Slot<Dir> = plan.openat2(At::Cwd, "/dev/pts", how);
    let (master, slave) = plan.open_terminal(pts);
    plan.close(pts);
    Terminal { master, slave }
}

/// Makes the terminal the session's, gives it to the user and its master to the host.
pub(super) fn take_terminal(plan: &mut Builder, terminal: Option<Terminal>, process: &ProcessSetup) {
    let Some(Terminal { master, slave }) = terminal else { return };
    plan.purpose("take the terminal").controlling_terminal(slave);
    if process.identity.uid != 0 {
        plan.own_terminal(slave, process.identity.uid);
    }
    if let Some((rows, columns)) = process.terminal_size {
        plan.resize_terminal(slave, rows, columns);
    }
    if process.plain_newlines {
        plan.plain_newlines(slave);
    }
    plan.purpose("give the terminal to the host").send_fd(master, "terminal");
    plan.close(master);
}

/// On all CPUs of its control group, though the caller may not: that is its own affair. Without a look at the caller, which costs more than the call.
pub(super) fn run_on_all_cpus(plan: &mut Builder) {
    // A filter that the caller is under may deny it: then the program has the caller's.
    plan.purpose("run on all CPUs").run_on_all_cpus().tolerate(libc::EPERM).tolerate(libc::ENOSYS);
}

/// Attributes, limits, privileges, umask, working directory, Landlock. `bounding` is the bounding set that it has, if that is known.
pub(super) fn confine(plan: &mut Builder, process: &ProcessSetup, bounding: Option<u64>) {
    // ORDER: a real-time policy needs CAP_SYS_NICE and a higher hard limit CAP_SYS_RESOURCE, so both come before the drop.
    security::attributes(plan, &process.attributes);
    security::limits(plan, &process.limits);
    // ORDER: with root's rights, as the paths of rules need not be open to the user.
    let rules = process.landlock.as_ref().map(|rules| security::landlock_rules(plan, rules));
    // ORDER: with root's rights, as with runc: the directory need not be open to the user.
    let entered = process.cwd != Path::new("/");
    if entered {
        plan.purpose("enter the working directory").chdir(&process.cwd).tolerate(libc::EACCES);
    }
    if bounding == Some(process.confinement.bounding) {
        security::drop_within_bounds(plan, &process.identity, &process.confinement);
    } else {
        security::drop_privileges(plan, &process.identity, &process.confinement);
    }
    plan.purpose("set the umask").umask(process.umask).expect_umask(process.umask);
    plan.purpose("enter the working directory");
    enter_again(plan, &process.cwd, entered);
    // It fails if it lies outside the root.
    plan.check_cwd();
    // ORDER: behind the drop, which it would hinder, and behind all that looks at files but exec.
    if let Some(rules) = rules {
        security::landlock_enforce(plan, rules);
    }
}

/// Enters the working directory as the user. Where that is refused it is enough that root has entered it; one that root may not enter may be open to the user.
fn enter_again(plan: &mut Builder, cwd: &Path, entered: bool) {
    let (closed, done) = (plan.label(), plan.label());
    plan.chdir(cwd);
    if !entered {
        return;
    }
    plan.on(libc::EACCES, closed).on_success(done);
    plan.bind(closed);
    plan.check_cwd_is_root().on(libc::ERANGE, done);
    // Fails, and so says what is refused.
    plan.chdir(cwd);
    plan.bind(done);
}

/// Puts descriptors in their places, closes all others. Returns the start pipe's new place.
///
/// ORDER: behind the report of readiness and before the wait for the commit, so that it is done while the host reads back.
pub(super) fn place(
    plan: &mut Builder,
    process: &ProcessSetup,
    given: &Given,
    terminal: Option<Terminal>,
) -> Option<Slot<Sock>> {
    plan.purpose("set up standard input, output and error");
    if let Some(Terminal { slave: opened, .. }) = terminal {
        // ORDER: out of the way first: it may have one of the numbers that are given out here.
        let slave = plan.dup_above(opened, 5 + process.preserved);
        plan.close(opened);
        for number in 0..3 {
            plan.dup_to(slave, number);
        }
        plan.close(slave);
    }
    for (number, slot) in (0..).zip(given.stdio.into_iter().flatten()) {
        plan.dup_to(slot, number);
    }
    plan.purpose("close all other descriptors");
    let kept = place_preserved(plan, process.preserved, given);
    let control = plan.control();
    let control = plan.dup_cloexec(control, kept);
    plan.control_is(control);
    // ORDER: the control socket and the start pipe alone stay open, marked: their end tells the host that exec has happened.
    let start = given.start.map(|start| plan.dup_cloexec(start, kept + 1));
    plan.close_range(kept + 1 + u32::from(start.is_some()), u32::MAX);
    start
}

/// Runs the program.
pub(super) fn exec(plan: &mut Builder, process: &ProcessSetup) {
    let name =
        process.args.first().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
    plan.purpose(format!("run {name}"));
    // ORDER: until here all are blocked, but those that end an init which waits.
    plan.unblock_signals();
    if let Some(filter) = &process.filter {
        // ORDER: last, so that the filter has to allow nothing but exec, and holds for nothing of ours.
        plan.purpose("load the system call filter");
        match &process.listener {
            // ORDER: the host takes the listener before exec closes it.
            Some(ListenerSetup { program, knock, sent: true, .. }) => {
                plan.listen_and_send(program, filter.flags(), knock.words())
            }
            Some(listener) => plan.listen(&listener.program, filter.flags(), listener.knock.words()),
            None => plan.seccomp(&filter.bytes(), filter.flags()),
        };
        plan.purpose(format!("run {name}"));
    }
    plan.exec(&process.candidates, &process.args, &process.env);
}

/// Moves preserved descriptors to 3, 4, …; returns the first number behind them.
fn place_preserved(plan: &mut Builder, count: u32, given: &Given) -> u32 {
    for (number, slot) in (3..).zip(&given.preserved) {
        plan.dup_to(*slot, number);
    }
    3 + count
}
