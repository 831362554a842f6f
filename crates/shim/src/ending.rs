//! How the end of a process is noticed.

use std::fmt::Display;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::ready::Ready;

/// The status of a process that has ended nobody knows how.
const UNKNOWN: u32 = 255;
/// When it is asked again after a process of which nothing could be found out.
const AGAIN: Duration = Duration::from_secs(1);

/// When it is asked again after one that has ended and can't be waited for yet.
const SOON: Duration = Duration::from_millis(20);

/// What there is to know of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: u32,
    pub(crate) out_of_memory: bool,
}

/// A process that is waited for.
pub(crate) trait Watched {
    /// How it ended, if it has.
    fn look(&self) -> Result<Option<Ended>, impl Display>;
    /// Whether its pidfd says that it has; what can't be told is no end.
    fn is_over(&self) -> bool;
}

impl Watched for libcontainer::Process {
    fn look(&self) -> Result<Option<Ended>, impl Display> {
        let status = self.try_wait()?;
        Ok::<_, libcontainer::Error>(status.map(|status| Ended {
            status: status.shell_code().into(),
            out_of_memory: status.oom_killed() == Some(true),
        }))
    }

    fn is_over(&self) -> bool {
        libcontainer::plan::wait_readable(self.as_fd(), Some(Duration::ZERO)).unwrap_or(false)
    }
}

/// Waits for its end by `fd`, which is readable then. `warn` is told what keeps it from being known.
pub(crate) async fn ending(process: &impl Watched, fd: &Ready, warn: impl Fn(&dyn Display)) -> Ended {
    loop {
        let ready = fd.readable().await;
        match process.look().map_err(|error| error.to_string()) {
            Ok(Some(ended)) => return ended,
            Err(error) => {
                warn(&error);
                // That it has ended is what its pidfd says, and nothing else: how it did is then all that is unknown.
                if process.is_over() {
                    return Ended { status: UNKNOWN, out_of_memory: false };
                }
                tokio::time::sleep(AGAIN).await;
            }
            // RACE: one that is traced can be waited for when its tracer has done so, of which its pidfd says nothing more.
            Ok(None) if process.is_over() => tokio::time::sleep(SOON).await,
            Ok(None) => match ready {
                Ok(mut ready) => ready.clear_ready(),
                Err(error) => {
                    warn(&format_args!("epoll: {error}"));
                    tokio::time::sleep(AGAIN).await;
                }
            },
        }
    }
}

/// The same of one that can't be waited for by a descriptor: it is asked again and again.
pub(crate) async fn asked(process: &impl Watched) -> Ended {
    loop {
        match process.look().map_err(drop) {
            Ok(Some(ended)) => return ended,
            Err(()) if process.is_over() => return Ended { status: UNKNOWN, out_of_memory: false },
            _ => tokio::time::sleep(SOON).await,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::io::Interest;
    use tokio::runtime::Builder;

    use super::*;
    use crate::ready::ready;

    /// What it says, one answer after the other, and from which look on it is over.
    struct Fake {
        answers: RefCell<Vec<Result<Option<Ended>, &'static str>>>,
        looks: Cell<usize>,
        over_from: usize,
    }

    impl Watched for Fake {
        fn look(&self) -> Result<Option<Ended>, impl Display> {
            self.looks.set(self.looks.get() + 1);
            let mut answers = self.answers.borrow_mut();
            if answers.is_empty() { panic!("it is asked too often") } else { answers.remove(0) }
        }

        fn is_over(&self) -> bool {
            self.looks.get() >= self.over_from
        }
    }

    /// How it ends, how often it was looked at, and how often somebody was warned.
    fn end(answers: Vec<Result<Option<Ended>, &'static str>>, over_from: usize) -> (Ended, usize, usize) {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            // Readable for ever, as the pidfd of a process that has ended.
            let (reader, writer) = std::io::pipe().unwrap();
            drop(writer);
            let fd = ready(reader.into(), Interest::READABLE, "a pipe").unwrap();
            let fake = Fake { answers: RefCell::new(answers), looks: Cell::new(0), over_from };
            let warnings = Cell::new(0);
            let ended = ending(&fake, &fd, |_| warnings.set(warnings.get() + 1));
            let ended = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
            (ended, fake.looks.get(), warnings.get())
        })
    }

    const SEVEN: Ended = Ended { status: 7, out_of_memory: true };

    #[test]
    fn an_error_is_no_end() {
        let found = end(vec![Err("EIO"), Err("EIO"), Ok(Some(SEVEN))], usize::MAX);
        assert_eq!(found, (SEVEN, 3, 2));
    }

    #[test]
    fn one_that_its_tracer_has_yet_to_reap_is_asked_again() {
        assert_eq!(end(vec![Ok(None), Ok(None), Ok(Some(SEVEN))], 1), (SEVEN, 3, 0));
    }

    #[test]
    fn without_a_descriptor_it_is_asked_until_it_is_over() {
        let asked = |answers, over_from| {
            let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            let fake = Fake { answers: RefCell::new(answers), looks: Cell::new(0), over_from };
            (runtime.block_on(asked(&fake)), fake.looks.get())
        };
        let found = asked(vec![Ok(None), Err("EIO"), Ok(Some(SEVEN))], usize::MAX);
        assert_eq!(found, (SEVEN, 3));
        assert_eq!(asked(vec![Ok(None), Err("ECHILD")], 2).0, Ended { status: 255, out_of_memory: false });
    }

    #[test]
    fn how_it_ended_may_be_unknown_and_not_that_it_has() {
        let found = end(vec![Err("ECHILD"), Err("ECHILD")], 2);
        assert_eq!(found, (Ended { status: 255, out_of_memory: false }, 2, 2));
    }
}
