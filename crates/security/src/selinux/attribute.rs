//! The labels that a thread can set for what it is going to make or become.

/// What a label is for. All of them hold until the next exec, and are inherited by a new process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// The program of the next exec, then itself.
    Exec,
    /// Files that are made.
    FileCreate,
    /// Keys and keyrings that are made.
    KeyCreate,
    /// Sockets that are made.
    SocketCreate,
}

impl Attribute {
    /// Name of the file.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::FileCreate => "fscreate",
            Self::KeyCreate => "keycreate",
            Self::SocketCreate => "sockcreate",
        }
    }
}
