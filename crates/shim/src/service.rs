//! The calls of containerd: containerd.task.v2.Task and v3.Task, which are the same.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use containerd_shim_protos::api::{
    CheckpointTaskRequest, CloseIORequest, ConnectRequest, ConnectResponse, CreateTaskRequest,
    CreateTaskResponse, DeleteRequest, DeleteResponse, ExecProcessRequest, KillRequest, PauseRequest,
    PidsRequest, PidsResponse, ProcessInfo, ResizePtyRequest, ResumeRequest, ShutdownRequest, StartRequest,
    StartResponse, StateRequest, StateResponse, StatsRequest, StatsResponse, Status, UpdateTaskRequest,
    WaitRequest, WaitResponse,
};
use containerd_shim_protos::events::task::{TaskPaused, TaskResumed};
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::protobuf::{EnumOrUnknown, MessageField};
use containerd_shim_protos::shim::oci::ProcessDetails;
use containerd_shim_protos::shim_async;
use containerd_shim_protos::ttrpc::Result as Answer;
use containerd_shim_protos::ttrpc::r#async::TtrpcContext;
use libcontainer::RunState;
use libcontainer_oci::spec::resources_from_json;
use tokio::sync::{Notify, watch};

use crate::create::{self, Shim};
use crate::detached::{blocking, detached};
use crate::events::{packed, timestamp};
use crate::journal;
use crate::metrics;
use crate::process::{Exit, Process};
use crate::task::Task;
use crate::trouble::Trouble;

/// So long a pause waits for all processes to stand still.
const PAUSE: Duration = Duration::from_secs(10);

/// So long a first task is waited for.
const UNUSED: Duration = Duration::from_secs(30);

type Tasks = Arc<Mutex<BTreeMap<String, Option<Arc<Task>>>>>;

/// The tasks of a pod. One that is being made has its name, and nothing else yet.
#[derive(Debug)]
pub(crate) struct Service {
    shim: Shim,
    tasks: Tasks,
    /// Tells that one was made, or was not.
    made: Arc<Notify>,
    /// Whether a task was ever asked for.
    used: AtomicBool,
    done: watch::Sender<bool>,
}

impl Service {
    /// `done` becomes true when the shim is no longer wanted.
    pub(crate) fn new(shim: Shim, done: watch::Sender<bool>) -> Self {
        let (tasks, made) = (Tasks::default(), Arc::default());
        Self { shim, tasks, made, used: AtomicBool::new(false), done }
    }

    /// Ends the shim if nobody has come: who started it may have been killed before he knew where it is.
    pub(crate) async fn end_unused(&self) {
        tokio::time::sleep(UNUSED).await;
        if !self.used.load(Ordering::Acquire) {
            self.done.send_replace(true);
        }
    }

    fn found(&self, id: &str) -> Option<Option<Arc<Task>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// A task. One that is being made is waited for: who made it may have hung up meanwhile, and come back to end it.
    async fn task(&self, id: &str) -> Result<Arc<Task>, Trouble> {
        loop {
            match self.found(id) {
                Some(Some(task)) => return Ok(task),
                // ORDER: nothing else runs between the look and the wait, on the only thread of the runtime.
                Some(None) => self.made.notified().await,
                None => return Err(Trouble::not_found(format!("no task {id:?} in this shim"))),
            }
        }
    }

    async fn process(&self, id: &str, exec_id: &str) -> Result<(Arc<Task>, Arc<Process>), Trouble> {
        let task = self.task(id).await?;
        let process = task.process(exec_id)?;
        Ok((task, process))
    }
}

async fn create(
    tasks: Tasks,
    made: Arc<Notify>,
    shim: Shim,
    request: CreateTaskRequest,
) -> Result<u32, Trouble> {
    let reserved = Reserved::new(&tasks, made, &request.id)?;
    let task = create::create(shim, request).await?;
    let pid = task.first.pid();
    tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(reserved.id.clone(), Some(task));
    Ok(pid)
}

/// The name of a task that is being made. It is free again if none is made of it, however that comes: a shim with a name that is taken does not end.
struct Reserved {
    tasks: Tasks,
    made: Arc<Notify>,
    id: String,
}

impl Reserved {
    fn new(tasks: &Tasks, made: Arc<Notify>, id: &str) -> Result<Self, Trouble> {
        let mut all = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if all.contains_key(id) {
            return Err(Trouble::exists(format!("task {id:?} exists")));
        }
        all.insert(id.to_owned(), None);
        Ok(Self { tasks: Arc::clone(tasks), made, id: id.to_owned() })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut all = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&self.id).is_some_and(Option::is_none) {
            all.remove(&self.id);
        }
        self.made.notify_waiters();
    }
}

async fn delete(tasks: Tasks, task: Arc<Task>, exec_id: String) -> Result<(u32, Exit), Trouble> {
    if !exec_id.is_empty() {
        return task.forget(&exec_id).await;
    }
    // RACE: of two who delete it one does, and the name may be another's when the second comes.
    let turn = task.first.turn.lock().await;
    if !is_there(&tasks, &task) {
        return Err(Trouble::not_found(format!("task {:?} was deleted meanwhile", task.id)));
    }
    let exit = task.first.exit();
    let exit = exit
        .ok_or_else(|| Trouble::state(format!("task {:?} must be stopped before it is deleted", task.id)))?;
    task.destroy().await?;
    tasks.lock().unwrap_or_else(PoisonError::into_inner).remove(&task.id);
    task.tell_deleted(exit);
    drop(turn);
    Ok((task.first.pid(), exit))
}

fn is_there(tasks: &Tasks, task: &Arc<Task>) -> bool {
    let tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
    tasks.get(&task.id).and_then(Option::as_ref).is_some_and(|found| Arc::ptr_eq(found, task))
}

/// What a process does. Whether all stand still only the container tells.
async fn status(task: &Task, process: &Process) -> Result<Status, Trouble> {
    if process.exit().is_some() {
        return Ok(Status::STOPPED);
    }
    if !process.has_started() {
        return Ok(Status::CREATED);
    }
    let container = task.container.clone();
    Ok(match blocking(move || Ok(container.run_state()?)).await? {
        RunState::Paused => Status::PAUSED,
        RunState::Pausing => Status::PAUSING,
        // The end of the first process is told with its status: until that is known it runs.
        _ => Status::RUNNING,
    })
}

async fn pids(task: Arc<Task>) -> Result<Vec<ProcessInfo>, Trouble> {
    let container = task.container.clone();
    let found = blocking(move || Ok(container.processes()?)).await?;
    let execs = task.execs.lock().unwrap_or_else(PoisonError::into_inner);
    let by_pid: BTreeMap<u32, &String> = execs.iter().map(|(name, process)| (process.pid(), name)).collect();
    let shown = |pid: u32| {
        let mut info = ProcessInfo { pid, ..ProcessInfo::default() };
        if let Some(name) = by_pid.get(&pid) {
            let details = ProcessDetails { exec_id: (*name).clone(), ..ProcessDetails::default() };
            info.info = MessageField::some(packed("containerd.runc.v1.ProcessDetails", &details)?);
        }
        Ok(info)
    };
    found.into_iter().filter_map(|pid| u32::try_from(pid.as_raw()).ok()).map(shown).collect()
}

async fn update(task: Arc<Task>, request: UpdateTaskRequest) -> Result<(), Trouble> {
    let wrong = |text: String| Trouble::invalid(format!("resources for {:?}: {text}", task.id));
    let given = request.resources.as_ref().map(|any| any.value.as_slice()).unwrap_or_default();
    let (mut resources, mut notes) = resources_from_json(given).map_err(|error| wrong(error.to_string()))?;
    notes.extend(libcontainer_oci::leave_idle_weight(&mut resources, ""));
    notes.iter().for_each(|note| journal::warn(format!("resources for {:?}: {note}", task.id)));
    let resources = libcontainer_oci::resources(&resources).map_err(|problems| {
        let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
        wrong(all.join("; "))
    })?;
    let container = task.container.clone();
    blocking(move || Ok(container.update(&resources)?)).await
}

#[async_trait]
impl shim_async::Task for Service {
    async fn create(&self, _: &TtrpcContext, request: CreateTaskRequest) -> Answer<CreateTaskResponse> {
        self.used.store(true, Ordering::Release);
        let made = create(Arc::clone(&self.tasks), Arc::clone(&self.made), self.shim.clone(), request);
        let pid = detached(made).await?;
        Ok(CreateTaskResponse { pid, ..CreateTaskResponse::default() })
    }

    async fn start(&self, _: &TtrpcContext, request: StartRequest) -> Answer<StartResponse> {
        let task = self.task(&request.id).await?;
        let pid = if request.exec_id.is_empty() {
            detached(task.start()).await?
        } else {
            detached(task.start_exec(request.exec_id)).await?
        };
        Ok(StartResponse { pid, ..StartResponse::default() })
    }

    async fn state(&self, _: &TtrpcContext, request: StateRequest) -> Answer<StateResponse> {
        let (task, process) = self.process(&request.id, &request.exec_id).await?;
        let mut state = StateResponse::new();
        state.id.clone_from(&task.id);
        state.exec_id.clone_from(&process.exec_id);
        state.bundle = task.bundle.to_string_lossy().into_owned();
        state.pid = process.pid();
        state.status = EnumOrUnknown::new(status(&task, &process).await?);
        state.stdin.clone_from(&process.wanted.stdin);
        state.stdout.clone_from(&process.wanted.stdout);
        state.stderr.clone_from(&process.wanted.stderr);
        state.terminal = process.wanted.terminal;
        if let Some(exit) = process.exit() {
            state.exit_status = exit.status;
            state.exited_at = MessageField::some(timestamp(exit.at));
        }
        Ok(state)
    }

    async fn delete(&self, _: &TtrpcContext, request: DeleteRequest) -> Answer<DeleteResponse> {
        let task = self.task(&request.id).await?;
        let (pid, exit) = detached(delete(Arc::clone(&self.tasks), task, request.exec_id)).await?;
        let exited_at = MessageField::some(timestamp(exit.at));
        Ok(DeleteResponse { pid, exit_status: exit.status, exited_at, ..DeleteResponse::default() })
    }

    async fn pids(&self, _: &TtrpcContext, request: PidsRequest) -> Answer<PidsResponse> {
        let processes = pids(self.task(&request.id).await?).await?;
        Ok(PidsResponse { processes, ..PidsResponse::default() })
    }

    async fn pause(&self, _: &TtrpcContext, request: PauseRequest) -> Answer<Empty> {
        let task = self.task(&request.id).await?;
        detached(async move {
            let container = task.container.clone();
            blocking(move || Ok(container.pause_within(PAUSE)?)).await?;
            task.publisher.publish(&TaskPaused { container_id: task.id.clone(), ..TaskPaused::default() });
            Ok(())
        })
        .await?;
        Ok(Empty::new())
    }

    async fn resume(&self, _: &TtrpcContext, request: ResumeRequest) -> Answer<Empty> {
        let task = self.task(&request.id).await?;
        detached(async move {
            let container = task.container.clone();
            blocking(move || Ok(container.resume()?)).await?;
            task.publisher.publish(&TaskResumed { container_id: task.id.clone(), ..TaskResumed::default() });
            Ok(())
        })
        .await?;
        Ok(Empty::new())
    }

    async fn kill(&self, _: &TtrpcContext, request: KillRequest) -> Answer<Empty> {
        let task = self.task(&request.id).await?;
        let signal = i32::try_from(request.signal).map_err(|_| Trouble::invalid("no such signal"))?;
        detached(task.kill(request.exec_id, signal, request.all)).await?;
        Ok(Empty::new())
    }

    async fn exec(&self, _: &TtrpcContext, request: ExecProcessRequest) -> Answer<Empty> {
        self.task(&request.id).await?.add(&request)?;
        Ok(Empty::new())
    }

    async fn resize_pty(&self, _: &TtrpcContext, request: ResizePtyRequest) -> Answer<Empty> {
        let (_, process) = self.process(&request.id, &request.exec_id).await?;
        let size = (u16::try_from(request.height), u16::try_from(request.width));
        let (Ok(rows), Ok(columns)) = size else {
            let text = format!("{} rows, {} columns: at most 65535 each", request.height, request.width);
            return Err(Trouble::invalid(text).into());
        };
        // Of a process without a terminal nothing is to be done, as in the shim for runc.
        if let Some(terminal) = process.made().and_then(|made| made.handle.terminal.as_ref()) {
            terminal.resize(rows, columns).map_err(Trouble::from)?;
        }
        Ok(Empty::new())
    }

    async fn close_io(&self, _: &TtrpcContext, request: CloseIORequest) -> Answer<Empty> {
        let (_, process) = self.process(&request.id, &request.exec_id).await?;
        if let Some(made) = process.made().filter(|_| request.stdin) {
            made.streams.close_input();
        }
        Ok(Empty::new())
    }

    async fn update(&self, _: &TtrpcContext, request: UpdateTaskRequest) -> Answer<Empty> {
        let task = self.task(&request.id).await?;
        detached(update(task, request)).await?;
        Ok(Empty::new())
    }

    async fn wait(&self, _: &TtrpcContext, request: WaitRequest) -> Answer<WaitResponse> {
        let (_, process) = self.process(&request.id, &request.exec_id).await?;
        let exit = process.wait().await?;
        let exited_at = MessageField::some(timestamp(exit.at));
        Ok(WaitResponse { exit_status: exit.status, exited_at, ..WaitResponse::default() })
    }

    async fn stats(&self, _: &TtrpcContext, request: StatsRequest) -> Answer<StatsResponse> {
        let container = self.task(&request.id).await?.container.clone();
        let stats = blocking(move || metrics::read(&container)).await?;
        Ok(StatsResponse { stats: MessageField::some(stats), ..StatsResponse::default() })
    }

    async fn connect(&self, _: &TtrpcContext, request: ConnectRequest) -> Answer<ConnectResponse> {
        // The shim is there before its first task is.
        let task_pid = self.found(&request.id).flatten().map_or(0, |task| task.first.pid());
        let mut answer = ConnectResponse::new();
        answer.shim_pid = std::process::id();
        answer.task_pid = task_pid;
        env!("CARGO_PKG_VERSION").clone_into(&mut answer.version);
        Ok(answer)
    }

    async fn checkpoint(&self, _: &TtrpcContext, request: CheckpointTaskRequest) -> Answer<Empty> {
        let task = self.task(&request.id).await?;
        detached(async move { crate::checkpoint::checkpoint(&task, &request).await }).await?;
        Ok(Empty::new())
    }

    async fn shutdown(&self, _: &TtrpcContext, _: ShutdownRequest) -> Answer<Empty> {
        // As long as others of the pod are here the shim is theirs.
        if self.tasks.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.done.send_replace(true);
        }
        Ok(Empty::new())
    }
}
