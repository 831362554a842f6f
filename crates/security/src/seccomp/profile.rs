//! `linux.seccomp` of OCI's runtime-spec 1.3, and what can be wrong with it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::action::{Action, Outcome};
use super::arch::Arch;
use super::error::CompileError;

/// A profile: OCI's `linux.seccomp`. Unknown actions, architectures, flags and operators are errors of reading; what else can be wrong
/// says [`Profile::problems`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What happens to calls that no rule names.
    pub default_action: Action,
    /// The errno of `default_action`, if that takes one; EPERM without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// Architectures that may call beside the native one; others are killed.
    #[serde(default, deserialize_with = "none_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<Arch>,
    /// How the filter is loaded.
    #[serde(default, deserialize_with = "none_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// The socket that gets the notification descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<PathBuf>,
    /// What the listener is told beside; nothing without `listener_path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// The rules.
    #[serde(default, deserialize_with = "none_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<Rule>,
}

/// What happens to some system calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Their names in the kernel. What no kernel has is left out with a warning.
    pub names: Vec<String>,
    /// What happens.
    pub action: Action,
    /// The errno of `action`, if that takes one; EPERM without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// What all has to be so for the rule to count; if two are about the same argument, one of all is enough, as in runc and crun.
    #[serde(default, deserialize_with = "none_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
}

/// A condition on an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arg {
    /// Which argument, 0 to 5.
    pub index: u32,
    /// What it is compared with; the mask of [`Operator::MaskedEq`].
    pub value: u64,
    /// What an argument under the mask has to be; of no meaning for other operators.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_two: u64,
    /// How they are compared, as unsigned numbers.
    pub op: Operator,
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they say what they are")]
pub enum Operator {
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    /// `argument & value == value_two`
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

/// A flag of seccomp(2), "SECCOMP_SET_MODE_FILTER".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Flag {
    /// All threads get the filter.
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync,
    /// All actions but `Allow` are logged, if the host's sysctl lets them.
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    /// The filter does not turn on the mitigation of speculative stores.
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
    /// Once the listener has received a notification only a deadly signal ends the wait (Linux 5.19).
    #[serde(rename = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
    WaitKillableRecv,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// JSON's null for a list is what Go writes for an empty one.
pub(super) fn none_is_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Profile {
    /// A profile without rules.
    #[must_use]
    pub fn new(default_action: Action) -> Self {
        Self {
            default_action,
            default_errno_ret: None,
            architectures: Vec::new(),
            flags: Vec::new(),
            listener_path: None,
            listener_metadata: None,
            syscalls: Vec::new(),
        }
    }

    /// What happens to calls that no rule names.
    #[must_use]
    pub fn default_outcome(&self) -> Outcome {
        Outcome::new(self.default_action, self.default_errno_ret)
    }

    /// Whether any call is left to a listener.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.syscalls.iter().any(|rule| rule.action == Action::Notify)
    }

    /// An error if anything is wrong with it, or a listener is missing where the caller has none.
    pub(super) fn first_problem(&self, listener: bool) -> Result<(), CompileError> {
        if let Some((pointer, reason)) = self.problems().into_iter().next() {
            return Err(CompileError::Invalid { pointer, reason });
        }
        let asks = self.syscalls.iter().position(|rule| rule.action == Action::Notify);
        match asks.filter(|_| self.listener_path.is_none() && !listener) {
            Some(rule) => Err(CompileError::NoListener { rule }),
            None => Ok(()),
        }
    }

    /// What is wrong with it: a JSON pointer below the profile, and why. Empty if all is well.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let default = errno_problem(self.default_action, self.default_errno_ret);
        all.extend(default.map(|reason| ("/defaultErrnoRet".to_owned(), reason)));
        if self.default_action == Action::Notify {
            let reason = "SCMP_ACT_NOTIFY: the listener would have to answer the start itself; name the calls in rules";
            all.push(("/defaultAction".to_owned(), reason.to_owned()));
        }
        let socket = self.listener_path.as_deref().and_then(socket_problem);
        all.extend(socket.map(|reason| ("/listenerPath".to_owned(), reason)));
        if self.listener_metadata.is_some() && self.listener_path.is_none() {
            all.push(("/listenerMetadata".to_owned(), "no listenerPath to send it to".to_owned()));
        }
        for (index, rule) in self.syscalls.iter().enumerate() {
            let place = |(place, reason)| (format!("/syscalls/{index}{place}"), reason);
            all.extend(rule.problems().into_iter().map(place));
        }
        all
    }
}

/// Why no socket can have that path.
fn socket_problem(path: &Path) -> Option<String> {
    // `sun_path` of unix(7), and its NUL.
    const MOST: usize = 107;
    let bytes = path.as_os_str().as_encoded_bytes();
    if !path.is_absolute() {
        Some("not an absolute path".to_owned())
    } else if bytes.contains(&0) {
        Some("contains NUL".to_owned())
    } else {
        (bytes.len() > MOST)
            .then(|| format!("{} bytes: the path of a socket has at most {MOST}", bytes.len()))
    }
}

impl Rule {
    /// A rule for these calls, whatever their arguments.
    #[must_use]
    pub fn new(names: &[&str], action: Action) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { names, action, errno_ret: None, args: Vec::new() }
    }

    /// What the rule does.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::new(self.action, self.errno_ret)
    }

    fn problems(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        if self.names.is_empty() {
            all.push(("/names".to_owned(), "no system call is named".to_owned()));
        }
        for (index, _) in self.names.iter().enumerate().filter(|(_, name)| name.is_empty()) {
            all.push((format!("/names/{index}"), "an empty name".to_owned()));
        }
        let errno = errno_problem(self.action, self.errno_ret);
        all.extend(errno.map(|reason| ("/errnoRet".to_owned(), reason)));
        for (place, arg) in self.args.iter().enumerate().filter(|(_, arg)| arg.index > 5) {
            let reason = format!("{}: system calls have arguments 0 to 5", arg.index);
            all.push((format!("/args/{place}/index"), reason));
        }
        all
    }
}

fn errno_problem(action: Action, errno: Option<u32>) -> Option<String> {
    let errno = errno?;
    match action.largest_errno() {
        None => Some(format!("{errno}: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take a number")),
        Some(largest) if errno > largest => Some(format!("{errno}: above {largest}, the largest")),
        Some(_) => None,
    }
}
