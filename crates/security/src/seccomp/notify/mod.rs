//! User notification: a filter's `SCMP_ACT_NOTIFY` calls wait until a listener, in another process or thread, has answered.
//!
//! ```no_run
//! use libcontainer_security::seccomp::notify::{Answer, Event, Listener};
//! # fn answer(listener: std::os::fd::OwnedFd) -> Result<(), libcontainer_security::seccomp::notify::NotifyError> {
//! let listener = Listener::from(listener);
//! while let Event::Call(call) = listener.receive(None)? {
//!     println!("{} asks for call {}", call.pid, call.data.number);
//!     match listener.respond(call.id, Answer::Errno(libc::EPERM)) {
//!         Err(error) if !error.is_gone() => return Err(error),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it can't do
//!
//! A listener may make a call in the caller's stead, and decide by what it was shown: the number, and arguments that are no pointers. It
//! can't decide by memory that an argument points to and then have the kernel go on ([`Answer::Continue`]): another thread of the caller, or one that
//! shares the memory, may write there between the look and the kernel's own. So the answer "continue" is no policy; it is for
//! looking on, or for calls whose refusal is somebody else's work. seccomp_unotify(2) says so at length.
//!
//! A caller may be killed at any time, and its number given to another process. What was opened by that number, such as `/proc/PID/mem`, is the caller's only
//! if [`Listener::is_valid`] says so afterwards: [`Memory`] keeps to that.
//!
//! A signal with a handler interrupts a call that waits, and the call comes again with a new id, unless the profile has
//! `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`.

mod error;
mod give;
mod handover;
mod knock;
mod listener;
mod memory;
mod raw;
mod state;
mod take;

pub use error::NotifyError;
pub use give::{Agent, receive_listener};
pub use handover::{Handover, hand_over, hand_over_sent};
pub use knock::Knock;
pub use listener::{AddFd, Answer, Event, Listener, Notification, load};
pub use memory::Memory;
pub use state::{ContainerState, ProcessState, SECCOMP_FD};
pub use take::first_free;
