//! Starts fifty processes in one container and waits for them with one `poll`: `poll_pidfds [ROOTFS]`. A process is `AsFd`, so it
//! goes into any event loop as it is.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::os::fd::AsFd;

use libcontainer::{Factory, ProcessConfig};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

mod rootfs;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = rootfs::Place::new()?;
    let container = Factory::new()?.create(place.join("fifty"), &place.config())?;
    let script = |number: usize| format!("sleep 0.{:02}; exit {number}", number * 37 % 50);
    let start = |number| container.start(ProcessConfig::new(["sh", "-c", &script(number)]));
    let mut running = (0..50).map(start).collect::<Result<Vec<_>, _>>()?;
    while !running.is_empty() {
        let mut polled: Vec<_> =
            running.iter().map(|process| PollFd::new(process.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut polled, PollTimeout::NONE)?;
        let mut left = Vec::new();
        for process in running {
            match process.try_wait()? {
                Some(status) => println!("{}: {status}", process.pid()),
                None => left.push(process),
            }
        }
        running = left;
    }
    Ok(container.destroy()?)
}
