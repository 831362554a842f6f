//! For tests: system calls that fail on request, so that each one's way back is walked once.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use nix::errno::Errno;

/// A call that is about to be made on a control group file system.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Call<'c> {
    /// The system call: `openat2`, `mkdirat`, `write` …
    pub name: &'static str,
    /// The directory or the file that it is about.
    pub path: &'c Path,
    /// What is written; empty for other calls.
    pub value: &'c str,
}

/// Asked before each call of this thread. An error number is the answer instead of the call.
type Fault = Box<dyn FnMut(&Call<'_>) -> Option<i32>>;

thread_local! {
    static FAULT: RefCell<Option<Fault>> = const { RefCell::new(None) };
}

/// Faults are asked for as long as this lives.
pub struct Injected(PhantomData<*const ()>);

impl fmt::Debug for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Injected")
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        FAULT.with_borrow_mut(Option::take);
    }
}

/// Asks `fault` before every write of a control file by this thread, whatever the purpose: limits, the device filter of
/// version 1, `cgroup.subtree_control`, an inherited cpuset, the freezer, processes.
///
/// Where it returns an error number, the write is not done and answered with that.
#[must_use = "the faults end with it"]
pub fn inject(mut fault: impl FnMut(&Path, &str) -> Option<i32> + 'static) -> Injected {
    inject_calls(move |call| if call.name == "write" { fault(call.path, call.value) } else { None })
}

/// Asks `fault` before every system call of this thread that can fail and is about a control group: what opens, makes, lists, reads,
/// writes, removes, marks or looks at one, what kills, and what the device filter and the events of a group are made of.
///
/// Where it returns an error number, the call is not made and answered with that.
#[must_use = "the faults end with it"]
pub fn inject_calls(fault: impl FnMut(&Call<'_>) -> Option<i32> + 'static) -> Injected {
    FAULT.with_borrow_mut(|place| *place = Some(Box::new(fault)));
    Injected(PhantomData)
}

/// The fault for the call `name` on `file` in `dir`, if there is one.
pub(crate) fn of(name: &'static str, dir: &Path, file: impl AsRef<Path>) -> nix::Result<()> {
    ask(name, dir, file.as_ref(), "")
}

/// The fault for a write, if there is one.
pub(crate) fn of_write(dir: &Path, file: &str, value: &str) -> nix::Result<()> {
    ask("write", dir, file.as_ref(), value)
}

fn ask(name: &'static str, dir: &Path, file: &Path, value: &str) -> nix::Result<()> {
    FAULT.with_borrow_mut(|fault| {
        // The path is put together only for a test.
        let answer = fault.as_mut().and_then(|fault| fault(&Call { name, path: &dir.join(file), value }));
        answer.map_or(Ok(()), |errno| Err(Errno::from_raw(errno)))
    })
}
