//! Each rule of the verifier, by a plan that breaks it and nothing else.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::exec;
use crate::{Builder, CapMasks, Dir, File, HostStep, How, SealError, Slot};

type Break = fn(&mut Builder);

/// Names the rule. Without a wildcard: a new variant has to come here, and so into the table.
fn rule(error: &SealError) -> &'static str {
    match error {
        SealError::Nul { .. } => "Nul",
        SealError::TooManySteps { .. } => "TooManySteps",
        SealError::TooManyBytes => "TooManyBytes",
        SealError::TooManySlots => "TooManySlots",
        SealError::SlotNotSet { .. } => "SlotNotSet",
        SealError::BackwardJump { .. } => "BackwardJump",
        SealError::TooManyOutcomes { .. } => "TooManyOutcomes",
        SealError::SkippedMessage { .. } => "SkippedMessage",
        SealError::Unprivileged { .. } => "Unprivileged",
        SealError::AfterSeccomp { .. } => "AfterSeccomp",
        SealError::SeccompUnprivileged { .. } => "SeccompUnprivileged",
        SealError::NoListener { .. } => "NoListener",
        SealError::LandlockUnprivileged { .. } => "LandlockUnprivileged",
        SealError::AfterLandlock { .. } => "AfterLandlock",
        SealError::AfterCloseRange { .. } => "AfterCloseRange",
        SealError::BadEnd { .. } => "BadEnd",
        SealError::Deadlock { .. } => "Deadlock",
        // Only of a base: in `parts`.
        SealError::ForOneLaunch { .. } => "ForOneLaunch",
    }
}

const RULES: [&str; 17] = [
    "Nul",
    "TooManySteps",
    "TooManyBytes",
    "TooManySlots",
    "SlotNotSet",
    "BackwardJump",
    "TooManyOutcomes",
    "SkippedMessage",
    "Unprivileged",
    "AfterSeccomp",
    "SeccompUnprivileged",
    "NoListener",
    "LandlockUnprivileged",
    "AfterLandlock",
    "AfterCloseRange",
    "BadEnd",
    "Deadlock",
];

/// The error of the plan that `break_rule` makes.
fn check(break_rule: Break) -> SealError {
    let mut plan = Builder::new();
    break_rule(&mut plan);
    plan.seal().expect_err("the plan breaks a rule")
}

fn dir(plan: &mut Builder) -> Slot<Dir> {
    plan.openat2(crate::At::Cwd, "/", How::TRUSTED)
}

fn started(plan: &mut Builder) -> &mut Builder {
    plan.start_init();
    plan
}

/// Rule, text of the error, plan.
/// `CAP_SYS_ADMIN` and nothing else.
const ADMIN: CapMasks = CapMasks { effective: 1 << 21, permitted: 1 << 21, inheritable: 0 };

const TABLE: [(&str, &str, Break); 45] = [
    ("Nul", r#""a\0b" contains a NUL byte"#, |plan| {
        plan.chdir("a\0b");
        exec(plan);
    }),
    ("Nul", r#""X=\0" contains a NUL byte"#, |plan| {
        plan.exec(&["/x".into()], &[b"x".to_vec()], &[b"X=\0".to_vec()]);
    }),
    ("TooManySteps", "the plan has 4097 steps, more than 4096: fewer mounts or devices are needed", |plan| {
        for _ in 0..4096 {
            let _ = plan.setsid();
        }
        exec(plan);
    }),
    ("TooManyBytes", "the plan's strings and structures take more than 1048576 bytes", |plan| {
        plan.chdir("x".repeat(1 << 20));
        exec(plan);
    }),
    ("TooManySlots", "the plan holds more than 255 descriptors at once", |plan| {
        for _ in 0..256 {
            let _ = dir(plan);
        }
        exec(plan);
    }),
    ("TooManySlots", "the plan holds more than 255 descriptors at once", |plan| {
        started(plan);
        for _ in 0..256 {
            let _ = plan.notify_host("point");
        }
        exec(plan);
    }),
    ("SlotNotSet", "step 2: slot s0 (/) is used before it is set, or after it is gone", |plan| {
        let dir = dir(plan);
        exec(plan.close(dir).fchdir(dir));
    }),
    ("SlotNotSet", "step 2: slot s0 (/) is used before it is set, or after it is gone", |plan| {
        let dir = dir(plan);
        plan.close(dir).close(dir);
        exec(plan);
    }),
    ("SlotNotSet", "step 1: slot s0 (/) is used before it is set, or after it is gone", |plan| {
        let dir = dir(plan);
        exec(plan.tolerate(libc::ENOENT).fchdir(dir));
    }),
    ("SlotNotSet", "step 2: slot s0 (/) is used before it is set, or after it is gone", |plan| {
        let past = plan.label();
        plan.setsid().on(libc::EPERM, past);
        let dir = dir(plan);
        plan.bind(past);
        exec(plan.fchdir(dir));
    }),
    ("BackwardJump", "step 0: its outcome leads back or nowhere; outcomes lead forward only", |plan| {
        let unbound = plan.label();
        plan.setsid().on(libc::EPERM, unbound);
        exec(plan);
    }),
    ("BackwardJump", "step 1: its outcome leads back or nowhere; outcomes lead forward only", |plan| {
        let back = plan.label();
        plan.setsid();
        plan.bind(back);
        plan.setsid().on(libc::EPERM, back);
        exec(plan);
    }),
    ("BackwardJump", "step 0: its outcome leads back or nowhere; outcomes lead forward only", |plan| {
        let end = plan.label();
        plan.setsid().on(libc::EPERM, end);
        exec(plan);
        plan.bind(end);
    }),
    ("BackwardJump", "step 0: its outcome leads back or nowhere; outcomes lead forward only", |plan| {
        plan.exec(&["/x".into()], &[], &[]).tolerate(libc::ENOENT);
    }),
    ("TooManyOutcomes", "step 0: more than 4 outcomes", |plan| {
        plan.setsid();
        for errno in 1..=5 {
            let _ = plan.tolerate(errno);
        }
        exec(plan);
    }),
    ("SkippedMessage", "step 0: an outcome leads past the message in step 1", |plan| {
        let past = started(plan).label();
        plan.setsid().on(libc::EPERM, past);
        plan.notify_host("ready");
        plan.bind(past);
        exec(plan);
    }),
    ("SkippedMessage", "step 0: an outcome leads past the message in step 2", |plan| {
        let past = started(plan).label();
        plan.setsid().on_success(past);
        plan.setsid();
        plan.await_host("go");
        plan.bind(past);
        exec(plan);
    }),
    ("Unprivileged", "step 1: sethostname needs privileges that step 0 gave up", |plan| {
        exec(plan.capset(CapMasks::default()).sethostname("x"));
    }),
    ("Unprivileged", "step 1: setgroups needs privileges that step 0 gave up", |plan| {
        exec(plan.setresuid(1000).setgroups(&[]));
    }),
    ("Unprivileged", "step 2: setgroups needs privileges that step 0 gave up", |plan| {
        exec(plan.capset(CapMasks::default()).setsid().setgroups(&[]));
    }),
    ("Unprivileged", "step 1: prctl needs privileges that step 0 gave up", |plan| {
        plan.capset(CapMasks::default()).drop_bounding(0);
        exec(plan);
    }),
    ("AfterSeccomp", "step 1: setsid after the seccomp filter was loaded: only execve may follow", |plan| {
        exec(plan.seccomp(&[0; 8], 0).setsid());
    }),
    ("AfterSeccomp", "step 1: seccomp after the seccomp filter was loaded: only execve may follow", |plan| {
        exec(plan.seccomp(&[0; 8], 0).seccomp(&[0; 8], 0));
    }),
    (
        "AfterSeccomp",
        "step 1: rt_sigtimedwait after the seccomp filter was loaded: only execve may follow",
        |plan| {
            plan.seccomp(&[0; 8], 0).reap();
        },
    ),
    ("AfterSeccomp", "step 2: prctl after the seccomp filter was loaded: only execve may follow", |plan| {
        plan.listen(&[0; 8], 0, [1, 2]).knock([1, 2]);
        exec(plan);
    }),
    ("AfterSeccomp", "step 2: setsid after the seccomp filter was loaded: only execve may follow", |plan| {
        plan.listen(&[0; 8], 0, [1, 2]).setsid();
        exec(plan);
    }),
    ("SeccompUnprivileged", "step 1: seccomp without no_new_privs, after privileges were given up", |plan| {
        exec(plan.capset(CapMasks::default()).listen_and_send(&[0; 8], 0, [1, 2]));
    }),
    ("NoListener", "step 0: a knock without a filter before it: nobody would answer", |plan| {
        plan.knock([1, 2]);
        exec(plan);
    }),
    ("SeccompUnprivileged", "step 1: seccomp without no_new_privs, after privileges were given up", |plan| {
        exec(plan.capset(CapMasks::default()).seccomp(&[0; 8], 0));
    }),
    ("SeccompUnprivileged", "step 2: seccomp without no_new_privs, after privileges were given up", |plan| {
        exec(plan.capset(ADMIN).capset(CapMasks::default()).seccomp(&[0; 8], 0));
    }),
    ("Unprivileged", "step 1: setgroups needs privileges that step 0 gave up", |plan| {
        exec(plan.capset(ADMIN).setgroups(&[]));
    }),
    (
        "LandlockUnprivileged",
        "step 2: Landlock without no_new_privs, after privileges were given up",
        |plan| {
            let rules = plan.landlock_ruleset([1, 0, 0]);
            exec(plan.capset(CapMasks::default()).landlock_restrict_self(rules));
        },
    ),
    (
        "AfterLandlock",
        "step 2: sethostname after Landlock: nothing that needs privileges may follow",
        |plan| {
            let rules = plan.landlock_ruleset([1, 0, 0]);
            exec(plan.landlock_restrict_self(rules).sethostname("x"));
        },
    ),
    (
        "SlotNotSet",
        "step 2: slot s0 (rules of Landlock) is used before it is set, or after it is gone",
        |plan| {
            let rules = plan.landlock_ruleset([1, 0, 0]);
            exec(plan.close(rules).landlock_restrict_self(rules));
        },
    ),
    ("AfterCloseRange", "step 2: slot s0 is used after close_range", |plan| {
        let dir = dir(plan);
        exec(plan.close_range(3, u32::MAX).fchdir(dir));
    }),
    ("AfterCloseRange", "step 1: slot s0 is used after close_range", |plan| {
        started(plan);
        plan.close_range(3, u32::MAX);
        plan.notify_host("ready");
        exec(plan);
    }),
    ("AfterCloseRange", "step 2: slot s1 is used after close_range", |plan| {
        started(plan);
        let control = plan.control();
        let control = plan.dup_cloexec(control, 3);
        plan.control_is(control);
        plan.close_range(3, u32::MAX);
        plan.notify_host("ready");
        exec(plan);
    }),
    ("BadEnd", "step 0: a plan ends with execve or the reaper, and nothing follows it", |_| {}),
    ("BadEnd", "step 1: a plan ends with execve or the reaper, and nothing follows it", |plan| {
        exec(plan);
        plan.setsid();
    }),
    ("BadEnd", "step 0: a plan ends with execve or the reaper, and nothing follows it", |plan| {
        exec(plan);
        exec(plan);
    }),
    ("BadEnd", "step 0: a plan ends with execve or the reaper, and nothing follows it", |plan| {
        plan.reap();
        exec(plan);
    }),
    ("Deadlock", "the lanes do not meet: `ready` stands before the init is started", |plan| {
        plan.notify_host("ready");
        started(plan);
        exec(plan);
    }),
    ("Deadlock", "the lanes do not meet: the host waits for an init that was not started", |plan| {
        plan.await_exec();
        exec(plan);
    }),
    ("Deadlock", "the lanes do not meet: the host lane starts the init once", |plan| {
        started(started(plan));
        exec(plan);
    }),
    ("Deadlock", "the lanes do not meet: `two` stands out of order in the host lane", |plan| {
        started(plan);
        plan.await_host("one");
        plan.await_host("two");
        // No method can do this: the points of both lanes are made together.
        plan.host.swap(1, 2);
        exec(plan);
    }),
];

#[test]
fn each_rule_is_broken_by_a_plan_that_breaks_it() {
    for (wanted, text, break_rule) in TABLE {
        let error = check(break_rule);
        assert_eq!((rule(&error), error.to_string().as_str()), (wanted, text));
    }
}

#[test]
fn every_rule_stands_in_the_table() {
    let broken: BTreeSet<_> = TABLE.iter().map(|(rule, ..)| *rule).collect();
    assert_eq!(broken, RULES.into_iter().collect());
}

/// What looks like the plans above, and is sound.
const SOUND: [(&str, Break); 13] = [
    ("a filter that notifies, and the knock", |plan| {
        exec(plan.no_new_privs().listen(&[0; 8], 0, [1, 2]));
    }),
    ("one whose listener the init sends, with nothing but its socket open", |plan| {
        let control = plan.control();
        let control = plan.dup_cloexec(control, 3);
        plan.control_is(control);
        plan.close_range(4, u32::MAX);
        plan.start_init();
        exec(plan.no_new_privs().listen_and_send(&[0; 8], 0, [1, 2]));
    }),
    ("Landlock with no_new_privs", |plan| {
        let rules = plan.landlock_ruleset([1, 0, 0]);
        exec(plan.capset(CapMasks::default()).no_new_privs().landlock_restrict_self(rules));
    }),
    ("Landlock by the one capability that is kept, and seccomp behind it", |plan| {
        let rules = plan.landlock_ruleset([1, 0, 0]);
        exec(plan.capset(ADMIN).landlock_restrict_self(rules).seccomp(&[0; 8], 0));
    }),
    ("seccomp before privileges are given up", |plan| {
        exec(plan.seccomp(&[0; 8], 0));
    }),
    ("seccomp with no_new_privs", |plan| {
        exec(plan.no_new_privs().capset(CapMasks::default()).seccomp(&[0; 8], 0));
    }),
    ("seccomp by the one capability that is kept", |plan| {
        exec(plan.capset(ADMIN).seccomp(&[0; 8], 0));
    }),
    ("the control socket put below what close_range closes", |plan| {
        started(plan);
        let control = plan.control();
        let control = plan.dup_cloexec(control, 3);
        plan.control_is(control);
        plan.close_range(4, u32::MAX);
        plan.notify_host("ready");
        exec(plan);
    }),
    ("everything marked, nothing closed", |plan| {
        let dir = dir(plan);
        exec(plan.mark_all_cloexec(3).fchdir(dir));
    }),
    ("a slot that both ways set", |plan| {
        let other = plan.label();
        let dir = dir(plan);
        plan.setsid().on(libc::EPERM, other);
        plan.setsid();
        plan.bind(other);
        exec(plan.fchdir(dir));
    }),
    ("candidates of one exec", |plan| {
        let paths: [PathBuf; 3] = ["/a/x".into(), "/b/x".into(), "/c/x".into()];
        plan.exec(&paths, &[b"x".to_vec()], &[]);
    }),
    ("a read-back after privileges are given up", |plan| {
        exec(plan.capset(CapMasks::default()).expect_capabilities(CapMasks::default()).expect_groups(&[]));
    }),
    ("a host step before the init", |plan| {
        plan.host(HostStep::new("nothing", "", |_| Ok(None)));
        started(plan);
        exec(plan);
        plan.await_exec();
    }),
];

#[test]
fn sound_neighbours_are_let_through() {
    for (name, build) in SOUND {
        let mut plan = Builder::new();
        build(&mut plan);
        assert!(plan.seal().is_ok(), "{name}");
    }
}

/// The number of a closed slot is used again; its old name is still refused, whatever the new one holds.
#[test]
fn a_number_used_again_does_not_revive_the_old_name() {
    let mut plan = Builder::new();
    let old = dir(&mut plan);
    plan.close(old);
    let new: Slot<File> = plan.openat2(crate::At::Cwd, "/file", How::TRUSTED);
    assert_eq!(new.id().number(), old.id().number());
    plan.fchdir(old);
    exec(&mut plan);
    let error = plan.seal().unwrap_err().to_string();
    assert_eq!(error, "step 3: slot s0 (/) is used before it is set, or after it is gone");
}
