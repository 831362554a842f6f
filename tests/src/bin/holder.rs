//! A program to be checkpointed, which holds what no program of busybox does: `holder KIND [PATH]`. It counts in memory, and writes each number down.

#![allow(clippy::print_stdout, reason = "what is printed is the answer")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

/// Bytes of memory that are full of what the number says.
const MEMORY: usize = 8 << 20;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.get(1).map_or("/tmp/held", String::as_str);
    let held = match args.first().map(String::as_str) {
        Some("lock") => lock(path),
        // Whether somebody else has it.
        Some("try") => return try_lock(path),
        Some("unlinked") => unlinked(path),
        Some("datagrams") => datagrams(path),
        Some("stream") => stream(path),
        Some("connection") => connection(),
        Some("memory") => memory(),
        _ => return ExitCode::from(2),
    };
    if let Err(error) = held {
        println!("{error}");
    }
    ExitCode::FAILURE
}

/// Counts until something fails.
fn count(mut each: impl FnMut(u64) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open("/tmp/count")?;
    for number in 1.. {
        each(number)?;
        writeln!(file, "{number}")?;
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn lock(path: &str) -> io::Result<()> {
    let file = File::create(path)?;
    let _lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    count(|_| Ok(()))
}

fn try_lock(path: &str) -> ExitCode {
    let Ok(file) = File::open(path) else { return ExitCode::from(2) };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(_) => println!("free"),
        Err((_, errno)) => println!("{errno:?}"),
    }
    ExitCode::SUCCESS
}

/// A file that has lost the name by which it was opened, and has another one.
fn unlinked(path: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    fs::hard_link(path, format!("{path}-too"))?;
    fs::remove_file(path)?;
    count(|number| writeln!(file, "{number}"))
}

fn datagrams(path: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    count(|number| socket.send(number.to_string().as_bytes()).map(drop))
}

fn stream(path: &str) -> io::Result<()> {
    let mut socket = UnixStream::connect(path)?;
    count(|number| writeln!(socket, "{number}"))
}

/// Both ends of a connection over `lo`; what one sends the other has to get.
fn connection() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:7007")?;
    let mut client = TcpStream::connect("127.0.0.1:7007")?;
    let (mut server, _) = listener.accept()?;
    count(|number| {
        client.write_all(&number.to_ne_bytes())?;
        let mut bytes = [0; 8];
        io::Read::read_exact(&mut server, &mut bytes)?;
        if u64::from_ne_bytes(bytes) == number {
            Ok(())
        } else {
            Err(io::Error::other("something else came"))
        }
    })
}

/// What was written there is read again, all of it, with each number.
fn memory() -> io::Result<()> {
    let words: Vec<u64> = (0..MEMORY as u64 / 8).collect();
    let wanted: u64 = words.iter().fold(0, |sum, word| sum ^ word.wrapping_mul(31));
    count(|number| {
        let words = std::hint::black_box(&words);
        let found: u64 = words.iter().fold(0, |sum, word| sum ^ word.wrapping_mul(31));
        if found == wanted { Ok(()) } else { Err(io::Error::other(format!("other memory at {number}"))) }
    })
}
