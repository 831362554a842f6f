//! Addresses of sockets.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::socket::sockopt::SockType as Type;
use nix::sys::socket::{SockType, getsockopt};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::file::Root;
use super::path::descriptor;
use super::seen::{Access, Observation};
use crate::seccomp::notify::Memory;

/// Notes the address of bind(2) and connect(2).
pub(super) fn look(name: &str, args: &[u64; 6], memory: &Memory, root: &Root, seen: &mut Observation) {
    let [socket, at, len, ..] = *args;
    let mut bytes = [0; 128];
    let room = usize::try_from(len & 0xffff_ffff).unwrap_or(0).min(bytes.len());
    let read = bytes.get_mut(..room).and_then(|room| memory.read(at, room));
    let Some(address) = read.and_then(|len| bytes.get(..len)) else {
        seen.unread += 1;
        return;
    };
    let family = address.first_chunk().map(|family| i32::from(u16::from_ne_bytes(*family)));
    let rest = address.get(2..).unwrap_or_default();
    match family {
        Some(libc::AF_UNIX) if name == "bind" => named(rest, root, seen),
        Some(libc::AF_INET | libc::AF_INET6) => {
            let Some(port) = rest.first_chunk().map(|port| u16::from_be_bytes(*port)) else { return };
            numbered(name, port, is_stream(socket, root), seen);
        }
        _ => {}
    }
}

fn numbered(name: &str, port: u16, stream: bool, seen: &mut Observation) {
    if name == "bind" && (1..1024).contains(&port) {
        seen.capabilities.insert("NET_BIND_SERVICE");
    }
    match (name, stream) {
        ("bind", true) => seen.bound.insert(port),
        ("connect", true) => seen.connected.insert(port),
        _ => false,
    };
}

/// A socket with a name; abstract ones and those without have a zero first.
fn named(rest: &[u8], root: &Root, seen: &mut Observation) {
    let text = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    let path = Path::new(OsStr::from_bytes(text));
    if let Some(path) = root.absolute(None, path).filter(|_| !text.is_empty()) {
        seen.touch(path.parent().unwrap_or(&path).to_owned(), Access::MAKE_SOCKET);
    }
}

/// Whether it is a socket of TCP, as far as can be known: else it counts as one.
fn is_stream(socket: u64, root: &Root) -> bool {
    let look = || {
        let pidfd = root.seen(pidfd_open(Pid::from_raw(root.leader()?)?, PidfdFlags::empty()))?;
        let copy = match pidfd_getfd(pidfd, descriptor(socket), PidfdGetfdFlags::empty()) {
            // Its tracer may not be this process.
            Err(Errno::PERM | Errno::BADF) => return None,
            copy => root.seen(copy)?,
        };
        Some(root.seen(getsockopt(&copy, Type))? == SockType::Stream)
    };
    look().unwrap_or(true)
}
