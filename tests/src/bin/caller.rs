//! Somebody who starts a container and has what must not come along: `caller WHAT DIR CONFIG ARGS…`. Prints what the program inside says.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use libcontainer::{Config, Factory, ProcessConfig, Stdio};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, dir, config, program @ ..] = args.as_slice() else { return Err("three arguments".into()) };
    let (config, _) = Config::from_json(&std::fs::read(config)?)?;
    let mut process = ProcessConfig::new(program).inherited();
    let mut kept: Vec<OwnedFd> = Vec::new();
    match what.as_str() {
        "groups" => nix::unistd::setgroups(&[4242, 4343].map(nix::unistd::Gid::from_raw))?,
        "descriptors" => kept = leak(dir)?,
        "terminal" => kept.extend(own_terminal(&mut process)?),
        "flood" => return flood(dir, &config, &process),
        "shared" => shared(dir)?,
        "keys" => {}
        _ => return Err("unknown".into()),
    }
    let factory = Factory::new()?;
    let (container, mut process) = factory.run(format!("{dir}/c"), &config, process)?;
    process.wait()?;
    if what == "shared" {
        // The same mounts on the host while it stands.
        std::io::stdout().write_all(&std::fs::read("/proc/self/mountinfo")?)?;
    }
    container.destroy()?;
    // The terminal's end would end its session, which is this process.
    kept.into_iter().for_each(std::mem::forget);
    Ok(())
}

/// A directory and a file of the host's, a thousand times, without close-on-exec.
fn leak(dir: &str) -> Result<Vec<OwnedFd>> {
    let mut kept = Vec::new();
    for number in 0..1000 {
        let fd = if number % 2 == 0 {
            nix::fcntl::open("/", OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?
        } else {
            File::options().read(true).write(true).open(format!("{dir}/canary/ptmx"))?.into()
        };
        fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
        kept.push(fd);
    }
    Ok(kept)
}

/// Leads a session with a terminal, and hands that terminal in as standard input.
fn own_terminal(process: &mut ProcessConfig) -> Result<[OwnedFd; 2]> {
    let master = nix::pty::posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY)?;
    nix::pty::grantpt(&master)?;
    nix::pty::unlockpt(&master)?;
    nix::unistd::setsid()?;
    // Of a leader without a terminal the first one that it opens becomes its own.
    let slave = nix::fcntl::open(nix::pty::ptsname_r(&master)?.as_str(), OFlag::O_RDWR, Mode::empty())?;
    process.stdin = Stdio::Fd(slave.try_clone()?);
    let master = nix::unistd::dup(&master)?;
    Ok([master, slave])
}

/// Reads a part of an endless output, and says by how much the own memory grew at its height, in KiB.
fn flood(dir: &str, config: &Config, process: &ProcessConfig) -> Result<()> {
    let factory = Factory::new()?;
    let peak = || -> Result<u64> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    let once = |blocks: &str| -> Result<()> {
        let args = process.args.iter().cloned().chain([blocks.into()]).collect();
        let process = ProcessConfig { args, ..ProcessConfig::default() }.piped();
        let (container, process) = factory.run(format!("{dir}/c"), config, process)?;
        let output = process.output(1 << 16)?;
        writeln!(std::io::stdout(), "{}", output.stdout.len())?;
        Ok(container.destroy()?)
    };
    once("16")?;
    let before = peak()?;
    once("16384")?;
    writeln!(std::io::stdout(), "grown {}", peak()?.saturating_sub(before))?;
    Ok(())
}

/// A mount namespace of its own in which the directory is a mount that travels, below another that does.
fn shared(dir: &str) -> Result<()> {
    use nix::mount::{MsFlags, mount};
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none)?;
    mount(Some(dir), dir, none, MsFlags::MS_BIND, none)?;
    mount(none, "/", none, MsFlags::MS_SHARED | MsFlags::MS_REC, none)?;
    Ok(())
}
