//! The shim itself.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use containerd_shim_protos::shim_async::create_task;
use containerd_shim_protos::ttrpc;
use containerd_shim_protos::ttrpc::r#async::Server;
use containerd_shim_protos::ttrpc::r#async::transport::Listener;
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::arguments::Arguments;
use crate::create::Shim;
use crate::events::Publisher;
use crate::journal;
use crate::service::Service;
use crate::trouble::{Trouble, named};

/// The name by which containerd before version 2 calls the service, and after it as well if it is told an address alone.
const OLD: &str = "containerd.task.v2.Task";
const NEW: &str = "containerd.task.v3.Task";
/// Environment variable with the socket for events.
const EVENTS: &str = "TTRPC_ADDRESS";
const ANSWER: Duration = Duration::from_millis(20);
/// So long events are still sent when the shim is no longer wanted.
const LAST_WORDS: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: &Arguments) -> Result<(), Trouble> {
    journal::open(Path::new(&arguments.bundle));
    let runtime = named(Builder::new_current_thread().enable_io().enable_time().build(), "epoll_create1")?;
    let served = runtime.block_on(serve(arguments));
    if let Err(trouble) = &served {
        journal::warn(trouble);
    }
    served
}

async fn serve(arguments: &Arguments) -> Result<(), Trouble> {
    let address = std::env::var(EVENTS).map_err(|_| Trouble::invalid(format!("{EVENTS} is not set")))?;
    let (publisher, sending) = Publisher::new(address, &arguments.namespace);
    let (done, mut is_done) = watch::channel(false);
    let shim = Shim { namespace: arguments.namespace.clone(), publisher };
    let service = Arc::new(Service::new(shim, done));
    let mut server = Server::new().add_listener(listener()?).register_service(services(&service));
    server.start().await.map_err(|error| Trouble::failed(format!("listen: {error}")))?;
    let unused = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.end_unused().await }
    });
    // The sender lives as long as the server.
    let _ = is_done.wait_for(|done| *done).await;
    // ORDER: first; who comes from now on makes a shim of its own.
    let removed = std::fs::remove_file(&arguments.socket);
    // The answer to the call that ends it has to be written.
    tokio::time::sleep(ANSWER).await;
    let _ = server.shutdown().await;
    unused.abort();
    drop((server, service));
    let _ = tokio::time::timeout(LAST_WORDS, sending).await;
    named(removed, format_args!("unlink {}", arguments.socket))
}

/// The service under each of its names.
fn services(service: &Arc<Service>) -> HashMap<String, ttrpc::r#async::Service> {
    let mut all = create_task(Arc::<Service>::clone(service));
    let old = create_task(Arc::<Service>::clone(service)).remove(NEW);
    all.extend(old.map(|old| (OLD.to_owned(), old)));
    all
}

/// Standard input, which is the socket that `start` has bound. Nobody else gets it.
fn listener() -> Result<Listener, Trouble> {
    let what = "standard input, which must be a socket that listens: containerd calls this program";
    let socket = named(std::io::stdin().as_fd().try_clone_to_owned(), what)?;
    let null = named(File::options().read(true).write(true).open("/dev/null"), "open /dev/null")?;
    named(rustix::stdio::dup2_stdin(&null).map_err(Into::into), "dup2 of /dev/null")?;
    named(Listener::try_from(UnixListener::from(socket)), what)
}
