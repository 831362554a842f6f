//! What can go wrong, with the object, the call and the kernel's own words.
use std::fmt;
use std::io;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was not done.
///
/// Messages name the object and the request, then the errno, then what the kernel said about it
/// (extended acknowledgement), then a hint where one is certain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused the request.
    #[error("{request}: {}{}", Named(errno), Details { message: message.as_deref(), attribute: attribute.as_ref(), hint: *hint })]
    Kernel {
        /// The request in words, as `add link "veth0" (veth)`.
        request: String,
        /// The errno of the answer.
        errno: io::Error,
        /// The kernel's explanation (`NLMSGERR_ATTR_MSG`), where it gives one.
        message: Option<String>,
        /// Where in the request the kernel stumbled (`NLMSGERR_ATTR_OFFS`, `NLMSGERR_ATTR_MISS_TYPE`).
        attribute: Option<BadAttribute>,
        /// What most likely helps.
        hint: Option<Hint>,
    },
    /// A call on the socket failed.
    #[error("{call}: {}", Named(source))]
    Socket {
        /// The system call.
        call: &'static str,
        /// Its errno.
        source: io::Error,
    },
    /// The given descriptor or process has no network namespace that can be entered.
    #[error("enter network namespace: setns(CLONE_NEWNET): {}{}", Named(source), namespace_hint(source))]
    Namespace {
        /// The errno of setns(2): `EINVAL` for a descriptor that is no network namespace.
        source: io::Error,
    },
    /// A message from the kernel makes no sense.
    #[error("malformed netlink message: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The answer to a request was lost: the kernel may have done it, or not.
    #[error(
        "{request}: the kernel's answer is lost, so it may have been done: recv(netlink): {}",
        Named(source)
    )]
    Unanswered {
        /// The request in words.
        request: String,
        /// The errno of recv(2).
        source: io::Error,
    },
    /// No answer within the receive timeout of the socket.
    #[error("{request}: no answer from the kernel in time")]
    Timeout {
        /// The request in words.
        request: String,
    },
    /// The listed objects kept changing, or the socket kept overflowing, in every one of the bounded attempts.
    #[error("{request}: the list kept changing, gave up after {attempts} attempts")]
    Interrupted {
        /// The request in words.
        request: String,
        /// How many attempts were made.
        attempts: u32,
    },
    /// A value that can't be right, refused before anything is sent.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An answer came without the object that was asked for: whether it is there is not known.
    #[error("{request}: the kernel's answer is without it")]
    NotFound {
        /// The request in words.
        request: String,
    },
}

/// The attribute of a request that the kernel named in its refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadAttribute {
    /// Its offset in the message, in bytes; none if the attribute is missing.
    pub offset: Option<u32>,
    /// Its name, with those that enclose it: `IFLA_LINKINFO/IFLA_INFO_DATA/1`.
    pub name: String,
}

/// Advice that goes with an errno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// `EOPNOTSUPP` for a new link: the kernel has no such kind, this module would bring it.
    Module(&'static str),
    /// `EPERM`: the caller lacks the capability.
    NetAdmin,
}

/// `EPERM: Operation not permitted`, or the error's own text if it has no number.
struct Named<'a>(&'a io::Error);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.raw_os_error() {
            Some(number) => nix::errno::Errno::from_raw(number).fmt(f),
            None => self.0.fmt(f),
        }
    }
}

impl Error {
    /// The kernel's errno, if the kernel had a say.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel { errno: source, .. }
            | Self::Socket { source, .. }
            | Self::Unanswered { source, .. }
            | Self::Namespace { source } => source.raw_os_error(),
            _ => None,
        }
    }

    /// Whether the kernel refused the request with this errno: what a failing call on the socket says is no answer.
    #[must_use]
    pub fn is_refusal(&self, errno: i32) -> bool {
        matches!(self, Self::Kernel { errno: told, .. } if told.raw_os_error() == Some(errno))
    }

    /// Whether it is not known if the kernel has done what was asked for: the request was sent, or may have been, and no answer came
    /// that makes sense. Looking tells.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        match self {
            Self::Unanswered { .. }
            | Self::Timeout { .. }
            | Self::Interrupted { .. }
            | Self::Malformed { .. }
            | Self::NotFound { .. } => true,
            Self::Socket { call, .. } => *call == Self::SEND,
            Self::Kernel { .. } | Self::Namespace { .. } | Self::Invalid { .. } => false,
        }
    }

    /// send(2) as [`Error::Socket`] names it.
    pub(crate) const SEND: &'static str = "send(netlink)";

    /// Whether the kernel said that the object does not exist (`ENODEV`, `ENOENT`, `ESRCH`, `EADDRNOTAVAIL`, `ENXIO`).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        // Links; rules, nf_tables and neighbours; routes; addresses; neighbours and routes of a link that is gone.
        const ABSENT: [i32; 5] = [libc::ENODEV, libc::ENOENT, libc::ESRCH, libc::EADDRNOTAVAIL, libc::ENXIO];
        ABSENT.into_iter().any(|errno| self.is_refusal(errno))
    }

    /// Whether the kernel said that there is such an object already (`EEXIST`).
    #[must_use]
    pub fn is_exists(&self) -> bool {
        self.is_refusal(libc::EEXIST)
    }

    /// Whether the caller lacks the privilege (`EPERM`, `EACCES`).
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self.errno(), Some(libc::EPERM | libc::EACCES))
    }

    pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { field, problem: problem.into() }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(module) => write!(f, "needs the kernel module {module}"),
            Self::NetAdmin => {
                f.write_str("needs CAP_NET_ADMIN in the user namespace that owns the network namespace")
            }
        }
    }
}

/// The tail of a kernel error's message.
struct Details<'a> {
    message: Option<&'a str>,
    attribute: Option<&'a BadAttribute>,
    hint: Option<Hint>,
}

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = self.message {
            write!(f, ": {message}")?;
        }
        match self.attribute {
            Some(BadAttribute { offset: Some(offset), name }) => write!(f, " (at {name}, byte {offset})")?,
            Some(BadAttribute { offset: None, name }) => write!(f, " ({name} is missing)")?,
            None => {}
        }
        self.hint.map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

fn namespace_hint(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EINVAL) => " (the descriptor is no network namespace)",
        Some(libc::EPERM) => " (needs CAP_SYS_ADMIN in the user namespace that owns it)",
        _ => "",
    }
}
