//! Threads end, are waited for, and panic alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use libcontainer_thread::{apart, spawn};

#[test]
fn a_thread_is_waited_for_with_its_answer() {
    let (send, receive) = channel();
    let thread =
        spawn("a thread of a long name", move || receive.recv().map(|number: u32| number + 1)).unwrap();
    send.send(41).unwrap();
    assert_eq!(thread.join(), Some(Ok(42)));
}

#[test]
fn one_that_is_dropped_goes_on() {
    let (send, receive) = channel();
    drop(
        spawn("alone", move || send.send(std::fs::read_to_string("/proc/thread-self/comm").unwrap()))
            .unwrap(),
    );
    assert_eq!(receive.recv_timeout(Duration::from_secs(60)).unwrap(), "alone\n");
}

#[test]
fn what_is_borrowed_may_be_used_by_one_that_runs_to_its_end() {
    let done = AtomicBool::new(false);
    let own = std::thread::current().id();
    let other = apart("apart", || {
        done.store(true, Ordering::Relaxed);
        std::thread::current().id()
    });
    assert!(done.into_inner() && other.unwrap().unwrap() != own);
}

#[test]
fn a_panic_ends_the_thread_alone() {
    assert!(apart("panics", || -> () { panic!("on purpose") }).unwrap().is_none());
    assert!(spawn("panics", || -> () { panic!("on purpose") }).unwrap().join().is_none());
}

/// What a thread has no memory for is an error: here its stack, which the limit of address space has no room for.
#[test]
fn want_of_memory_is_an_error() {
    const MARK: &str = "LIBCONTAINER_THREAD_LIMITED";
    if std::env::var_os(MARK).is_none() {
        let exe = std::env::current_exe().unwrap();
        let script = "ulimit -v 200000; exec \"$0\" --exact want_of_memory_is_an_error --test-threads 1";
        let status = std::process::Command::new("sh").args(["-c", script]).arg(exe).env(MARK, "1").status();
        assert!(status.unwrap().success());
        return;
    }
    let mut all = Vec::new();
    let (send, receive) = channel::<()>();
    let receive = std::sync::Arc::new(std::sync::Mutex::new(receive));
    let error = loop {
        let wait = std::sync::Arc::clone(&receive);
        match spawn("waits", move || wait.lock().unwrap().recv().unwrap_err()) {
            Ok(thread) => all.push(thread),
            Err(error) => break error,
        }
        assert!(all.len() < 1000, "there is no limit");
    };
    drop(send);
    assert_eq!(error.raw_os_error(), Some(11), "{error}");
    assert!(all.into_iter().all(|thread| thread.join().is_some()));
}
