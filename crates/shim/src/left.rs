//! What starts that failed have left.

use std::time::Duration;

const AGAIN: Duration = Duration::from_millis(100);

/// Reaps it as soon as that can be: a zombie in a container's pid namespace keeps the end of its first process from being told. What stands in a frozen group, or is traced,
/// can be reaped later than it was killed.
pub(crate) fn reap() {
    tokio::spawn(async {
        while libcontainer::plan::reap_left() > 0 {
            tokio::time::sleep(AGAIN).await;
        }
    });
}
