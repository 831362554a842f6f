//! `start`: finds the shim of the pod, or makes one, and tells where it listens.

use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::arguments::Arguments;
use crate::trouble::{Trouble, named};
use crate::{grouping, place};

/// In its bundle, which is its working directory.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Trouble> {
    let bundle = named(std::env::current_dir(), "getcwd")?;
    let group = grouping::of(&bundle, &arguments.id)?;
    let path = grouping::socket(&arguments.address, &arguments.namespace, &group);
    let address = format!("unix://{path}");
    // ORDER: before there is a shim; who finds no address finds none to end.
    place::write_address(&bundle, &address)?;
    if let Some(listener) = listen(Path::new(&path))? {
        if let Err(trouble) = spawn(arguments, &bundle, &path, listener.into()) {
            return Err(trouble.and(named(fs::remove_file(&path), format_args!("unlink {path}"))));
        }
    }
    named(io::stdout().write_all(address.as_bytes()), "write the address to standard output")
}

/// The socket of a new shim; none if one listens there already.
fn listen(path: &Path) -> Result<Option<UnixListener>, Trouble> {
    if let Some(dir) = path.parent() {
        named(fs::create_dir_all(dir), format_args!("mkdir {}", dir.display()))?;
    }
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        bound => return named(bound, format_args!("bind {}", path.display())).map(Some),
    }
    if !clear(path)? {
        return Ok(None);
    }
    named(UnixListener::bind(path), format_args!("bind {}", path.display())).map(Some)
}

/// Removes a socket if nobody listens there: it is that of a shim that was killed. Whether there is none now.
pub(crate) fn clear(path: &Path) -> Result<bool, Trouble> {
    match UnixStream::connect(path) {
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) => return named(Err(error), format_args!("connect to {}", path.display())),
    }
    named(fs::remove_file(path), format_args!("unlink {}", path.display())).map(|()| true)
}

/// The shim inherits what is not named here: environment, user. The bundle may go before it does.
fn spawn(arguments: &Arguments, bundle: &Path, path: &str, listener: OwnedFd) -> Result<(), Trouble> {
    let program = named(std::env::current_exe(), "readlink /proc/self/exe")?;
    less_worthy()?;
    let mut command = Command::new(&program);
    command.args(["-namespace", &arguments.namespace, "-id", &arguments.id, "-address", &arguments.address]);
    command.arg("-bundle").arg(bundle).args(["-socket", path]).current_dir("/");
    if arguments.debug {
        command.arg("-debug");
    }
    // A terminal's signals to containerd are not the shim's.
    command.process_group(0).stdin(listener).stdout(Stdio::null()).stderr(Stdio::null());
    named(command.spawn(), format_args!("start {}", program.display())).map(|_| ())
}

/// For the kernel that looks for memory, and for whatever comes of this process: one worse than containerd.
fn less_worthy() -> Result<(), Trouble> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let text = named(fs::read_to_string(FILE), format_args!("read {FILE}"))?;
    let now: i32 = text.trim().parse().map_err(|_| Trouble::failed(format!("{FILE}: {text:?}")))?;
    named(fs::write(FILE, (now + 1).min(1000).to_string()), format_args!("write {FILE}"))
}
