//! Where a bus listens.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::privilege::is_root_of_machine;

/// systemd's own socket, for root only: no bus daemon behind it, so it works when there is none.
const PRIVATE: &str = "/run/systemd/private";
/// Where the system bus listens when nothing else is said.
const SYSTEM: &str = "/run/dbus/system_bus_socket";

/// Which manager to talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The system's, over the system bus.
    System,
    /// That of this user, over the session bus: for containers without root.
    User,
}

/// The part of the environment that says where the buses are. A plain value, so that tests can give another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `DBUS_SYSTEM_BUS_ADDRESS`
    pub system_address: Option<OsString>,
    /// `DBUS_SESSION_BUS_ADDRESS`
    pub session_address: Option<OsString>,
    /// `XDG_RUNTIME_DIR`
    pub runtime_dir: Option<PathBuf>,
    /// Whether the effective user is root.
    pub root: bool,
}

impl Which {
    /// The manager for this process: the system's for root, else the user's. Root of a user namespace is such a user.
    ///
    /// # Errors
    /// [`Error::Read`] of `/proc/self/uid_map`: then it can't be known.
    pub fn for_this_process() -> Result<Self> {
        Ok(if is_root_of_machine()? { Self::System } else { Self::User })
    }
}

impl Environment {
    /// Reads the variables of this process.
    #[must_use]
    pub fn current() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            system_address: variable("DBUS_SYSTEM_BUS_ADDRESS"),
            session_address: variable("DBUS_SESSION_BUS_ADDRESS"),
            runtime_dir: variable("XDG_RUNTIME_DIR").map(PathBuf::from),
            root: nix::unistd::geteuid().is_root(),
        }
    }

    /// The endpoints to try for a manager, in their order. Pure.
    ///
    /// # Errors
    /// [`Error::Systemd`] when the address is not understood, or nothing says where the session bus is.
    pub fn endpoints(&self, which: Which) -> Result<Vec<Endpoint>> {
        match which {
            Which::System => {
                let mut all = match &self.system_address {
                    Some(address) => parse(address)?,
                    None => vec![Endpoint::bus(SYSTEM)],
                };
                if self.root {
                    all.push(Endpoint { socket: Socket::Path(PRIVATE.into()), is_bus: false });
                }
                Ok(all)
            }
            Which::User => match (&self.session_address, &self.runtime_dir) {
                (Some(address), _) => parse(address),
                (None, Some(dir)) => Ok(vec![Endpoint::bus(dir.join("bus"))]),
                (None, None) => Err(Error::Systemd {
                    call: "address of the session bus",
                    problem: "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set".to_owned(),
                }),
            },
        }
    }
}

/// A Unix socket by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Socket {
    /// A file.
    Path(PathBuf),
    /// A name in the abstract name space, without the NUL in front.
    Abstract(Vec<u8>),
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}

/// One place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The socket.
    pub socket: Socket,
    /// True for a bus, which wants to be greeted (`Hello`); false for the manager itself.
    pub is_bus: bool,
}

impl Endpoint {
    /// A bus that listens at a path.
    #[must_use]
    pub fn bus(path: impl Into<PathBuf>) -> Self {
        Self { socket: Socket::Path(path.into()), is_bus: true }
    }
}

/// Reads a list of addresses (D-Bus specification, "Server Addresses"); those of another transport than `unix` are left out.
///
/// # Errors
/// [`Error::Systemd`] when there is none with a path or an abstract name.
pub fn parse(address: &OsStr) -> Result<Vec<Endpoint>> {
    let all: Vec<Endpoint> = address.as_bytes().split(|byte| *byte == b';').filter_map(endpoint).collect();
    if all.is_empty() {
        let problem = format!("{address:?} has no unix:path= or unix:abstract=");
        return Err(Error::Systemd { call: "bus address", problem });
    }
    Ok(all)
}

fn endpoint(address: &[u8]) -> Option<Endpoint> {
    let keys = address.strip_prefix(b"unix:")?;
    keys.split(|byte| *byte == b',').find_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (pair.get(..at)?, unescape(pair.get(at + 1..)?)?);
        let socket = match key {
            b"path" => Socket::Path(OsString::from_vec(value).into()),
            b"abstract" => Socket::Abstract(value),
            _ => return None,
        };
        Some(Endpoint { socket, is_bus: true })
    })
}

/// Resolves `%2f` and the like.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = text.iter().copied();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            0 => return None,
            other => other,
        });
    }
    (!plain.is_empty() && !plain.contains(&0)).then_some(plain)
}
