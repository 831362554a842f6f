//! For tests: writes of control files that fail on request, so that each one's way back is walked once.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use nix::errno::Errno;

/// Asked before each write of this thread: the file and the value. An error number is the answer instead of the write.
type Fault = Box<dyn FnMut(&Path, &str) -> Option<i32>>;

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
pub fn inject(fault: impl FnMut(&Path, &str) -> Option<i32> + 'static) -> Injected {
    FAULT.with_borrow_mut(|place| *place = Some(Box::new(fault)));
    Injected(PhantomData)
}

/// The fault for a write, if there is one.
pub(crate) fn of(dir: &Path, name: &str, value: &str) -> nix::Result<()> {
    FAULT.with_borrow_mut(|fault| match fault.as_mut().and_then(|fault| fault(&dir.join(name), value)) {
        Some(errno) => Err(Errno::from_raw(errno)),
        None => Ok(()),
    })
}
