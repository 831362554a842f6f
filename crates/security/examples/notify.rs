//! Runs a command whose mkdir(2) is answered by this program: `cargo run -p libcontainer-security --example notify -- mkdir /tmp/made`.

#![allow(clippy::print_stdout, reason = "an example")]

use std::process::Command;
use std::sync::mpsc;

use libcontainer_security::seccomp::notify::{Answer, Event, Listener, Memory, NotifyError, load};
use libcontainer_security::seccomp::{Action, Arch, Options, Profile, Rule, compile};
use libcontainer_security::thread;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let mut command = Command::new(args.next().ok_or("a command is wanted")?);
    command.args(args);
    let native = Arch::native().ok_or("this architecture is not known")?;
    let mut profile = Profile::new(Action::Allow);
    profile.syscalls.push(Rule::new(&["mkdir", "mkdirat"], Action::Notify));
    let filter = compile(&profile, &Options { listener: true, ..Options::new(native) })?;
    let (give, take) = mpsc::channel();
    // A filter is the thread's that loads it, and of what that starts.
    let caller = std::thread::spawn(move || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        thread::set_no_new_privs()?;
        give.send(load(&filter)?)?;
        Ok(command.status()?)
    });
    if let Some(listener) = take.recv()? {
        answer(&listener, native)?;
    }
    println!("{}", caller.join().map_err(|_| "the thread panicked")?.map_err(|error| error.to_string())?);
    Ok(())
}

/// Nothing is decided by the path, which another thread of the caller could change: it is only shown.
fn answer(listener: &Listener, native: Arch) -> Result<(), NotifyError> {
    while let Event::Call(call) = listener.receive(None)? {
        let name = native.syscall(call.data.number).unwrap_or("?");
        let path = call.data.args.get(usize::from(name == "mkdirat")).copied().unwrap_or(0);
        let path =
            Memory::open(listener, &call)?.and_then(|memory| memory.text(path, 4096)).unwrap_or_default();
        println!("{name} {:?} by {}: no", String::from_utf8_lossy(&path), call.pid);
        match listener.respond(call.id, Answer::Errno(libc::EPERM)) {
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
