//! Labels of the calling thread, and of processes: proc_pid_attr(5). Labels to come are of the thread alone and hold until its next exec; what is made
//! by other threads is not touched.

use libcontainer_plan::Pid;

use super::attribute::Attribute;
use super::context::Context;
use super::error::SelinuxError;
use crate::procfs;

/// The label of this thread.
///
/// # Errors
/// A read that failed (`EINVAL` where no security module has labels), or what is no context.
pub fn current() -> Result<Context, SelinuxError> {
    Ok(Context::from_bytes(&raw("current")?)?)
}

/// The label of a process.
///
/// # Errors
/// A read that failed: `ENOENT` if there is no such process, `EACCES` if the policy does not let this one ask.
pub fn of_process(pid: Pid) -> Result<Context, SelinuxError> {
    Ok(Context::from_bytes(trimmed(&procfs::read(&format!("{pid}/attr/current"))?))?)
}

/// The label that this thread has set for what it is going to make or become; `None` if it is left to the policy.
///
/// # Errors
/// A read that failed.
pub fn to_come(attribute: Attribute) -> Result<Option<Context>, SelinuxError> {
    let text = raw(attribute.file())?;
    if text.is_empty() { Ok(None) } else { Ok(Some(Context::from_bytes(&text)?)) }
}

/// Sets it, or leaves it to the policy again, and reads it back.
///
/// # Errors
/// `EINVAL` for a context that the policy does not have, `EACCES` where it does not allow it; a difference afterwards.
pub fn set_to_come(attribute: Attribute, context: Option<&Context>) -> Result<(), SelinuxError> {
    let text = context.map(ToString::to_string).unwrap_or_default();
    let path = path(attribute.file());
    // A write of nothing never reaches the kernel's security module: a line break is what clears the attribute.
    procfs::write(&path, if text.is_empty() { "\n" } else { &text })?;
    let found = to_come(attribute);
    if matches!(&found, Ok(found) if found.as_ref() == context) {
        return Ok(());
    }
    // To who has CAP_MAC_ADMIN the kernel gives a label for files that its policy does not have. Nothing is made with it.
    procfs::write(&path, "\n")?;
    let found = found?.map(|context| context.to_string()).unwrap_or_default();
    Err(SelinuxError::malformed(
        format!("/proc/{path}").as_ref(),
        format!("wanted {text:?}, found {found:?}"),
    ))
}

/// What an attribute file of this thread says, without the NUL or line break at its end.
pub(super) fn raw(name: &str) -> Result<Vec<u8>, SelinuxError> {
    Ok(trimmed(&procfs::read(&path(name))?).to_vec())
}

/// Links are not followed, so this thread is named by its numbers.
fn path(name: &str) -> String {
    format!("{}/task/{}/attr/{name}", std::process::id(), nix::unistd::gettid())
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.strip_suffix(b"\n").unwrap_or(bytes)
}
