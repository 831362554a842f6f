use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use libcontainer_security::seccomp::notify::{AddFd, Answer, Event, Listener, Memory, Notification, load};
use libcontainer_security::seccomp::{Action, Arch, Options, Profile, Rule, compile};
use libcontainer_security::thread;

pub(super) const LONG: Duration = Duration::from_secs(20);

/// Runs `work` in a thread whose calls of `names` wait for the listener that is returned with it.
pub(super) fn filtered<T: Send + 'static>(
    names: &[&str],
    work: impl FnOnce() -> T + Send + 'static,
) -> (Listener, JoinHandle<T>) {
    let native = Arch::native().unwrap();
    let mut profile = Profile::new(Action::Allow);
    profile.syscalls.push(Rule::new(names, Action::Notify));
    let filter = compile(&profile, &Options { listener: true, ..Options::new(native) }).unwrap();
    let (give, take) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        thread::set_no_new_privs().unwrap();
        give.send(load(&filter).unwrap().unwrap()).unwrap();
        work()
    });
    (take.recv().unwrap(), thread)
}

pub(super) fn next(listener: &Listener) -> Notification {
    match listener.receive(Some(LONG)).unwrap() {
        Event::Call(call) => call,
        other => panic!("{other:?}"),
    }
}

const MKDIR: [&str; 2] = ["mkdir", "mkdirat"];

fn mkdir(path: &'static str) -> impl FnOnce() -> io::Result<()> + Send + 'static {
    move || std::fs::create_dir(path)
}

#[test]
fn a_call_is_shown_and_answered_by_value_errno_and_the_kernel() {
    let missing = "/nowhere/at/all";
    for (answer, wanted) in [
        (Answer::Value(0), Ok(())),
        (Answer::Errno(libc::EOVERFLOW), Err(Some(libc::EOVERFLOW))),
        (Answer::Continue, Err(Some(libc::ENOENT))),
    ] {
        let (listener, thread) = filtered(&MKDIR, mkdir(missing));
        let call = next(&listener);
        let native = Arch::native().unwrap();
        let name = native.syscall(call.data.number).unwrap();
        assert!(MKDIR.contains(&name), "{name}");
        assert_eq!(call.data.arch, native.token());
        assert!(call.pid > 0 && call.data.instruction_pointer != 0);
        let memory = Memory::open(&listener, &call).unwrap().unwrap();
        let place = call.data.args[usize::from(name == "mkdirat")];
        assert_eq!(memory.text(place, 4096), Some(missing.as_bytes().to_vec()));
        assert_eq!(memory.text(place, missing.len()), None);
        assert_eq!(memory.word(place), Some(u64::from_ne_bytes(*b"/nowhere")));
        assert_eq!(memory.text(0, 4096), None);
        assert_eq!(listener.is_valid(call.id), Ok(true));
        listener.respond(call.id, answer).unwrap();
        assert_eq!(thread.join().unwrap().map_err(|error| error.raw_os_error()), wanted);
        assert_eq!(listener.is_valid(call.id), Ok(false));
        let late = listener.respond(call.id, answer).unwrap_err();
        assert!(late.is_gone() && late.to_string().contains("SECCOMP_IOCTL_NOTIF_SEND"), "{late}");
        assert_eq!(Memory::open(&listener, &call).unwrap().map(|_| ()), None);
    }
}

#[test]
fn waiting_has_a_limit_and_an_end() {
    let (go, wait) = mpsc::channel::<()>();
    let (listener, thread) = filtered(&MKDIR, move || wait.recv());
    assert_eq!(listener.receive(Some(Duration::from_millis(1))), Ok(Event::TimedOut));
    assert_eq!(listener.receive(Some(Duration::ZERO)), Ok(Event::TimedOut));
    go.send(()).unwrap();
    thread.join().unwrap().unwrap();
    assert_eq!(listener.receive(Some(LONG)), Ok(Event::Ended));
    assert_eq!(listener.receive(None), Ok(Event::Ended));
}

#[test]
fn a_descriptor_is_put_into_the_caller_and_may_be_the_answer() {
    for answer in [true, false] {
        let (listener, thread) = filtered(&["openat", "open"], || {
            let mut text = String::new();
            File::open("/etc/none").and_then(|mut file| file.read_to_string(&mut text)).map(|_| text)
        });
        let call = next(&listener);
        let dir = std::env::temp_dir().join(format!("notify-{}-{answer}", std::process::id()));
        std::fs::write(&dir, "from the agent").unwrap();
        let file = File::open(&dir).unwrap();
        std::fs::remove_file(&dir).unwrap();
        let how = AddFd { at: None, close_on_exec: true, answer };
        let number = listener.add_fd(call.id, file.as_fd(), how).unwrap();
        assert!(number >= 0);
        match answer {
            true => assert!(listener.respond(call.id, Answer::Value(0)).unwrap_err().is_gone()),
            false => listener.respond(call.id, Answer::Value(number.into())).unwrap(),
        }
        assert_eq!(thread.join().unwrap().unwrap(), "from the agent");
    }
}

#[test]
fn a_descriptor_gets_the_number_that_is_asked_for() {
    let (listener, thread) = filtered(&MKDIR, || {
        let _ = std::fs::create_dir("/nowhere/at/all");
        std::fs::read_link("/proc/self/fd/777").unwrap()
    });
    let call = next(&listener);
    let null = File::open("/dev/null").unwrap();
    let how = AddFd { at: Some(777), close_on_exec: true, answer: false };
    assert_eq!(listener.add_fd(call.id, null.as_fd(), how), Ok(777));
    listener.respond(call.id, Answer::Value(0)).unwrap();
    assert_eq!(thread.join().unwrap(), Path::new("/dev/null"));
    let late = listener.add_fd(call.id, null.as_fd(), how).unwrap_err();
    assert!(late.is_gone(), "{late}");
}

#[test]
fn what_is_no_listener_and_no_answer_is_told() {
    let null = Listener::from(std::os::fd::OwnedFd::from(File::open("/dev/zero").unwrap()));
    for error in [
        null.receive(Some(LONG)).unwrap_err(),
        null.is_valid(1).unwrap_err(),
        null.respond(1, Answer::Continue).unwrap_err(),
        null.add_fd(1, null.as_fd(), AddFd::default()).unwrap_err(),
    ] {
        assert_eq!(error.errno(), Some(libc::ENOTTY), "{error}");
    }
    let (listener, thread) = filtered(&MKDIR, mkdir("/nowhere/at/all"));
    let call = next(&listener);
    for errno in [0, -1, 4096] {
        assert_eq!(listener.respond(call.id, Answer::Errno(errno)).unwrap_err().errno(), Some(libc::EINVAL));
    }
    listener.respond(call.id, Answer::Value(0)).unwrap();
    thread.join().unwrap().unwrap();
}

/// A second filter with a listener is what the kernel refuses.
#[test]
fn one_listener_for_a_thread() {
    let (listener, thread) = filtered(&MKDIR, || {
        let mut profile = Profile::new(Action::Allow);
        profile.syscalls.push(Rule::new(&["rmdir"], Action::Notify));
        let options = Options { listener: true, ..Options::new(Arch::native().unwrap()) };
        load(&compile(&profile, &options).unwrap()).map(drop).unwrap_err()
    });
    assert_eq!(thread.join().unwrap().errno(), Some(libc::EBUSY));
    drop(listener);
}

#[test]
fn a_caller_whose_listener_is_closed_is_refused() {
    let (listener, thread) = filtered(&MKDIR, mkdir("/nowhere/at/all"));
    let call = next(&listener);
    assert_eq!(call.flags, 0);
    drop(listener);
    assert_eq!(thread.join().unwrap().unwrap_err().raw_os_error(), Some(libc::ENOSYS));
}
