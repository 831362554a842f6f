//! The shim under test: containerd's part of its life, from a task that is created to the word that it is no longer wanted.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use containerd_shim_protos::api::{
    CreateTaskRequest, DeleteRequest, Empty, ExecProcessRequest, ForwardRequest, KillRequest,
    ShutdownRequest, StartRequest, StateRequest, StatsRequest, WaitRequest,
};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim_sync::{Client, Events, TaskClient, create_events};
use containerd_shim_protos::ttrpc::{self, Server, TtrpcContext, context};

use crate::place::{NAME, Place};

/// Below the place's own directory: so its containers lie where those of nsinit do.
const NAMESPACE: &str = "state";
const EXEC: &str = "second";
/// How long a call may take.
const LIMIT: Duration = Duration::from_secs(8);
/// The same of one whose answer nobody needs any more.
const SHORT: Duration = Duration::from_secs(2);
const SIGKILL: u32 = 9;

/// Takes events, for as long as this process lives.
pub(crate) fn listen(place: &Place) -> Result<()> {
    struct Taken;
    impl Events for Taken {
        fn forward(&self, _: &TtrpcContext, _: ForwardRequest) -> ttrpc::Result<Empty> {
            Ok(Empty::new())
        }
    }
    let service = create_events(Arc::new(Taken));
    let address = format!("unix://{}", events(place).display());
    let mut server = Server::new().bind(&address).context(address)?.register_service(service);
    server.start().context("listen for events")?;
    // It ends with the process.
    std::mem::forget(server);
    Ok(())
}

fn events(place: &Place) -> PathBuf {
    place.path("events")
}

fn socket(place: &Place) -> PathBuf {
    place.path("shim-socket")
}

/// What the shim needs to be started as by itself, and who calls it then.
pub(crate) fn called(
    command: &mut Command,
    place: &Place,
    bundle: &Path,
) -> Result<JoinHandle<Result<(), String>>> {
    let path = socket(place);
    let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
    command.args(["-namespace", NAMESPACE, "-id", NAME, "-address", "/containerd"]);
    command.arg("-bundle").arg(bundle).arg("-socket").arg(&path);
    command.env("TTRPC_ADDRESS", events(place)).stdin(std::os::fd::OwnedFd::from(listener));
    let caller = Caller { socket: path, bundle: bundle.to_owned(), root: place.dir.clone() };
    Ok(std::thread::spawn(move || caller.life()))
}

/// The words of `delete`, as containerd says them when a shim is gone.
pub(crate) fn delete(command: &mut Command, bundle: &Path) {
    command.args(["-namespace", NAMESPACE, "-id", NAME, "-address", "/containerd", "-bundle"]);
    command.arg(bundle).arg("delete").current_dir(bundle);
}

/// Whether what failed is done to a connection, or to that by which all of them are waited for.
pub(crate) fn is_of_connection(object: &str) -> bool {
    ["socket:", "anon_inode:[eventpoll]"].iter().any(|start| object.starts_with(start))
}

/// Whether a caller says that the connection broke by which it would have heard why.
pub(crate) fn is_cut_off(told: &str) -> bool {
    ["socket disconnected", "ECONNRESET"].iter().any(|words| told.contains(words))
}

/// Takes away what is containerd's to take away.
pub(crate) fn forget(place: &Place, bundle: &Path) {
    for path in [socket(place), bundle.join("nsinit-container"), bundle.join("nsinit-container.new")] {
        // What is not there need not go.
        let _ = fs::remove_file(path);
    }
}

/// containerd.
struct Caller {
    socket: PathBuf,
    bundle: PathBuf,
    root: PathBuf,
}

impl Caller {
    /// A task, a process that joins it, and their ends. After an error it is ended and the shim told to leave, as containerd does it.
    fn life(&self) -> Result<(), String> {
        self.connect().and_then(|client| self.all(&client)).map_err(|error| {
            // A shim that is gone answers nobody.
            let left = self.connect().map_or_else(|_| String::new(), |client| leave(&client));
            error + &left
        })
    }

    fn connect(&self) -> Result<TaskClient, String> {
        let address = format!("unix://{}", self.socket.display());
        Client::connect(&address).map(TaskClient::new).map_err(|error| format!("connect: {error}"))
    }

    fn all(&self, client: &TaskClient) -> Result<(), String> {
        said("create", client.create(time(LIMIT), &self.create()))?;
        said("start", client.start(time(LIMIT), &StartRequest { id: NAME.into(), ..StartRequest::new() }))?;
        said("exec", client.exec(time(LIMIT), &exec()))?;
        let exec_id = EXEC.to_owned();
        let (id, of) = (NAME.to_owned(), || (NAME.to_owned(), EXEC.to_owned()));
        let (a, b) = of();
        said(
            "start exec",
            client.start(time(LIMIT), &StartRequest { id: a, exec_id: b, ..StartRequest::new() }),
        )?;
        let (a, b) = of();
        let ended = said(
            "wait exec",
            client.wait(time(LIMIT), &WaitRequest { id: a, exec_id: b, ..WaitRequest::new() }),
        )?;
        if ended.exit_status != 0 {
            return Err(format!("the exec ended with {}", ended.exit_status));
        }
        let gone = DeleteRequest { id: id.clone(), exec_id, ..DeleteRequest::new() };
        said("delete exec", client.delete(time(LIMIT), &gone))?;
        said("state", client.state(time(LIMIT), &StateRequest { id: id.clone(), ..StateRequest::new() }))?;
        said("stats", client.stats(time(LIMIT), &StatsRequest { id: id.clone(), ..StatsRequest::new() }))?;
        said("kill", client.kill(time(LIMIT), &kill()))?;
        let ended =
            said("wait", client.wait(time(LIMIT), &WaitRequest { id: id.clone(), ..WaitRequest::new() }))?;
        if ended.exit_status != 128 + SIGKILL {
            return Err(format!("it was killed, and ended with {}", ended.exit_status));
        }
        said("delete", client.delete(time(LIMIT), &DeleteRequest { id, ..DeleteRequest::new() }))?;
        said("shutdown", client.shutdown(time(LIMIT), &shutdown(false))).map(drop)
    }

    fn create(&self) -> CreateTaskRequest {
        // `root` is field 7 of `containerd.runc.v1.Options`, a text.
        let root = self.root.as_os_str().as_encoded_bytes();
        let mut value = vec![0x3a, u8::try_from(root.len()).unwrap_or(u8::MAX)];
        value.extend(root);
        let options = Any { type_url: "containerd.runc.v1.Options".into(), value, ..Any::new() };
        CreateTaskRequest {
            id: NAME.into(),
            bundle: self.bundle.display().to_string(),
            options: MessageField::some(options),
            ..CreateTaskRequest::new()
        }
    }
}

/// Ends what there is. Returns what could not be done.
fn leave(client: &TaskClient) -> String {
    let id = || NAME.to_owned();
    let all = [
        said("kill", client.kill(time(SHORT), &kill())).err(),
        said("wait", client.wait(time(SHORT), &WaitRequest { id: id(), ..WaitRequest::new() })).err(),
        said("delete", client.delete(time(SHORT), &DeleteRequest { id: id(), ..DeleteRequest::new() })).err(),
        said("shutdown", client.shutdown(time(SHORT), &shutdown(true))).err(),
    ];
    all.into_iter().flatten().map(|error| format!("; {error}")).collect()
}

fn time(limit: Duration) -> ttrpc::context::Context {
    context::with_duration(limit)
}

fn said<T>(call: &str, answer: ttrpc::Result<T>) -> Result<T, String> {
    answer.map_err(|error| format!("{call}: {error}"))
}

fn kill() -> KillRequest {
    KillRequest { id: NAME.into(), signal: SIGKILL, all: true, ..KillRequest::new() }
}

fn shutdown(now: bool) -> ShutdownRequest {
    ShutdownRequest { id: NAME.into(), now, ..ShutdownRequest::new() }
}

fn exec() -> ExecProcessRequest {
    let process = serde_json::json!({
        "user": {"uid": 1000, "gid": 100}, "args": ["true"], "env": ["PATH=/bin"], "cwd": "/", "noNewPrivileges": true
    });
    let type_url = "types.containerd.io/opencontainers/runtime-spec/1/Process".to_owned();
    let spec = Any { type_url, value: process.to_string().into_bytes(), ..Any::new() };
    ExecProcessRequest {
        id: NAME.into(),
        exec_id: EXEC.into(),
        spec: MessageField::some(spec),
        ..ExecProcessRequest::new()
    }
}
