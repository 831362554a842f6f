//! Work that goes on if who asked for it goes: containerd may hang up, or give up, in the midst of a call.

use std::future::Future;

use tokio::task::JoinHandle;

use crate::trouble::Trouble;

/// Does it to its end, also if the caller is dropped meanwhile.
pub(crate) async fn detached<T, F>(work: F) -> Result<T, Trouble>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Trouble>> + Send + 'static,
{
    joined(tokio::spawn(work)).await
}

/// Does what may block on a thread that may.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, Trouble>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Trouble> + Send + 'static,
{
    joined(tokio::task::spawn_blocking(work)).await
}

async fn joined<T>(handle: JoinHandle<Result<T, Trouble>>) -> Result<T, Trouble> {
    handle.await.map_err(|error| Trouble::failed(format!("the work on this call was broken off: {error}")))?
}
