//! What becomes of the child by which an init goes on in a pid namespace, when the init dies before it could tell of it. The test is
//! alone in its process: it looks at all children.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use libcontainer_plan::{Builder, Cause, Launch, Launched};
use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

/// `struct sock_filter` four times: whoever calls `number` is killed.
fn deadly(number: libc::c_long) -> Vec<u8> {
    let number = u32::try_from(number).unwrap();
    let lines: [(u16, u8, u8, u32); 4] =
        [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x8000_0000), (0x06, 0, 0, 0x7fff_0000)];
    let line = |(code, yes, no, value): (u16, u8, u8, u32)| {
        [&code.to_ne_bytes()[..], &[yes, no], &value.to_ne_bytes()].concat()
    };
    lines.into_iter().flat_map(line).collect()
}

/// Set for the process that runs under the filter.
const FILTERED: &str = "LIBCONTAINER_FILTERED";

/// Runs this test again, in a process where sendmsg(2) kills: the message with the child's pidfd is the first one.
fn under_the_filter(name: &str) -> Launched {
    let mut plan = Builder::new();
    plan.start_init();
    plan.no_new_privs().mark_all_cloexec(3);
    plan.seccomp(&deadly(libc::SYS_sendmsg), 0);
    let own = std::env::current_exe().unwrap();
    let env = [format!("{FILTERED}=1").into_bytes(), b"RUST_BACKTRACE=0".to_vec()];
    let args = [b"test".to_vec(), b"--exact".to_vec(), name.as_bytes().to_vec(), b"--nocapture".to_vec()];
    plan.exec(&[own], &args, &env);
    plan.await_exec();
    Launch::new(plan.seal().unwrap()).run().unwrap()
}

#[test]
fn an_init_that_dies_before_it_tells_of_its_child_leaves_none() {
    if std::env::var_os(FILTERED).is_none() {
        let inner = under_the_filter("an_init_that_dies_before_it_tells_of_its_child_leaves_none");
        return assert!(matches!(inner.wait().unwrap(), WaitStatus::Exited(_, 0)));
    }
    let mut plan = Builder::new();
    plan.start_init();
    plan.purpose("go on in a child").respawn();
    plan.exec(&["/bin/true".into()], &[b"true".to_vec()], &[]);
    plan.await_exec();
    let error = Launch::new(plan.seal().unwrap()).run().unwrap_err();
    assert_eq!(error.failure.purpose, "go on in a child");
    assert!(matches!(error.failure.cause, Cause::Signal(libc::SIGSYS)), "{error}");
    let any = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL;
    assert_eq!(waitid(Id::All, any), Err(Errno::ECHILD));
}
