//! Errors as containerd gets them: a code of gRPC, by which it decides, and a text, which it shows.

use std::fmt::{self, Display};
use std::io;

use containerd_shim_protos::ttrpc::{self, Code, get_status};
use libcontainer::ErrorKind;
use nix::errno::Errno;

/// What went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    code: Code,
    text: String,
}

impl Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Trouble {
    fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// Something failed that no code is for.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::new(Code::UNKNOWN, text)
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(Code::INVALID_ARGUMENT, text)
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(Code::NOT_FOUND, text)
    }

    pub(crate) fn exists(text: impl Into<String>) -> Self {
        Self::new(Code::ALREADY_EXISTS, text)
    }

    pub(crate) fn state(text: impl Into<String>) -> Self {
        Self::new(Code::FAILED_PRECONDITION, text)
    }

    pub(crate) fn unimplemented(text: impl Into<String>) -> Self {
        Self::new(Code::UNIMPLEMENTED, text)
    }

    /// The same with what came of taking things back.
    pub(crate) fn and(mut self, undone: Result<(), Self>) -> Self {
        if let Err(more) = undone {
            self.text = format!("{}; {}", self.text, more.text);
        }
        self
    }
}

impl From<libcontainer::Error> for Trouble {
    fn from(error: libcontainer::Error) -> Self {
        let code = match error.kind() {
            ErrorKind::InvalidConfig => Code::INVALID_ARGUMENT,
            ErrorKind::AlreadyExists => Code::ALREADY_EXISTS,
            ErrorKind::NotFound => Code::NOT_FOUND,
            ErrorKind::WrongState => Code::FAILED_PRECONDITION,
            ErrorKind::Unsupported => Code::UNIMPLEMENTED,
            ErrorKind::PermissionDenied => Code::PERMISSION_DENIED,
            _ => Code::UNKNOWN,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Trouble> for ttrpc::Error {
    fn from(trouble: Trouble) -> Self {
        Self::RpcStatus(get_status(trouble.code, trouble.text))
    }
}

/// A failed call, told with the object and the call.
pub(crate) fn named<T>(result: io::Result<T>, what: impl Display) -> Result<T, Trouble> {
    result.map_err(|error| Trouble::failed(format!("{what}: {}", shown(&error))))
}

/// An error number as all our messages show it.
fn shown(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).to_string())
}
