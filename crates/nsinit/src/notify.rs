//! `NOTIFY_SOCKET` (sd_notify(3)), as runc has it: the program finds a socket of ours at `/run/notify/notify.sock`, and that it is ready is handed on to the caller's
//! socket, with the process that the service manager is to watch. Nothing else that the program says goes there: it could name any process.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

use libcontainer::mount::Mount;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use nix::unistd::pipe2;

use crate::failure::{Failure, Named};
use crate::removal::remove_tree;

const VARIABLE: &str = "NOTIFY_SOCKET";
/// Where the directory lies inside.
const INSIDE: &str = "/run/notify";
const SOCKET: &str = "notify.sock";
/// Before the name of the container; no container has a name that begins so.
const PREFIX: &str = ".notify-";
/// What is longer than any message of a program that is honest.
const LIMIT: usize = 4096;
/// How long the service manager may take to look at what it was told.
const BARRIER: u16 = 30_000;

/// The caller's socket, by its address.
#[derive(Debug)]
pub(crate) struct Address {
    text: OsString,
    address: SocketAddr,
}

impl Address {
    /// That of the environment, unless the program has a variable of that name already: then somebody else takes care of it.
    pub(crate) fn asked(environment: &[String]) -> Result<Option<Self>, Failure> {
        let own = environment.iter().any(|one| one.split('=').next() == Some(VARIABLE));
        match std::env::var_os(VARIABLE) {
            Some(text) if !text.is_empty() && !own => Self::read(text).map(Some),
            _ => Ok(None),
        }
    }

    fn read(text: OsString) -> Result<Self, Failure> {
        let address = match text.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(&text),
            _ => return Err(Failure::new(format!("{}: neither an absolute path nor @NAME", shown(&text)))),
        };
        let address = address.named(format_args!("{}: as an address", shown(&text)))?;
        Ok(Self { text, address })
    }

    /// A wrong one is told before anything is made.
    pub(crate) fn connect(&self) -> Result<UnixDatagram, Failure> {
        let connected =
            UnixDatagram::unbound().and_then(|socket| socket.connect_addr(&self.address).map(|()| socket));
        connected.named(format_args!("{} (unset it if nobody is to be told): connect", shown(&self.text)))
    }
}

fn shown(text: &OsStr) -> String {
    format!("{VARIABLE}={}", text.to_string_lossy())
}

/// The directory with the socket for the program, beside the container's.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    dir: File,
}

impl Place {
    /// Makes it. One that is there is left over: whoever asks has seen that there is no container.
    pub(crate) fn make(container: &Path) -> Result<Self, Failure> {
        let path = beside(container);
        let mkdir = || DirBuilder::new().mode(0o755).create(&path);
        let made = match mkdir() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                remove_tree(&path)?;
                mkdir()
            }
            made => made,
        };
        made.named(format_args!("mkdir {}", path.display()))?;
        let place = Self::open(path)?;
        // Any user of the container's has to get to the socket, whatever our mask is; of the host's, none gets here.
        let opened = place.dir.set_permissions(Permissions::from_mode(0o755));
        opened.named(format_args!("chmod {}", place.path.display()))?;
        Ok(place)
    }

    /// That of a container which was created with one.
    pub(crate) fn of(container: &Path) -> Result<Option<Self>, Failure> {
        if has_left(container)? { Self::open(beside(container)).map(Some) } else { Ok(None) }
    }

    fn open(path: PathBuf) -> Result<Self, Failure> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let dir = File::options().read(true).custom_flags(flags.bits()).open(&path);
        let dir = dir.named(format_args!("open {}", path.display()))?;
        Ok(Self { path, dir })
    }

    /// What the container has of it.
    pub(crate) fn mount(&self) -> Mount {
        let options = ["bind", "nosuid", "noexec", "nodev", "ro"];
        Mount {
            kind: "bind".to_owned(),
            source: self.path.clone(),
            destination: INSIDE.into(),
            options: options.map(str::to_owned).to_vec(),
            ..Mount::default()
        }
    }

    /// What the program is told.
    pub(crate) fn variable() -> OsString {
        format!("{VARIABLE}={INSIDE}/{SOCKET}").into()
    }

    /// Listens there, in place of who did so before.
    pub(crate) fn listen(&self, host: UnixDatagram) -> Result<Proxy, Failure> {
        // By the descriptor: a socket's path is 107 bytes at most.
        let path = Path::new("/proc/self/fd").join(self.dir.as_raw_fd().to_string()).join(SOCKET);
        let named = |call: &str| format!("{}/{SOCKET}: {call}", self.path.display());
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.named(named("unlink"))?,
        }
        let inside = UnixDatagram::bind(&path).named(named("bind"))?;
        fs::set_permissions(&path, Permissions::from_mode(0o777)).named(named("chmod"))?;
        inside.set_nonblocking(true).named(named("fcntl"))?;
        Ok(Proxy { inside, host })
    }

    /// Removes it, if it is still the one that was made here.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        let named = || format!("stat {}", self.path.display());
        let own = self.dir.metadata().named(named())?;
        // RACE: another command that makes a container of this name may have taken ours for left over.
        match self.path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            found => {
                let found = found.named(named())?;
                let same = (found.dev(), found.ino()) == (own.dev(), own.ino());
                if same { remove_tree(&self.path) } else { Ok(()) }
            }
        }
    }
}

fn beside(container: &Path) -> PathBuf {
    let mut name = OsString::from(PREFIX);
    name.push(container.file_name().unwrap_or_default());
    container.with_file_name(name)
}

/// Whether there is a directory for a socket beside the container's.
pub(crate) fn has_left(container: &Path) -> Result<bool, Failure> {
    let path = beside(container);
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        // None can be made for a name as long as this.
        Err(error) if error.raw_os_error() == Some(Errno::ENAMETOOLONG as i32) => Ok(false),
        found => found.named(format_args!("lstat {}", path.display())).map(|_| true),
    }
}

/// Removes what lies beside a container that is gone.
pub(crate) fn remove_left(container: &Path) -> Result<(), Failure> {
    if has_left(container)? { remove_tree(&beside(container)) } else { Ok(()) }
}

/// The program's socket, and the caller's.
#[derive(Debug)]
pub(crate) struct Proxy {
    inside: UnixDatagram,
    host: UnixDatagram,
}

impl AsFd for Proxy {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inside.as_fd()
    }
}

impl Proxy {
    /// Takes a message of the program's. If that says that it is ready, the caller's socket is told so, and that `main` is the process to watch.
    pub(crate) fn forward(&self, main: u32) -> Result<bool, Failure> {
        let mut message = [0; LIMIT];
        let count = match self.inside.recv(&mut message) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            received => received.named("the program's socket of NOTIFY_SOCKET: recv")?,
        };
        let ready = says_ready(message.get(..count).unwrap_or_default());
        if ready {
            self.tell_ready(main)?;
        }
        Ok(ready)
    }

    /// Waits until the program is ready, or `process` has ended. Ends with a failure when `signals` has something to tell.
    pub(crate) fn wait(
        &self,
        process: impl AsFd,
        main: u32,
        signals: Option<BorrowedFd<'_>>,
    ) -> Result<(), Failure> {
        loop {
            let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut polled = vec![readable(self.as_fd()), readable(process.as_fd())];
            polled.extend(signals.map(readable));
            match poll(&mut polled, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                done => done.named("wait for the program to be ready: poll")?,
            };
            let mut told = polled.iter().map(|one| one.any().unwrap_or(true));
            let (ready, ended, signal) = (told.next(), told.next(), told.next());
            // ORDER: first; what has ended may have been ready before.
            if ready == Some(true) && self.forward(main)? {
                return self.barrier();
            }
            if signal == Some(true) {
                return Err(Failure::new("a signal came before the program was ready: the container runs"));
            }
            if ended == Some(true) && ready != Some(true) {
                return Ok(());
            }
        }
    }

    fn tell_ready(&self, main: u32) -> Result<(), Failure> {
        if main == std::process::id() {
            // runc and crun tell this alone, and a manager may compare it whole.
            self.tell("READY=1", &[])?;
            return self.tell(&format!("MAINPID={main}"), &[]);
        }
        // One message, before this process leaves: whoever sees that it is ready knows whom to watch.
        self.tell(&format!("MAINPID={main}\nREADY=1\n"), &[])
    }

    fn tell(&self, text: &str, fds: &[i32]) -> Result<(), Failure> {
        let (slices, rights) = ([IoSlice::new(text.as_bytes())], [ControlMessage::ScmRights(fds)]);
        let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
        loop {
            match sendmsg::<UnixAddr>(self.host.as_raw_fd(), &slices, rights, MsgFlags::MSG_NOSIGNAL, None) {
                Err(Errno::EINTR) => {}
                sent => return sent.map(drop).named(format_args!("NOTIFY_SOCKET: send {text:?}")),
            }
        }
    }

    /// Waits until the service manager has read what it was told: of a process that has ended by then it knows no unit any more (sd_notify_barrier(3)).
    fn barrier(&self) -> Result<(), Failure> {
        let (read, write): (OwnedFd, OwnedFd) = pipe2(OFlag::O_CLOEXEC).named("NOTIFY_SOCKET: pipe")?;
        self.tell("BARRIER=1", &[write.as_raw_fd()])?;
        drop(write);
        // Who knows no barriers has closed it, or keeps it until the time is up: all the same.
        loop {
            match poll(&mut [PollFd::new(read.as_fd(), PollFlags::POLLIN)], PollTimeout::from(BARRIER)) {
                Err(Errno::EINTR) => {}
                polled => return polled.map(drop).named("NOTIFY_SOCKET: poll"),
            }
        }
    }
}

/// Whether one of the lines of a message is `READY=1`.
fn says_ready(message: &[u8]) -> bool {
    message.split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_of_its_own_says_ready() {
        assert!(says_ready(b"READY=1") && says_ready(b"STATUS=up\nREADY=1\n"));
        for other in [&b"READY=0"[..], b"XREADY=1", b"READY=12", b"MAINPID=1", b""] {
            assert!(!says_ready(other));
        }
    }

    #[test]
    fn addresses_are_paths_or_abstract() {
        let read = |text: &str| Address::read(text.into());
        assert!(read("/run/x").is_ok() && read("@x").is_ok());
        let Err(Failure::Told { text, .. }) = read("vsock:2:1234") else { panic!("it was taken") };
        assert!(text.contains("NOTIFY_SOCKET=vsock:2:1234: neither"), "{text}");
        assert!(read(&format!("/{}", "x".repeat(200))).is_err());
    }

    #[test]
    fn the_directory_is_no_containers() {
        assert_eq!(beside(Path::new("/run/nsinit/web")), Path::new("/run/nsinit/.notify-web"));
    }
}
