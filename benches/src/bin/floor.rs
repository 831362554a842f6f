//! The floor: the system calls that a container needs and nothing else: the namespaces, mounts and nodes of the config that the
//! others start, loopback, exec. `floor ROOTFS COUNT GAP_MS` prints microseconds, a line each; `floor ROOTFS mounts` the mount table
//! inside. `bare` in place of ROOTFS: only the namespaces and exec. `floor waiting PROGRAM`: what a process that waits in such namespaces
//! takes from a word until it executes, and until it has ended.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and its child is its own"
)]

use std::ffi::{CStr, CString, c_int, c_void};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const NAMESPACES: c_int =
    libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWPID | libc::CLONE_NEWNET;

fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: libc::c_ulong, data: &CStr) {
    // SAFETY: all pointers are strings that live across the call.
    unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
}

/// The child: as straight as it gets. Errors show as a wrong exit code.
extern "C" fn child(rootfs: *mut c_void) -> c_int {
    let strict = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    // SAFETY: the parent passes a string that lives until this process has replaced itself.
    let root = unsafe { CStr::from_ptr(rootfs.cast()) };
    if root == c"bare" {
        return exec();
    }
    mount(c"", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, c"");
    mount(root, root, c"", libc::MS_BIND | libc::MS_REC, c"");
    // SAFETY: as above.
    unsafe { libc::chdir(root.as_ptr()) };
    mount(c"proc", c"proc", c"proc", strict, c"");
    mount(c"tmpfs", c"dev", c"tmpfs", libc::MS_NOSUID | libc::MS_STRICTATIME, c"mode=755,size=65536k");
    for (name, minor) in
        [(c"dev/null", 3), (c"dev/zero", 5), (c"dev/full", 7), (c"dev/urandom", 9), (c"dev/random", 8)]
    {
        // SAFETY: a constant string.
        unsafe { libc::mknod(name.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, minor)) };
    }
    // SAFETY: a constant string.
    unsafe { libc::mknod(c"dev/tty".as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(5, 0)) };
    for (to, name) in [
        (c"/proc/self/fd", c"dev/fd"),
        (c"/proc/self/fd/0", c"dev/stdin"),
        (c"/proc/self/fd/1", c"dev/stdout"),
        (c"/proc/self/fd/2", c"dev/stderr"),
        (c"/proc/kcore", c"dev/core"),
        (c"pts/ptmx", c"dev/ptmx"),
    ] {
        // SAFETY: constant strings.
        unsafe { libc::symlink(to.as_ptr(), name.as_ptr()) };
    }
    for name in [c"dev/pts", c"dev/shm"] {
        // SAFETY: a constant string.
        unsafe { libc::mkdir(name.as_ptr(), 0o755) };
    }
    mount(c"shm", c"dev/shm", c"tmpfs", strict, c"mode=1777,size=65536k");
    mount(
        c"devpts",
        c"dev/pts",
        c"devpts",
        libc::MS_NOSUID | libc::MS_NOEXEC,
        c"newinstance,ptmxmode=0666,mode=620,gid=5",
    );
    mount(c"sysfs", c"sys", c"sysfs", strict | libc::MS_RDONLY, c"");
    // What is not there on this machine is no mount, here as in the library.
    for path in [c"proc/sys", c"proc/sysrq-trigger", c"proc/irq", c"proc/bus"] {
        mount(path, path, c"", libc::MS_BIND | libc::MS_REC, c"");
        mount(c"", path, c"", libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY | strict, c"");
    }
    mount(c"dev/null", c"proc/kcore", c"", libc::MS_BIND, c"");
    loopback();
    enter();
    exec()
}

/// `lo`, as the container that is compared has it.
fn loopback() {
    let mut request = [0_u8; 40];
    for (place, byte) in request.iter_mut().zip(*b"lo") {
        *place = byte;
    }
    for (place, byte) in request.iter_mut().skip(16).zip(1_i16.to_ne_bytes()) {
        *place = byte;
    }
    // SAFETY: no pointer.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    // SAFETY: the request is a `struct ifreq`, whose flags stand behind the 16 bytes of the name.
    unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, request.as_mut_ptr()) };
    // SAFETY: the descriptor is this process's own.
    unsafe { libc::close(socket) };
}

fn enter() {
    // SAFETY: constant strings.
    unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    // SAFETY: a constant string.
    unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) };
    // SAFETY: a constant string.
    unsafe { libc::chdir(c"/".as_ptr()) };
    // SAFETY: a constant string of that length.
    unsafe { libc::sethostname(c"floor".as_ptr(), 5) };
    for capability in 12..41 {
        // SAFETY: no pointer.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
}

/// Whether the program inside shows its mounts.
static SHOWS: AtomicBool = AtomicBool::new(false);

fn exec() -> c_int {
    let argv = if SHOWS.load(Ordering::Relaxed) {
        [c"cat".as_ptr(), c"/proc/self/mountinfo".as_ptr(), std::ptr::null()]
    } else {
        [c"true".as_ptr(), std::ptr::null(), std::ptr::null()]
    };
    let path = if SHOWS.load(Ordering::Relaxed) { c"/bin/cat" } else { c"/bin/true" };
    let envp = [std::ptr::null()];
    // SAFETY: both arrays end with NULL.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    // SAFETY: leaves the child only; it shares memory with the sleeping parent.
    unsafe { libc::_exit(127) }
}

fn one(rootfs: &CStr, stack: &mut [u8]) -> Option<Duration> {
    let start = Instant::now();
    let top = stack.as_mut_ptr_range().end;
    let aligned = top.wrapping_sub(top.addr() % 16);
    let flags = NAMESPACES | libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is large enough, and CLONE_VFORK keeps this thread from using anything meanwhile.
    let pid = unsafe { libc::clone(child, aligned.cast(), flags, rootfs.as_ptr().cast_mut().cast()) };
    let mut status = 0;
    // SAFETY: the status is writable.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    (waited == pid && status == 0).then(|| start.elapsed())
}

/// What the process that waits is told.
struct Waiting {
    program: CString,
    word: c_int,
}

extern "C" fn waiting(told: *mut c_void) -> c_int {
    // SAFETY: the parent passes one; this process has a copy of its memory.
    let told = unsafe { &*told.cast::<Waiting>() };
    let mut byte = 0_u8;
    // SAFETY: a writable byte.
    unsafe { libc::read(told.word, (&raw mut byte).cast(), 1) };
    let (argv, envp) = ([told.program.as_ptr(), std::ptr::null()], [std::ptr::null()]);
    // SAFETY: both arrays end with NULL.
    unsafe { libc::execve(told.program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    127
}

/// Until it executes, which closes its end of a socket, and until it has ended.
fn woken(program: &str, stack: &mut [u8]) -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut told = Waiting { program: CString::new(program)?, word: theirs.as_raw_fd() };
    let top = stack.as_mut_ptr_range().end;
    let aligned = top.wrapping_sub(top.addr() % 16);
    // SAFETY: the child has a copy of all memory, the stack among it.
    let pid =
        unsafe { libc::clone(waiting, aligned.cast(), NAMESPACES | libc::SIGCHLD, (&raw mut told).cast()) };
    drop(theirs);
    // Until it waits.
    std::thread::sleep(Duration::from_millis(3));
    let start = Instant::now();
    ours.write_all(b"g")?;
    let closed = ours.read(&mut [0])?;
    let executed = start.elapsed();
    let mut status = 0;
    // SAFETY: the status is writable.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    let good = (closed, waited, status) == (0, pid, 0);
    good.then(|| (executed, start.elapsed())).ok_or_else(|| format!("{program}: {status:#x}").into())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut stack = vec![0; 64 * 1024];
    if let [rootfs, what] = args.as_slice() {
        if rootfs == "waiting" {
            let (executed, ended) = woken(what, &mut stack)?;
            println!("{} {}", executed.as_micros(), ended.as_micros());
            return Ok(());
        }
        SHOWS.store(what == "mounts", Ordering::Relaxed);
        let rootfs = CString::new(rootfs.as_str())?;
        return one(&rootfs, &mut stack).map(drop).ok_or_else(|| "the child failed".into());
    }
    let [rootfs, count, gap] = args.as_slice() else {
        return Err("ROOTFS COUNT GAP_MS, or ROOTFS mounts".into());
    };
    let (rootfs, gap) = (CString::new(rootfs.as_str())?, Duration::from_millis(gap.parse()?));
    for _ in 0..count.parse::<usize>()? {
        std::thread::sleep(gap);
        println!("{}", one(&rootfs, &mut stack).ok_or("the child failed")?.as_micros());
    }
    Ok(())
}
