//! `test --clients`: podman, buildah, containerd and docker with a runtime each, by the scripts in `tests/clients/`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::criu;
use crate::run::{cargo, check, find, root};
use crate::tools::{self, BUSYBOX, PROTOC, Tool, tool};

const CLIENTS: [&str; 5] = ["podman", "buildah", "containerd", "docker", CRI];
/// Kubernetes' way in.
const CRI: &str = "cri";
const RUNTIMES: [&str; 4] = ["nsinit", "crun", "runc", SHIM];
/// Our shim is no runtime of commands: containerd alone calls it, also for `cri`.
const SHIM: &str = "shim";
const SHIM_PROGRAM: &str = "containerd-shim-nsinit-v2";

const TOOLS: [Tool; 19] = [
    tool("podman", "podman", "is a client"),
    tool("buildah", "buildah", "is a client"),
    tool("containerd", "containerd", "is a client"),
    tool("dockerd", "docker.io", "is a client"),
    tool("conmon", "conmon", "holds the containers of podman"),
    tool("catatonit", "catatonit", "is the first process of podman's pods"),
    tool("netavark", "netavark", "makes the networks of podman"),
    tool("aardvark-dns", "aardvark-dns", "resolves names for podman"),
    tool("slirp4netns", "slirp4netns", "connects podman's containers of ordinary users"),
    tool("fuse-overlayfs", "fuse-overlayfs", "is storage of ordinary users"),
    tool("newuidmap", "uidmap", "maps more than one id without root"),
    tool("iptables", "iptables", "publishes ports"),
    tool("crun", "crun", "is compared"),
    tool("runc", "runc", "is compared"),
    tool("criu", "criu", "makes checkpoints"),
    tool("host-local", "containernetworking-plugins", "connects pods"),
    PROTOC,
    tool("jq", "jq", "changes configurations"),
    BUSYBOX,
];

/// Programs that no PATH leads to, and where they are. The plugin `bridge` has the name of a program of iproute2, so another stands for its package.
const ELSEWHERE: [(&str, &str); 3] =
    [("netavark", "/usr/lib/podman"), ("aardvark-dns", "/usr/lib/podman"), ("host-local", "/usr/lib/cni")];

/// What `ci` runs: some seconds of each.
const SHORT: [(&str, &str); 4] = [
    (
        "podman",
        "exit_codes arguments logs missing_program not_executable exec_codes exec_output exec_is_confined",
    ),
    ("buildah", "missing_program not_executable signalled"),
    ("containerd", "runs codes output read_only namespaces missing_program"),
    ("docker", "runs codes output missing_program not_executable missing_source runtime_is_ours"),
];

/// What is to be run.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    clients: Vec<String>,
    runtimes: Vec<String>,
}

/// The last line of a script: how many cases ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    ok: usize,
    failed: usize,
    skipped: usize,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    if !tools::is_root()? {
        bail!("only root can make the worlds in which the clients run");
    }
    install()?;
    criu::fetch();
    let mut table = Vec::new();
    let mut failed = false;
    for runtime in &options.runtimes {
        let path = program(runtime)?;
        for client in options.clients.iter().filter(|client| fits(client, runtime)) {
            println!("== {client} with {}", path.display());
            let counts = script(client, &path, None)?;
            failed |= counts.is_none_or(|counts| counts.failed > 0);
            table.push((client.clone(), runtime.clone(), counts));
        }
    }
    show(&options, &table);
    if failed {
        bail!("cases failed");
    }
    Ok(())
}

/// A few cases of each client with nsinit, for `ci`: the way of a client from image to exit code, programs that are missing, a second program.
pub(crate) fn short() -> Result<()> {
    install()?;
    let path = program("nsinit")?;
    for (client, cases) in SHORT {
        println!("== {client}: {cases}");
        let counts = script(client, &path, Some(cases))?;
        if counts.is_none_or(|counts| counts.failed > 0 || counts.ok == 0) {
            bail!("{client}: cases failed");
        }
    }
    Ok(())
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self { clients: Vec::new(), runtimes: Vec::new() };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            match arg.as_str() {
                "--clients" => {}
                "--runtime" => {
                    let names =
                        rest.next().context("--runtime needs names or paths, with commas between them")?;
                    options.runtimes.extend(names.split(',').map(str::to_owned));
                }
                name if CLIENTS.contains(&name) => options.clients.push(name.to_owned()),
                name => bail!("no client {name}: there are {}", CLIENTS.join(", ")),
            }
        }
        if options.clients.is_empty() {
            options.clients = CLIENTS.map(str::to_owned).to_vec();
        }
        if options.runtimes.is_empty() {
            options.runtimes = RUNTIMES.map(str::to_owned).to_vec();
        }
        Ok(options)
    }
}

/// Installs what is missing, but lets no service start that a package brings.
fn install() -> Result<()> {
    let wanted: Vec<Tool> = TOOLS.into_iter().filter(|tool| !elsewhere(tool.program)).collect();
    if tools::missing(&wanted)?.is_empty() {
        return Ok(());
    }
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let ours = !policy.exists();
    if ours {
        std::fs::write(policy, "#!/bin/sh\nexit 101\n").with_context(|| policy.display().to_string())?;
        check(Command::new("chmod").arg("755").arg(policy))?;
    }
    let left = tools::install(&wanted);
    if ours {
        std::fs::remove_file(policy).with_context(|| policy.display().to_string())?;
    }
    let left: Vec<_> = left?.iter().map(|tool| tool.program).filter(|name| !elsewhere(name)).collect();
    if !left.is_empty() {
        bail!("not there: {}", left.join(" "));
    }
    Ok(())
}

fn elsewhere(program: &str) -> bool {
    ELSEWHERE.iter().any(|(name, dir)| *name == program && Path::new(dir).join(program).exists())
}

/// Whether a client can do with a runtime.
fn fits(client: &str, runtime: &str) -> bool {
    let is_shim = runtime == SHIM
        || runtime.rsplit('/').next().is_some_and(|name| name.starts_with("containerd-shim-"));
    !is_shim || ["containerd", CRI].contains(&client)
}

/// A runtime by its name or path; ours are built.
fn program(runtime: &str) -> Result<PathBuf> {
    let ours = [("nsinit", "nsinit", "nsinit"), (SHIM, "containerd-shim-nsinit", SHIM_PROGRAM)];
    if let Some((_, package, program)) = ours.iter().find(|(name, ..)| *name == runtime) {
        check(&mut cargo(&["build", "--quiet", "-p", package]))?;
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        return Ok(target.join("debug").join(program));
    }
    if runtime.contains('/') {
        return Ok(PathBuf::from(runtime));
    }
    find(runtime).with_context(|| format!("no program {runtime} in the PATH"))
}

/// The client of the CRI, which is built: a workspace of its own.
fn cri_client() -> Result<PathBuf> {
    let dir = root().join("tests/cri");
    check(cargo(&["build", "--quiet", "--manifest-path"]).arg(dir.join("Cargo.toml")))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| dir.join("target"), PathBuf::from);
    Ok(target.join("debug/cri"))
}

/// Shows what a script says. Nothing if it did not come to its last line, or ended badly without telling of a failure.
fn script(client: &str, runtime: &Path, only: Option<&str>) -> Result<Option<Counts>> {
    let path = root().join(format!("tests/clients/{client}.sh"));
    let mut command = Command::new("bash");
    if client == CRI {
        command.env("CRI", cri_client()?);
    }
    if let Some(cases) = only {
        command.env("CLIENTS_ONLY", cases);
    }
    // A criu that knows this kernel comes before the system's.
    let search = std::env::var_os("PATH").unwrap_or_default();
    let dirs = criu::program().and_then(|program| program.parent().map(Path::to_path_buf)).into_iter();
    command.env("PATH", std::env::join_paths(dirs.chain(std::env::split_paths(&search)))?);
    command.arg(&path).arg(runtime).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    let mut counts = None;
    for line in BufReader::new(child.stdout.take().context("no output")?).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counts = Counts::read(&line).or(counts);
    }
    let status = child.wait()?;
    Ok(counts.filter(|counts| status.success() || counts.failed > 0))
}

impl Counts {
    /// Reads `podman crun: 118 ok, 0 failed, 2 skipped`.
    fn read(line: &str) -> Option<Self> {
        let (_, numbers) = line.split_once(": ")?;
        let mut parts = numbers.split(", ");
        let mut next = |word: &str| parts.next()?.strip_suffix(word)?.trim_end().parse().ok();
        Some(Self { ok: next("ok")?, failed: next("failed")?, skipped: next("skipped")? })
    }
}

fn show(options: &Options, table: &[(String, String, Option<Counts>)]) {
    print!("{:12}", "");
    for runtime in &options.runtimes {
        print!(" {:>32}", runtime.rsplit('/').next().unwrap_or(runtime));
    }
    println!();
    for client in &options.clients {
        print!("{client:12}");
        for runtime in &options.runtimes {
            let row = table.iter().find(|(name, of, _)| name == client && of == runtime);
            let cell = match row.map(|(.., counts)| counts) {
                None => "-".to_owned(),
                Some(None) => "did not end".to_owned(),
                Some(Some(Counts { ok, failed, skipped })) => {
                    format!("{ok} ok, {failed} failed, {skipped} skipped")
                }
            };
            print!(" {cell:>32}");
        }
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_last_line_of_a_script_is_read() {
        let counts = Counts { ok: 118, failed: 1, skipped: 2 };
        assert_eq!(Counts::read("podman crun: 118 ok, 1 failed, 2 skipped"), Some(counts));
        for line in ["ok logs", "FAILED logs (code 1, 0 s)", "skipped x: 1 ok", "a b: 1 ok, 2 failed", ""] {
            assert_eq!(Counts::read(line), None, "{line}");
        }
    }

    #[test]
    fn names_choose_clients_and_runtimes() {
        let options = Options::parse(&words(&["--clients", "docker", "--runtime", "crun,/a/b"])).unwrap();
        assert_eq!(options, Options { clients: words(&["docker"]), runtimes: words(&["crun", "/a/b"]) });
        let all = Options::parse(&words(&["--clients"])).unwrap();
        assert_eq!((all.clients, all.runtimes), (words(&CLIENTS), words(&RUNTIMES)));
        assert!(Options::parse(&words(&["--clients", "dokcer"])).is_err());
        assert!(Options::parse(&words(&["--clients", "--runtime"])).is_err());
    }
}
