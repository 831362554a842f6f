//! A client of the CRI, for tests: one call per run, its result on standard output.

#![forbid(unsafe_code)]

mod configs;
mod stream;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use hyper_util::rt::TokioIo;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerState, ContainerStatsRequest, ContainerStatusRequest, CreateContainerRequest, ExecRequest,
    ExecSyncRequest, LinuxContainerResources, ListContainersRequest, ListPodSandboxRequest,
    PodSandboxStatusRequest, PortForwardRequest, RemoveContainerRequest, RemovePodSandboxRequest,
    RunPodSandboxRequest, StartContainerRequest, StatusRequest, StopContainerRequest, StopPodSandboxRequest,
    UpdateContainerResourcesRequest,
};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use configs::{container_config, pod_config};

const USAGE: &str = "cri SOCKET CALL ARGUMENT…:
    version | ready
    run-pod NAME HANDLER [OPTION…] | stop-pod POD | remove-pod POD | pod-ip POD | pods
    create POD POD-NAME NAME [OPTION…] -- WORD…
    start ID | stop ID SECONDS | remove ID | state ID | containers | stats ID | update ID MEMORY
    exec ID -- WORD… | exec-stream ID -- WORD… | forward POD PORT
OPTION: logs=DIR parent=GROUP host-network share-pids memory=BYTES cpu=MICROSECONDS tty user=UID privileged read-only env=NAME=VALUE";

/// How long a program may take that is executed: an emulated machine is slow.
const SECONDS: i64 = 100;

type Client = RuntimeServiceClient<Channel>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("no runtime").and_then(|runtime| runtime.block_on(run(&words))) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cri: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[String]) -> Result<u8> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [socket, call, arguments @ ..] = words.as_slice() else { bail!("{USAGE}") };
    let client = connect(socket).await?;
    match call {
        &"exec" => exec(client, arguments).await,
        &"exec-stream" => exec_stream(client, arguments).await,
        call => {
            let text = match answer_of_pod(client.clone(), call, arguments).await? {
                Some(text) => Some(text),
                None => answer_of_container(client, call, arguments).await?,
            };
            let text = text.with_context(|| format!("no call {call}\n{USAGE}"))?;
            writeln!(std::io::stdout(), "{text}")?;
            Ok(0)
        }
    }
}

async fn connect(socket: &str) -> Result<Client> {
    let path = socket.to_owned();
    let connector = service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://[::]").connect_with_connector(connector).await;
    Ok(Client::new(channel.with_context(|| format!("connect to {socket}"))?))
}

/// Nothing if that is no call about pods.
async fn answer_of_pod(mut client: Client, call: &str, arguments: &[&str]) -> Result<Option<String>> {
    Ok(Some(match (call, arguments) {
        ("ready", []) => {
            let status = client.status(StatusRequest { verbose: false }).await?.into_inner();
            let conditions = status.status.context("no status")?.conditions;
            let not: Vec<_> = conditions.iter().filter(|found| !found.status).collect();
            if !not.is_empty() {
                bail!("not ready: {not:?}");
            }
            "ready".to_owned()
        }
        ("run-pod", [name, handler, options @ ..]) => {
            let config = Some(pod_config(name, options)?);
            let request = RunPodSandboxRequest { config, runtime_handler: (*handler).to_owned() };
            client.run_pod_sandbox(request).await?.into_inner().pod_sandbox_id
        }
        ("stop-pod", [pod]) => {
            client.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: (*pod).to_owned() }).await?;
            String::new()
        }
        ("remove-pod", [pod]) => {
            client.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: (*pod).to_owned() }).await?;
            String::new()
        }
        ("pod-ip", [pod]) => {
            let request = PodSandboxStatusRequest { pod_sandbox_id: (*pod).to_owned(), verbose: false };
            let status =
                client.pod_sandbox_status(request).await?.into_inner().status.context("no status")?;
            status.network.context("no network")?.ip
        }
        ("pods", []) => {
            let items =
                client.list_pod_sandbox(ListPodSandboxRequest { filter: None }).await?.into_inner().items;
            items.iter().map(|pod| format!("{} {:?}\n", pod.id, pod.state())).collect()
        }
        ("forward", [pod, port]) => {
            let port = port.parse()?;
            let request = PortForwardRequest { pod_sandbox_id: (*pod).to_owned(), port: vec![port] };
            let url = client.port_forward(request).await?.into_inner().url;
            stream::forwarded(&url, port, b"GET / HTTP/1.0\r\n\r\n").await?
        }
        _ => return Ok(None),
    }))
}

async fn answer_of_container(mut client: Client, call: &str, arguments: &[&str]) -> Result<Option<String>> {
    Ok(Some(match (call, arguments) {
        ("create", [pod, pod_name, name, rest @ ..]) => {
            let (options, words) = split(rest)?;
            let config = Some(container_config(name, options, words)?);
            let sandbox_config = Some(pod_config(pod_name, options)?);
            let request =
                CreateContainerRequest { pod_sandbox_id: (*pod).to_owned(), config, sandbox_config };
            client.create_container(request).await?.into_inner().container_id
        }
        ("start", [id]) => {
            client.start_container(StartContainerRequest { container_id: (*id).to_owned() }).await?;
            String::new()
        }
        ("stop", [id, seconds]) => {
            let request = StopContainerRequest { container_id: (*id).to_owned(), timeout: seconds.parse()? };
            client.stop_container(request).await?;
            String::new()
        }
        ("remove", [id]) => {
            client.remove_container(RemoveContainerRequest { container_id: (*id).to_owned() }).await?;
            String::new()
        }
        ("state", [id]) => state(&mut client, id).await?,
        ("containers", []) => {
            let found =
                client.list_containers(ListContainersRequest { filter: None }).await?.into_inner().containers;
            found.iter().map(|one| format!("{} {:?}\n", one.id, one.state())).collect()
        }
        ("stats", [id]) => {
            let request = ContainerStatsRequest { container_id: (*id).to_owned() };
            let stats = client.container_stats(request).await?.into_inner().stats.context("no stats")?;
            let memory =
                stats.memory.and_then(|memory| memory.working_set_bytes).map_or(0, |value| value.value);
            let cpu = stats.cpu.and_then(|cpu| cpu.usage_core_nano_seconds).map_or(0, |value| value.value);
            format!("memory {memory} cpu {cpu}")
        }
        ("update", [id, memory]) => {
            let memory_limit_in_bytes = memory.parse()?;
            let linux = Some(LinuxContainerResources { memory_limit_in_bytes, ..Default::default() });
            let container_id = (*id).to_owned();
            let request = UpdateContainerResourcesRequest { container_id, linux, ..Default::default() };
            client.update_container_resources(request).await?;
            String::new()
        }
        _ => return Ok(None),
    }))
}

/// `RUNNING`, or `EXITED CODE REASON`.
async fn state(client: &mut Client, id: &str) -> Result<String> {
    let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
    let status = client.container_status(request).await?.into_inner().status.context("no status")?;
    Ok(match status.state() {
        ContainerState::ContainerCreated => "CREATED".to_owned(),
        ContainerState::ContainerRunning => "RUNNING".to_owned(),
        ContainerState::ContainerExited => format!("EXITED {} {}", status.exit_code, status.reason),
        ContainerState::ContainerUnknown => "UNKNOWN".to_owned(),
    })
}

async fn exec(mut client: Client, arguments: &[&str]) -> Result<u8> {
    let [id, rest @ ..] = arguments else { bail!("{USAGE}") };
    let request =
        ExecSyncRequest { container_id: (*id).to_owned(), cmd: owned(split(rest)?.1), timeout: SECONDS };
    let done = client.exec_sync(request).await?.into_inner();
    std::io::stdout().write_all(&done.stdout)?;
    std::io::stderr().write_all(&done.stderr)?;
    Ok(u8::try_from(done.exit_code).unwrap_or(255))
}

async fn exec_stream(mut client: Client, arguments: &[&str]) -> Result<u8> {
    let [id, rest @ ..] = arguments else { bail!("{USAGE}") };
    let cmd = owned(split(rest)?.1);
    let request =
        ExecRequest { container_id: (*id).to_owned(), cmd, stdout: true, stderr: true, ..Default::default() };
    let url = client.exec(request).await?.into_inner().url;
    std::io::stdout().write_all(&stream::output(&url).await?)?;
    Ok(0)
}

/// What stands before `--` and behind it.
fn split<'a, 'b>(words: &'b [&'a str]) -> Result<(&'b [&'a str], &'b [&'a str])> {
    let at = words.iter().position(|word| *word == "--").context("no -- before the words of the program")?;
    Ok((words.get(..at).unwrap_or_default(), words.get(at + 1..).unwrap_or_default()))
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
