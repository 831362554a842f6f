//! Starts a hundred containers while eight threads keep the allocator busy, and reads back what each wrote:
//! `busy_threads [ROOTFS]`. Without a rootfs it takes an empty one with the host's `/usr` in it, read-only.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::sync::atomic::{AtomicBool, Ordering};

use libcontainer::{Factory, ProcessConfig};

mod rootfs;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = rootfs::Place::new()?;
    let config = place.config();
    let factory = Factory::new()?;
    let stop = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        for size in 1..=8 {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::black_box(vec![0_u8; size * 1000]);
                }
            });
        }
        let outcome = (0..100).try_for_each(|number: usize| {
            let process = ProcessConfig::new(["echo", &number.to_string()]).piped();
            let (container, process) = factory.run(place.join(&number.to_string()), &config, process)?;
            let output = process.output(1 << 10)?;
            assert_eq!(output.stdout, format!("{number}\n").into_bytes());
            container.destroy()
        });
        stop.store(true, Ordering::Relaxed);
        outcome
    });
    outcome?;
    println!("100 containers, each with its own number read back");
    Ok(())
}
