//! The shim as containerd calls it: calls that come at once.
#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use containerd_shim_protos::api::{
    CreateTaskRequest, DeleteRequest, Empty, ExecProcessRequest, ForwardRequest, KillRequest,
    ShutdownRequest, StartRequest, StateRequest, WaitRequest,
};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim_sync::{Client, Events, TaskClient, create_events};
use containerd_shim_protos::ttrpc::{self, Code, Server, TtrpcContext, context};
use libcontainer_tests::{Place, World, able};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);
const ID: &str = "task";

/// What is told of containers.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Events for Told {
    fn forward(&self, _: &TtrpcContext, request: ForwardRequest) -> ttrpc::Result<Empty> {
        self.0.lock().unwrap().push(request.envelope.topic.clone());
        Ok(Empty::new())
    }
}

/// A shim with a bundle.
struct Shim {
    child: Child,
    client: TaskClient,
    place: Place,
    told: Told,
    events: Option<Server>,
}

impl Shim {
    fn new(name: &str) -> Self {
        let place = Place::new(name);
        place.rootfs().unwrap();
        let spec = json!({
            "ociVersion": "1.0.2", "root": {"path": "rootfs"},
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["sleep", "1000"], "env": ["PATH=/bin"], "cwd": "/"},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}],
                "cgroupsPath": place.cgroup().path
            }
        });
        std::fs::write(place.join("config.json"), spec.to_string()).unwrap();
        let told = Told::default();
        let address = place.join("events");
        let events = Server::new().bind(&format!("unix://{}", address.display())).unwrap();
        let mut events = events.register_service(create_events(Arc::new(told.clone())));
        events.start().unwrap();
        let socket = place.join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_containerd-shim-nsinit-v2"))
            .args(["-namespace", "tests", "-id", ID, "-address", "/containerd"])
            .arg("-bundle")
            .arg(place.path())
            .arg("-socket")
            .arg(&socket)
            .env("TTRPC_ADDRESS", address)
            .stdin(OwnedFd::from(listener))
            .current_dir(place.path())
            .spawn()
            .unwrap();
        let client = TaskClient::new(Client::connect(&format!("unix://{}", socket.display())).unwrap());
        Self { child, client, place, told, events: Some(events) }
    }

    fn create(&self) {
        // `root` is field 7 of `containerd.runc.v1.Options`, a text.
        let root: PathBuf = self.place.join("state");
        let root = root.to_str().unwrap().as_bytes();
        let mut value = vec![0x3a, u8::try_from(root.len()).unwrap()];
        value.extend(root);
        let options = Any { type_url: "containerd.runc.v1.Options".into(), value, ..Any::new() };
        let request = CreateTaskRequest {
            id: ID.into(),
            bundle: self.place.path().display().to_string(),
            options: MessageField::some(options),
            ..CreateTaskRequest::new()
        };
        self.client.create(time(), &request).unwrap();
        start(&self.client, "").unwrap();
    }

    fn exec(&self, exec_id: &str) {
        let process = json!({"user": {"uid": 0, "gid": 0}, "args": ["sleep", "1000"], "env": ["PATH=/bin"], "cwd": "/"});
        let spec = Any { value: process.to_string().into_bytes(), ..Any::new() };
        let request = ExecProcessRequest {
            id: ID.into(),
            exec_id: exec_id.into(),
            spec: MessageField::some(spec),
            ..ExecProcessRequest::new()
        };
        self.client.exec(time(), &request).unwrap();
    }

    fn end(&self, exec_id: &str) {
        let (id, exec_id) = (ID.to_owned(), exec_id.to_owned());
        let kill = KillRequest { id: id.clone(), exec_id: exec_id.clone(), signal: 9, ..KillRequest::new() };
        self.client.kill(time(), &kill).unwrap();
        self.client.wait(time(), &WaitRequest { id, exec_id, ..WaitRequest::new() }).unwrap();
    }

    /// Ends the shim, which has no task left. How often it has told that one was deleted.
    fn leave(mut self) -> usize {
        self.client.shutdown(time(), &ShutdownRequest { id: ID.into(), ..ShutdownRequest::new() }).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.events.take().unwrap().shutdown();
        assert_eq!(World::look(self.place.path()).groups().count(), 0);
        assert_eq!(std::fs::read_dir(self.place.join("state/tests")).unwrap().count(), 0);
        self.told.0.lock().unwrap().iter().filter(|topic| *topic == "/tasks/delete").count()
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        // One that is left by a test that fails keeps what that writes to open.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn time() -> context::Context {
    context::with_duration(LIMIT)
}

fn start(client: &TaskClient, exec_id: &str) -> ttrpc::Result<u32> {
    let request = StartRequest { id: ID.into(), exec_id: exec_id.into(), ..StartRequest::new() };
    client.start(time(), &request).map(|answer| answer.pid)
}

fn delete(client: &TaskClient, exec_id: &str) -> ttrpc::Result<u32> {
    let request = DeleteRequest { id: ID.into(), exec_id: exec_id.into(), ..DeleteRequest::new() };
    client.delete(time(), &request).map(|answer| answer.exit_status)
}

/// Whether it was refused by that code.
fn is<T>(answer: &ttrpc::Result<T>, code: Code) -> bool {
    matches!(answer, Err(ttrpc::Error::RpcStatus(status)) if status.code() == code)
}

#[test]
fn a_process_that_is_deleted_while_it_starts_is_either_known_or_does_not_run() {
    if !able("a_process_that_is_deleted_while_it_starts_is_either_known_or_does_not_run") {
        return;
    }
    let shim = Shim::new("shim-forget");
    shim.create();
    for number in 0..24 {
        let name = format!("e{number}");
        shim.exec(&name);
        let (client, exec_id) = (shim.client.clone(), name.clone());
        let starting = thread::spawn(move || start(&client, &exec_id));
        thread::sleep(Duration::from_micros(500 * number));
        let deleted = delete(&shim.client, &name);
        match starting.join().unwrap() {
            Ok(_) => {
                assert!(is(&deleted, Code::FAILED_PRECONDITION), "{number}: it runs: {deleted:?}");
                shim.end(&name);
                assert_eq!(delete(&shim.client, &name).unwrap(), 137);
            }
            refused => {
                assert!(is(&refused, Code::NOT_FOUND), "{number}: {refused:?}");
                assert_eq!(deleted.unwrap(), 255);
            }
        }
    }
    shim.end("");
    delete(&shim.client, "").unwrap();
    shim.leave();
}

#[test]
fn of_two_who_delete_a_task_one_does() {
    if !able("of_two_who_delete_a_task_one_does") {
        return;
    }
    let shim = Shim::new("shim-delete");
    for number in 0..6 {
        shim.create();
        shim.end("");
        let both = [(); 2].map(|()| {
            let client = shim.client.clone();
            thread::spawn(move || delete(&client, ""))
        });
        let both = both.map(|one| one.join().unwrap());
        let done = both.iter().filter(|answer| answer.is_ok()).count();
        let refused = both.iter().filter(|answer| is(answer, Code::NOT_FOUND)).count();
        assert_eq!((done, refused), (1, 1), "{number}: {both:?}");
        let request = StateRequest { id: ID.into(), ..StateRequest::new() };
        assert!(is(&shim.client.state(time(), &request), Code::NOT_FOUND));
    }
    assert_eq!(shim.leave(), 6);
}
