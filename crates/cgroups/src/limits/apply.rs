//! Writing what was planned, and taking it back.

use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::{Facts, FileWrite, Undo, plan};
use crate::devices::{self, Rule, v1::OnGap};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::group::Group;
use crate::resources::Resources;
use crate::stats::Version;

/// How long a group may take to freeze while its device filter has a gap.
const FREEZE_AT_MOST: Duration = Duration::from_secs(2);

/// What happens to the values that were written before the one that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// The old ones are read before, and written again, the last first.
    RollBack,
    /// They stay: for a group that will be removed then. Saves the reading.
    Leave,
}

/// Answers a write with an error number instead of doing it.
type Fault<'f> = &'f mut dyn FnMut(&FileWrite) -> Option<i32>;

/// Sets `resources` in `group`: the limits, then the device filter. Also live: each value at once, all or none.
///
/// Where version 1's device filter can't get from the old rules to the new ones without a gap, the group is frozen meanwhile.
///
/// # Errors
/// As [`Facts::of`], [`plan`], [`apply`], [`devices::v1::set`] and [`devices::set`]; on error the old values hold.
pub fn update(group: &Group, resources: &Resources, on_refusal: OnRefusal) -> Result<()> {
    let writes = plan(resources, &Facts::of(group, resources)?)?;
    let mut done = Done::default();
    let set = run(group, &writes, on_refusal, &mut |_| None, &mut done);
    set.and_then(|()| set_devices(group, &resources.devices)).or_else(|cause| done.take_back(cause))
}

/// Does `writes` in their order. When one is refused, those before it are taken back.
///
/// # Errors
/// [`Error::Write`] with file and value; [`Error::NotRolledBack`] when an old value can't be written again, too;
/// [`Error::NotFound`] when the group hasn't the controller.
pub fn apply(group: &Group, writes: &[FileWrite], on_refusal: OnRefusal) -> Result<()> {
    apply_with(group, writes, on_refusal, &mut |_| None)
}

/// [`apply`] with faults for tests: where `fault` returns an error number, the write is not done and answered with that.
///
/// # Errors
/// As [`apply`].
pub fn apply_with(
    group: &Group,
    writes: &[FileWrite],
    on_refusal: OnRefusal,
    fault: &mut dyn FnMut(&FileWrite) -> Option<i32>,
) -> Result<()> {
    let mut done = Done::default();
    run(group, writes, on_refusal, fault, &mut done).or_else(|cause| done.take_back(cause))
}

/// What was written, and how it was before.
#[derive(Default)]
struct Done(Vec<Old>);

struct Old {
    dir: Arc<Dir>,
    file: String,
    value: String,
}

impl Done {
    /// Writes the old values again, the last first, and returns why.
    fn take_back(self, cause: Error) -> Result<()> {
        let left: Vec<Error> =
            self.0.iter().rev().filter_map(|old| old.dir.write(&old.file, &old.value).err()).collect();
        if left.is_empty() { Err(cause) } else { Err(Error::NotRolledBack { cause: Box::new(cause), left }) }
    }
}

fn run(group: &Group, writes: &[FileWrite], on: OnRefusal, fault: Fault<'_>, done: &mut Done) -> Result<()> {
    for write in writes {
        let dir = directory(group, &write.controller)?;
        let file = group.file_name(&write.controller, &write.file);
        let old = match on {
            OnRefusal::RollBack => write.undo.old(dir, file)?,
            OnRefusal::Leave => None,
        };
        let written = match fault(write) {
            Some(errno) => Err(dir.refused(file, &write.value, Errno::from_raw(errno))),
            None => dir.write(file, &write.value),
        };
        let old = old.map(|value| Old { dir: Arc::clone(dir), file: file.to_owned(), value });
        if written.as_ref().err().is_none_or(Error::is_uncertain) {
            done.0.extend(old);
        }
        written.map_err(explain)?;
    }
    Ok(())
}

fn directory<'g>(group: &'g Group, controller: &str) -> Result<&'g Arc<Dir>> {
    let found = match controller {
        "unified" => group.unified(),
        name => group.controller(name).map(|(dir, _)| dir),
    };
    found.ok_or_else(|| Error::NotFound { controller: controller.to_owned() })
}

impl Undo {
    /// What to write so that the file is again as it is now; None when there is no way back.
    fn old(&self, dir: &Dir, file: &str) -> Result<Option<String>> {
        let text = match dir.read(file) {
            Ok(text) => text,
            // A file that is only to be written does something rather than holding it.
            Err(error) if error.is_write_only() => return Ok(None),
            Err(error) => return Err(error),
        };
        let line = |key: &str| {
            let mut lines = text.lines();
            lines.find(|line| line.split_whitespace().next() == Some(key)).map(str::to_owned)
        };
        Ok(match self {
            // An empty list: a write of nothing would not reach the kernel.
            Self::Whole if text.is_empty() => Some("\n".to_owned()),
            Self::Whole => Some(text),
            Self::Line { key, absent } => line(key).or_else(|| absent.clone()),
            Self::Field(key) => line(key).and_then(|line| line.split_whitespace().nth(1).map(str::to_owned)),
        })
    }
}

fn explain(mut error: Error) -> Error {
    if let Error::Write { path, source, hint, .. } = &mut error {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let text = match (source.raw_os_error(), file.as_ref()) {
            (Some(libc::EBUSY), "memory.limit_in_bytes" | "memory.memsw.limit_in_bytes") => {
                "; more is in use and can't be given back"
            }
            (Some(libc::EINVAL), "cpu.cfs_quota_us" | "cpu.cfs_period_us" | "cpu.rt_runtime_us") => {
                "; a group above or below doesn't allow this share, or the burst is larger"
            }
            (Some(libc::EINVAL | libc::EACCES | libc::ERANGE), "cpuset.cpus" | "cpuset.mems") => {
                "; not in the group above, or not on this machine"
            }
            (Some(libc::ENODEV), _) if file.starts_with("blkio.") || file.starts_with("io.") => {
                "; no such block device"
            }
            _ => return error,
        };
        text.clone_into(hint);
    }
    error
}

/// Why nothing holds rules of devices: the plan of the group has found that out.
fn no_devices(group: &Group) -> Error {
    match group.missing().get("devices") {
        Some(why) => Error::invalid("devices", format!("no control group of this controller: {why}")),
        None => Error::NotFound { controller: "devices".to_owned() },
    }
}

fn set_devices(group: &Group, rules: &[Rule]) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let Some((dir, Version::V1)) = group.controller("devices") else {
        let dir = group.unified().ok_or_else(|| no_devices(group))?;
        return devices::set(dir, rules).map(drop);
    };
    match devices::v1::set(dir, rules, OnGap::Refuse) {
        // Only what has processes is refused for a gap; what is wrong with the rules themselves is so again.
        Err(Error::Invalid { .. }) if !group.processes()?.is_empty() => {
            group.while_frozen(FREEZE_AT_MOST, || devices::v1::set(dir, rules, OnGap::Accept).map(drop))
        }
        other => other.map(drop),
    }
}
