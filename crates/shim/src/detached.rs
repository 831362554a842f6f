//! Work that goes on if who asked for it goes: containerd may hang up, or give up, in the midst of a call.

use std::future::Future;

use libcontainer_thread::spawn;
use tokio::sync::{Semaphore, oneshot};

use crate::trouble::{Trouble, named};

/// So many threads at once.
const THREADS: usize = 16;
static TURNS: Semaphore = Semaphore::const_new(THREADS);

/// Does it to its end, also if the caller is dropped meanwhile.
pub(crate) async fn detached<T, F>(work: F) -> Result<T, Trouble>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Trouble>> + Send + 'static,
{
    tokio::spawn(work).await.map_err(|error| broken(&error))?
}

/// Does what may block on a thread that may. It is none of the runtime's: that panics if the kernel has no more threads to give.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, Trouble>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Trouble> + Send + 'static,
{
    let turn = TURNS.acquire().await.map_err(|error| broken(&error))?;
    let (answer, answered) = oneshot::channel();
    let started = spawn("blocking", move || {
        // Who asked may have gone.
        let _ = answer.send(work());
        drop(turn);
    });
    named(started, "start a thread")?;
    answered.await.map_err(|error| broken(&error))?
}

fn broken(error: &dyn std::fmt::Display) -> Trouble {
    Trouble::failed(format!("the work on this call was broken off: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;

    #[test]
    fn no_more_threads_than_turns_work_at_once_and_each_answers() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NOW: AtomicUsize = AtomicUsize::new(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let one = |number: usize| {
            blocking(move || {
                let at_once = NOW.fetch_add(1, Ordering::SeqCst) + 1;
                std::thread::sleep(std::time::Duration::from_millis(5));
                NOW.fetch_sub(1, Ordering::SeqCst);
                Ok((number, at_once))
            })
        };
        let all: Vec<_> = runtime.block_on(async {
            let all: Vec<_> = (0..3 * THREADS).map(|number| tokio::spawn(one(number))).collect();
            let mut done = Vec::new();
            for work in all {
                done.push(work.await.unwrap().unwrap());
            }
            done
        });
        assert!(all.iter().enumerate().all(|(number, (found, _))| *found == number));
        let most = all.iter().map(|(_, at_once)| *at_once).max().unwrap();
        assert!(most > 1 && most <= THREADS, "{most}");
    }
}
