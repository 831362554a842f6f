//! For tests: calls on sockets that fail on request, before or after the kernel has acted, so that each one's way back is walked once.
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;

/// A call that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call<'a> {
    /// A socket is opened, in whatever namespace.
    Open,
    /// send(2) of these bytes: one message or several.
    Send(&'a [u8]),
    /// recv(2).
    Receive,
}

/// How it fails, with the error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The call is not made.
    Refused(i32),
    /// The call is made, and what it gives is thrown away: a request was done, an answer is lost. For [`Call::Open`] as `Refused`.
    Lost(i32),
}

type Ask = Box<dyn FnMut(&Call<'_>) -> Option<Fault>>;

thread_local! {
    static FAULT: RefCell<Option<Ask>> = const { RefCell::new(None) };
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

/// Asks `fault` before every call of this thread on a socket of [`Netlink`](crate::Netlink) or [`Nft`](crate::nft::Nft).
///
/// Where it returns a fault, the call fails with that.
#[must_use = "the faults end with it"]
pub fn inject(fault: impl FnMut(&Call<'_>) -> Option<Fault> + 'static) -> Injected {
    FAULT.with_borrow_mut(|place| *place = Some(Box::new(fault)));
    Injected(PhantomData)
}

fn asked(call: &Call<'_>) -> Option<Fault> {
    FAULT.with_borrow_mut(|fault| fault.as_mut().and_then(|fault| fault(call)))
}

/// The fault for a call that is not made in this thread.
pub(crate) fn of(call: &Call<'_>) -> io::Result<()> {
    match asked(call) {
        Some(Fault::Refused(errno) | Fault::Lost(errno)) => Err(io::Error::from_raw_os_error(errno)),
        None => Ok(()),
    }
}

/// Makes the call, unless there is a fault for it.
pub(crate) fn around<T>(call: &Call<'_>, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match asked(call) {
        None => make(),
        Some(Fault::Refused(errno)) => Err(io::Error::from_raw_os_error(errno)),
        Some(Fault::Lost(errno)) => {
            // What the call says is what is lost.
            drop(make());
            Err(io::Error::from_raw_os_error(errno))
        }
    }
}
