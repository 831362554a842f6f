//! pthread_create(3), and what has to hold around it.

use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// As for a thread of `std`.
const STACK: usize = 2 << 20;

/// What a thread does.
type Work<'a> = Box<dyn FnOnce() + Send + 'a>;

/// A thread that was not waited for yet.
pub(crate) struct Handle(Option<libc::pthread_t>);

// SAFETY: any thread may join or detach another, by a number which musl has as a pointer.
unsafe impl Send for Handle {}
// SAFETY: nothing is done through a shared reference.
unsafe impl Sync for Handle {}

impl Handle {
    /// Waits for its end.
    pub(crate) fn join(mut self) {
        if let Some(thread) = self.0.take() {
            join(thread);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // SAFETY: the thread was neither joined nor detached: each of them takes the number away.
            unsafe { libc::pthread_detach(thread) };
        }
    }
}

/// Starts a thread.
pub(crate) fn start(name: &'static str, work: Work<'static>) -> io::Result<Handle> {
    create(name, work).map(|thread| Handle(Some(thread)))
}

/// Runs a thread to its end.
pub(crate) fn run(name: &'static str, work: Work<'_>) -> io::Result<()> {
    // SAFETY: only the lifetime differs. The thread has ended, and `work` is dropped, before this function returns: `join` does not come back else.
    let work = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work) };
    join(create(name, work)?);
    Ok(())
}

/// What a thread gets: its name, and what it does.
struct Begin {
    name: &'static str,
    work: Work<'static>,
}

fn create(name: &'static str, work: Work<'static>) -> io::Result<libc::pthread_t> {
    let attributes = Attributes::new()?;
    let argument = Box::into_raw(Box::new(Begin { name, work }));
    let mut thread = MaybeUninit::uninit();
    // SAFETY: both pointers are to places of ours, the attributes are initialised, and `begin` takes what `argument` is.
    let errno =
        unsafe { libc::pthread_create(thread.as_mut_ptr(), &raw const attributes.0, begin, argument.cast()) };
    if errno != 0 {
        // SAFETY: there is no thread, so the box is still ours.
        drop(unsafe { Box::from_raw(argument) });
        return Err(io::Error::from_raw_os_error(errno));
    }
    // SAFETY: pthread_create(3) has written it.
    Ok(unsafe { thread.assume_init() })
}

extern "C" fn begin(argument: *mut c_void) -> *mut c_void {
    // SAFETY: it is the box that `create` gave away, to this thread alone.
    let Begin { name, work } = *unsafe { Box::from_raw(argument.cast::<Begin>()) };
    set_name(name);
    // What has panicked has said so on standard error; its value may panic in turn when it is dropped.
    if let Err(value) = catch_unwind(AssertUnwindSafe(work)) {
        std::mem::forget(value);
    }
    std::ptr::null_mut()
}

/// For who lists threads; one without its name works as well.
fn set_name(name: &str) {
    let mut bytes = [0_u8; 16];
    for (place, byte) in bytes.iter_mut().zip(name.bytes().take(15)) {
        *place = byte;
    }
    // SAFETY: PR_SET_NAME reads up to 16 bytes, the last of which is zero.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
}

fn join(thread: libc::pthread_t) {
    // SAFETY: the number of a thread that was neither joined nor detached; its value is not wanted.
    let errno = unsafe { libc::pthread_join(thread, std::ptr::null_mut()) };
    if errno != 0 {
        // It may go on with what it has borrowed. No error of pthread_join(3) is possible here: each is a misuse.
        std::process::abort();
    }
}

struct Attributes(libc::pthread_attr_t);

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: it initialises the place that it is given.
        checked(unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: pthread_attr_init(3) has initialised it.
        let mut this = Self(unsafe { attributes.assume_init() });
        // SAFETY: the attributes are initialised.
        checked(unsafe { libc::pthread_attr_setstacksize(&raw mut this.0, STACK) })?;
        Ok(this)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: they are initialised, and nothing uses them any more.
        unsafe { libc::pthread_attr_destroy(&raw mut self.0) };
    }
}

fn checked(errno: i32) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}
