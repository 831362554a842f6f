//! Drops all capabilities but the named ones, then becomes the given command, like `capsh --drop` and `setpriv`.
//!
//! ```text
//! drop_caps [--user UID:GID] [--no-new-privs] [NAME,NAME...] -- COMMAND [ARGUMENT...]
//! ```
//!
//! What is kept is also made inheritable and ambient, so that the command has it whatever user it runs as. A command that runs as root
//! gets all of the bounding set at exec, which is why that is cut down too.
#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, reason = "an example talks")]

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use libcontainer_security::plan::Identity;
use libcontainer_security::{CapSet, Capabilities, thread};

const USAGE: &str = "drop_caps [--user UID:GID] [--no-new-privs] [NAME,NAME...] -- COMMAND [ARGUMENT...]";

type Failure = Box<dyn std::error::Error>;

#[derive(Default)]
struct Options {
    keep: CapSet,
    user: Option<Identity>,
    no_new_privs: bool,
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    let result = options(std::env::args_os().skip(1)).and_then(|options| run(&options));
    let Err(error) = result;
    eprintln!("drop_caps: {error}");
    ExitCode::from(125)
}

fn options(mut words: impl Iterator<Item = OsString>) -> Result<Options, Failure> {
    let mut options = Options::default();
    while let Some(word) = words.next() {
        let word = word.into_string().map_err(|_| USAGE)?;
        match word.as_str() {
            "--" => break,
            "--no-new-privs" => options.no_new_privs = true,
            "--user" => options.user = Some(identity(&words.next().ok_or(USAGE)?)?),
            names => options.keep = CapSet::from_names(names.split(',').filter(|name| !name.is_empty()))?,
        }
    }
    options.command = words.collect();
    if options.command.is_empty() { Err(USAGE.into()) } else { Ok(options) }
}

fn identity(text: &OsString) -> Result<Identity, Failure> {
    let (uid, gid) = text.to_str().and_then(|text| text.split_once(':')).ok_or(USAGE)?;
    Ok(Identity { uid: uid.parse()?, gid: gid.parse()?, ..Identity::default() })
}

fn run(options: &Options) -> Result<std::convert::Infallible, Failure> {
    let keep = options.keep;
    // ORDER: the bounding set needs CAP_SETPCAP, the ids need CAP_SETUID and CAP_SETGID; both are gone after `confine`.
    thread::keep_bounding(keep)?;
    if let Some(identity) = &options.user {
        thread::keep_capabilities(true)?;
        thread::become_identity(identity)?;
        thread::keep_capabilities(false)?;
    }
    thread::confine(&Capabilities { inheritable: keep, ambient: keep, ..Capabilities::keep(keep) })?;
    if options.no_new_privs {
        thread::set_no_new_privs()?;
    }
    let mut words = options.command.iter();
    let program = words.next().ok_or(USAGE)?;
    // The main thread is the only one, so that what it is, the process is.
    let error = Command::new(program).args(words).exec();
    Err(format!("{}: {error}", program.to_string_lossy()).into())
}
