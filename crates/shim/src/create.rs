//! A new task.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use containerd_shim_protos::api::CreateTaskRequest;
use containerd_shim_protos::events::task::{TaskCreate, TaskIO};
use containerd_shim_protos::protobuf::MessageField;
use libcontainer::{Config, Container, Factory, NamespaceKind, ProcessConfig, RestoreOptions};
use libcontainer_oci::{Converted, Options, Spec};

use crate::detached::blocking;
use crate::events::Publisher;
use crate::process::{Made, Process};
use crate::streams::Wanted;
use crate::task::Task;
use crate::trouble::Trouble;
use crate::{checkpoint, journal, left, oom, options, place, rootfs};

/// What has to be known of the shim.
#[derive(Clone, Debug)]
pub(crate) struct Shim {
    pub(crate) namespace: String,
    pub(crate) publisher: Publisher,
}

/// What is made, and where.
struct Plan {
    bundle: PathBuf,
    container: PathBuf,
    converted: Converted,
    /// It is made of images.
    restore: Option<RestoreOptions>,
}

/// Makes the container of a bundle, whose first process waits.
///
/// # Errors
/// What failed; nothing of it remains.
pub(crate) async fn create(shim: Shim, request: CreateTaskRequest) -> Result<Arc<Task>, Trouble> {
    let wanted = Wanted {
        terminal: request.terminal,
        stdin: request.stdin.clone(),
        stdout: request.stdout.clone(),
        stderr: request.stderr.clone(),
    };
    let (read, namespace) = (request.clone(), shim.namespace.clone());
    let plan = blocking(move || plan(&namespace, &read)).await?;
    let mut process =
        plan.converted.process.as_ref().map_or_else(ProcessConfig::default, |parts| parts.config());
    let mut streams = wanted.open(&mut process)?;
    let outlived = !plan.converted.config.namespaces.is_new(NamespaceKind::Pid);
    let (bundle, mounts) = (plan.bundle.clone(), request.rootfs.clone());
    let made = blocking(move || make(&plan, &mounts, process)).await;
    let (container, handle) = made.inspect_err(|_| left::reap())?;
    let attached = streams.attach(handle.terminal.as_ref());
    let task = Arc::new(Task {
        id: request.id.clone(),
        bundle,
        container,
        outlived,
        restored: !request.checkpoint.is_empty(),
        first: Arc::new(Process::first(wanted, Made { handle, streams })),
        execs: std::sync::Mutex::default(),
        publisher: shim.publisher.clone(),
        out_of_memory: false.into(),
    });
    if let Err(trouble) = attached.and_then(|()| task.watch(&task.first)) {
        return Err(trouble.and(task.destroy().await));
    }
    oom::watch(&task);
    shim.publisher.publish(&event(&request, &task));
    Ok(task)
}

/// Reads everything; changes nothing.
fn plan(namespace: &str, request: &CreateTaskRequest) -> Result<Plan, Trouble> {
    let given = options::read(request.options.as_ref())?;
    let bundle = PathBuf::from(&request.bundle);
    if !bundle.is_absolute() {
        return Err(Trouble::invalid(format!("bundle {}: must be absolute", bundle.display())));
    }
    let options = Options {
        bundle: bundle.clone(),
        id: request.id.clone(),
        systemd_cgroup: given.systemd_cgroup,
        no_pivot: given.no_pivot_root,
        no_new_keyring: given.no_new_keyring,
        cgroups: true,
        rootless: false,
    };
    let converted = converted(&bundle.join("config.json"), &options)?;
    let container = place::container(&given.root, namespace, &request.id)?;
    let is_restored = !request.checkpoint.is_empty();
    let restore = is_restored.then(|| checkpoint::restored(&request.checkpoint, &bundle, &given));
    Ok(Plan { bundle, container, converted, restore })
}

fn converted(path: &Path, options: &Options) -> Result<Converted, Trouble> {
    let name = path.display();
    let text = place::read(path)?.ok_or_else(|| Trouble::not_found(format!("{name}: no such file")))?;
    let spec = Spec::from_json(&text).map_err(|error| Trouble::invalid(format!("{name}: {error}")))?;
    let converted = libcontainer_oci::convert(&spec, options).map_err(|problems| {
        let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Trouble::invalid(format!("{name}: {}", all.join("; ")))
    })?;
    for warning in &converted.grave {
        journal::warn(format_args!("{name}: {warning}"));
    }
    if converted.process.is_none() {
        return Err(Trouble::invalid(format!(
            "{name}: /process: missing, and containerd starts what it creates"
        )));
    }
    Ok(converted)
}

fn make(
    plan: &Plan,
    mounts: &[containerd_shim_protos::api::Mount],
    process: ProcessConfig,
) -> Result<(Container, libcontainer::Process), Trouble> {
    place::ready(&plan.container)?;
    // ORDER: before anything is made: `delete` finds by it what a shim that is killed here has left.
    place::note(&plan.bundle, &plan.container)?;
    let rootfs = plan.bundle.join("rootfs");
    rootfs::mount(&rootfs, mounts)?;
    let factory = Factory::new()?.warnings(|error| journal::warn(error));
    let config = Config { tty: process.terminal, ..plan.converted.config.clone() };
    let made = match &plan.restore {
        None => factory.create_with(&plan.container, &config, process),
        Some(options) => factory.restore(&plan.container, &config, process, options),
    };
    made.map_err(|error| {
        let trouble = Trouble::from(error);
        if mounts.is_empty() { trouble } else { trouble.and(rootfs::unmount(&rootfs)) }
    })
}

fn event(request: &CreateTaskRequest, task: &Task) -> TaskCreate {
    let io = TaskIO {
        stdin: request.stdin.clone(),
        stdout: request.stdout.clone(),
        stderr: request.stderr.clone(),
        terminal: request.terminal,
        ..TaskIO::default()
    };
    TaskCreate {
        container_id: request.id.clone(),
        bundle: request.bundle.clone(),
        rootfs: request.rootfs.clone(),
        io: MessageField::some(io),
        pid: task.first.pid(),
        ..TaskCreate::default()
    }
}
