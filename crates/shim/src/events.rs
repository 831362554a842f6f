//! Events on their way to containerd, in the order in which they happened.

use std::time::{Duration, SystemTime};

use containerd_shim_protos::api::ForwardRequest;
use containerd_shim_protos::events::task::{
    TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskOOM, TaskPaused, TaskResumed,
    TaskStart,
};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::MessageFull;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim_async::{Client, EventsClient};
use containerd_shim_protos::ttrpc::context;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::journal;
use crate::trouble::Trouble;

/// So many wait for a containerd that does not answer; what comes then is lost.
const WAITING: usize = 1024;
/// How often an event is sent again, each time a second later.
const TRIES: u64 = 5;
const LIMIT: Duration = Duration::from_secs(5);

/// Something that happens to a task.
pub(crate) trait Event: MessageFull {
    const TOPIC: &'static str;
}

macro_rules! events {
    ($($kind:ty, $topic:literal;)*) => {$(
        impl Event for $kind {
            const TOPIC: &'static str = $topic;
        }
    )*};
}

events! {
    TaskCreate, "/tasks/create";
    TaskStart, "/tasks/start";
    TaskExit, "/tasks/exit";
    TaskDelete, "/tasks/delete";
    TaskOOM, "/tasks/oom";
    TaskExecAdded, "/tasks/exec-added";
    TaskExecStarted, "/tasks/exec-started";
    TaskPaused, "/tasks/paused";
    TaskResumed, "/tasks/resumed";
}

/// Where events are put; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    namespace: String,
    queue: Sender<Envelope>,
}

impl Publisher {
    /// Sends to the socket at `address`, from a task of its own. That ends with the last publisher, when all is sent: see the handle.
    pub(crate) fn new(address: String, namespace: &str) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = channel(WAITING);
        let sending = tokio::spawn(send_all(address, waiting));
        (Self { namespace: namespace.to_owned(), queue }, sending)
    }

    /// Puts an event behind those that wait.
    pub(crate) fn publish<E: Event>(&self, event: &E) {
        let sent = envelope(&self.namespace, event).map(|envelope| self.queue.try_send(envelope));
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(error)) => journal::warn(format_args!("{}: the event is lost: {error}", E::TOPIC)),
            Err(trouble) => journal::warn(trouble),
        }
    }
}

fn envelope<E: Event>(namespace: &str, event: &E) -> Result<Envelope, Trouble> {
    let mut envelope = Envelope::new();
    envelope.timestamp = MessageField::some(timestamp(SystemTime::now()));
    namespace.clone_into(&mut envelope.namespace);
    E::TOPIC.clone_into(&mut envelope.topic);
    envelope.event = MessageField::some(packed(E::descriptor().full_name(), event)?);
    Ok(envelope)
}

/// A message with the name of its type, without a host before it, as containerd has them.
pub(crate) fn packed(name: &str, message: &impl MessageFull) -> Result<Any, Trouble> {
    let bytes = message.write_to_bytes();
    let value = bytes.map_err(|error| Trouble::failed(format!("encode {name}: {error}")))?;
    Ok(Any { type_url: name.to_owned(), value, ..Any::default() })
}

pub(crate) fn timestamp(at: SystemTime) -> Timestamp {
    let passed = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(passed.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(passed.subsec_nanos()).unwrap_or(0),
        ..Timestamp::default()
    }
}

async fn send_all(address: String, mut waiting: Receiver<Envelope>) {
    let mut client = None;
    while let Some(envelope) = waiting.recv().await {
        let topic = envelope.topic.clone();
        let mut request = ForwardRequest::new();
        request.envelope = MessageField::some(envelope);
        if let Err(error) = send(&address, &mut client, &request).await {
            journal::warn(format_args!("{topic}: the event is lost: {address}: {error}"));
        }
    }
}

/// By the connection that there is, or a new one: containerd may have been started anew.
async fn send(
    address: &str,
    client: &mut Option<EventsClient>,
    request: &ForwardRequest,
) -> Result<(), String> {
    let mut failed = String::new();
    for try_number in 0..=TRIES {
        tokio::time::sleep(Duration::from_secs(try_number)).await;
        let connected = match client.take() {
            Some(client) => Ok(client),
            None => Client::connect(&format!("unix://{address}")).await.map(EventsClient::new),
        };
        let sent = match connected {
            Ok(connected) => {
                let sent = connected.forward(context::with_duration(LIMIT), request).await;
                sent.map(|_| connected)
            }
            Err(error) => Err(error),
        };
        match sent {
            Ok(connected) => {
                *client = Some(connected);
                return Ok(());
            }
            Err(error) => failed = error.to_string(),
        }
    }
    Err(failed)
}
