//! `try`: a container made of nothing but what this host has.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use libcontainer::mount::{IdMapping, Mount, MountConfig};
use libcontainer::{
    Config, Container, Factory, NamespaceKind, Namespaces, Network, Process, ProcessConfig, Stdio,
};

use crate::root::State;
use crate::{Failure, Outcome, TryArgs, foreground, inside, program, timeline};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Directories that are links into /usr on merged systems and directories on others.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// Parts of the host's /etc without which programs of its /usr don't run; read-only.
const FROM_ETC: [&str; 4] = ["alternatives", "ld.so.cache", "ssl", "terminfo"];
/// Capabilities of 2014's sample configs.
const KEEP: [&str; 12] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
];

pub(crate) fn run(root: &State, args: &TryArgs) -> Outcome {
    let own = |failure: Failure| Failure { code: 125, ..failure };
    let signals = foreground::Signals::take().map_err(own)?;
    let scratch = Scratch::new(root).map_err(own)?;
    let shown = args.command.is_empty();
    let (mut config, process) = if shown { itself(&scratch) } else { host(&scratch, args) }.map_err(own)?;
    if args.net {
        let root = nix::unistd::geteuid().is_root();
        config.networks.push(if root { private_network().map_err(own)? } else { borrowed_network() });
    }
    let factory = Factory::new().map_err(|error| own(error.into()))?.trace(shown || args.timeline.is_some());
    let (container, mut process) =
        factory.run(&scratch.container, &config, process).map_err(|error| exit_code(&error))?;
    let _destroyed = Destroy(container);
    if let Some(file) = &args.timeline {
        fs::write(file, timeline::svg(&process.timeline))
            .map_err(|error| Failure::new(125, format!("{}: {error}", file.display())))?;
    }
    if shown {
        tell(&mut process);
    }
    Ok(foreground::wait(&signals, &mut process).map_err(own)?.shell_code())
}

/// 127 if the command is not there, 126 if it can't be run, 125 if anything before failed.
fn exit_code(error: &libcontainer::Error) -> Failure {
    let at_exec = error.step().is_some_and(|step| step.call.starts_with("execve"));
    let code = match error.errno() {
        Some(2 | 20) if at_exec => 127,
        _ if at_exec => 126,
        _ => 125,
    };
    Failure::new(code, program::text(error))
}

/// Destroys the container on every way out.
struct Destroy(Container);

impl Drop for Destroy {
    fn drop(&mut self) {
        if let Err(error) = self.0.destroy() {
            eprintln!("nsinit: {error}");
        }
    }
}

/// Directories that live as long as the trial.
struct Scratch {
    container: PathBuf,
    tree: PathBuf,
}

impl Scratch {
    fn new(root: &State) -> Result<Self, Failure> {
        let name = format!("try-{}", std::process::id());
        let dir = root.ready()?;
        let scratch = Self { container: dir.join(&name), tree: dir.join(format!("{name}.tree")) };
        let dirs = ["root", "upper", "work"].map(|name| scratch.tree.join(name));
        for dir in std::iter::once(&scratch.tree).chain(&dirs) {
            fs::DirBuilder::new()
                .mode(0o755)
                .create(dir)
                .map_err(|error| Failure::new(1, format!("mkdir {}: {error}", dir.display())))?;
        }
        Ok(scratch)
    }

    fn root(&self) -> PathBuf {
        self.tree.join("root")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.tree) {
            eprintln!("nsinit: remove {}: {error}", self.tree.display());
        }
    }
}

fn remove(tree: &Path) -> io::Result<()> {
    // The kernel makes this one with mode 0, and without privileges that keeps us out.
    let _ = fs::set_permissions(tree.join("work/work"), fs::Permissions::from_mode(0o700));
    fs::remove_dir_all(tree)
}

/// Removes what a trial whose command was killed has left beside its container.
pub(crate) fn remove_left(container: &Path) -> Result<(), Failure> {
    let mut name = container.as_os_str().to_owned();
    name.push(".tree");
    let tree = PathBuf::from(name);
    // Another container may have that name; it has no such directory.
    if !tree.join("upper").is_dir() {
        return Ok(());
    }
    remove(&tree).map_err(|error| Failure::new(1, format!("remove {}: {error}", tree.display())))
}

fn config(scratch: &Scratch, mounts: Vec<Mount>) -> Config {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    use NamespaceKind::{Cgroup, Ipc, Mount, Network as Net, Pid, User, Uts};
    let mut kinds = vec![Mount, Uts, Ipc, Pid, Net, Cgroup];
    let map = |id: u32| vec![IdMapping { container_id: 0, host_id: i64::from(id), size: 1 }];
    let rootless = uid != 0;
    kinds.extend(Some(User).filter(|_| rootless));
    Config {
        rootfs: scratch.root(),
        hostname: "try".to_owned(),
        namespaces: Namespaces::new(kinds),
        uid_mappings: if rootless { map(uid) } else { Vec::new() },
        gid_mappings: if rootless { map(gid) } else { Vec::new() },
        networks: vec![Network { kind: "loopback".to_owned(), ..Network::default() }],
        environment: vec![
            PATH.to_owned(),
            "HOME=/root".to_owned(),
            format!("TERM={}", std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned())),
        ],
        capabilities: KEEP.map(str::to_owned).to_vec(),
        no_new_privileges: true,
        // A trial is thrown away with its command, also when that is killed.
        parent_death_signal: nix::sys::signal::Signal::SIGKILL as u32,
        restrict_sys: true,
        mount_config: Some(MountConfig { readonly_fs: true, mounts, ..MountConfig::default() }),
        ..Config::default()
    }
}

fn bound(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Mount {
    Mount { kind: "bind".to_owned(), source: from.into(), destination: to.into(), ..Mount::default() }
}

fn tmpfs(to: &str, mode: &str) -> Mount {
    let options = ["nosuid", "nodev", mode].map(str::to_owned).to_vec();
    Mount {
        kind: "tmpfs".to_owned(),
        source: "tmpfs".into(),
        destination: to.into(),
        options,
        ..Mount::default()
    }
}

/// A rootfs of this program and the libraries that it has loaded.
fn itself(scratch: &Scratch) -> Result<(Config, ProcessConfig), Failure> {
    let program = fs::read_link("/proc/self/exe")?;
    let mut mounts = vec![bound(&program, "/nsinit")];
    mounts.extend(libraries()?.into_iter().map(|path| bound(&path, &path)));
    let mut process = ProcessConfig::new(["/nsinit", "inside"]).inherited();
    process.stdin = Stdio::Pipe;
    process.env = Some(vec![format!("{}={}", inside::HOST, inside::namespaces()).into()]);
    Ok((config(scratch, mounts), process))
}

/// The files that the dynamic linker has mapped: shared libraries, and the linker itself.
fn libraries() -> io::Result<Vec<PathBuf>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut paths: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .filter(|path| path.contains(".so"))
        .map(PathBuf::from)
        .collect();
    paths.sort();
    paths.dedup();
    // The program names its linker by a path that may lead through a link such as /lib64.
    let linkers = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"].map(PathBuf::from);
    paths.extend(linkers.into_iter().filter(|path| path.exists()));
    Ok(paths)
}

/// A rootfs of the host's /usr, an /etc of our own, and tmpfs for the rest.
fn host(scratch: &Scratch, args: &TryArgs) -> Result<(Config, ProcessConfig), Failure> {
    let mut mounts = vec![usr(scratch, args.writable)];
    for name in MERGED {
        let path = Path::new("/").join(name);
        match fs::read_link(&path) {
            Ok(target) => symlink(target, scratch.root().join(name))?,
            Err(_) if path.is_dir() => mounts.push(bound(&path, &path)),
            Err(_) => {}
        }
    }
    etc(&scratch.root().join("etc"), args.net)?;
    let parts = FROM_ETC.iter().map(|name| Path::new("/etc").join(name)).filter(|path| path.exists());
    mounts.extend(parts.map(|path| bound(&path, &path)));
    mounts.extend([tmpfs("/tmp", "mode=1777"), tmpfs("/run", "mode=755"), tmpfs("/root", "mode=700")]);
    let mut config = config(scratch, mounts);
    config.working_dir = "/root".into();
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let process = ProcessConfig { terminal, ..ProcessConfig::new(args.command.clone()).inherited() };
    Ok((config, process))
}

fn usr(scratch: &Scratch, writable: bool) -> Mount {
    if !writable {
        return bound("/usr", "/usr");
    }
    let option = |key: &str, path: &Path| format!("{key}={}", path.display());
    let mut options = vec![
        option("lowerdir", Path::new("/usr")),
        option("upperdir", &scratch.tree.join("upper")),
        option("workdir", &scratch.tree.join("work")),
    ];
    // KERNEL(5.11): without privileges an overlay keeps its marks in user.* attributes.
    options.extend(Some("userxattr".to_owned()).filter(|_| !nix::unistd::geteuid().is_root()));
    Mount {
        kind: "overlay".to_owned(),
        source: "overlay".into(),
        destination: "/usr".into(),
        options,
        ..Mount::default()
    }
}

fn etc(dir: &Path, net: bool) -> io::Result<()> {
    fs::create_dir(dir)?;
    let servers =
        if net { fs::read_to_string("/etc/resolv.conf").unwrap_or_default() } else { String::new() };
    let servers = if servers.is_empty() { "# no network but lo\n" } else { &servers };
    for (name, text) in [
        (
            "passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        ),
        ("group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
        ("hosts", "127.0.0.1 localhost try\n::1 localhost\n"),
        ("hostname", "try\n"),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
        ("resolv.conf", servers),
    ] {
        fs::write(dir.join(name), text)?;
    }
    symlink("/proc/self/mounts", dir.join("mtab"))
}

/// Without root: the host's network, as far as its sockets go.
fn borrowed_network() -> Network {
    Network { kind: "pasta".to_owned(), ..Network::default() }
}

/// A bridge with the two of us on it, in a network that this host does not have yet. It goes with the container.
fn private_network() -> Result<Network, Failure> {
    use libcontainer::network::netlink::{Cidr, Netlink};
    let failed = |error| Failure::new(125, format!("--net: {error}"));
    let mut host = Netlink::open().map_err(failed)?;
    let taken = host.addresses(None).map_err(failed)?;
    let pid = std::process::id();
    // RACE: another trial may look at the same time: where they begin to look depends on their pids.
    let free = (0..250 * 256).map(|step| (pid + step) % (250 * 256)).find_map(|number| {
        let gateway: Cidr = format!("10.{}.{}.1/24", 5 + number / 256, number % 256).parse().ok()?;
        let clash = |other: Cidr| other.contains(gateway.address()) || gateway.contains(other.address());
        (!taken.iter().any(|address| clash(address.address))).then_some(gateway)
    });
    let gateway = free.ok_or_else(|| Failure::new(125, "--net: every network below 10.0.0.0/8 is taken"))?;
    let address = gateway.to_string().replace(".1/24", ".2/24");
    Ok(Network {
        kind: "veth".to_owned(),
        bridge: format!("try{pid}"),
        create_bridge: true,
        bridge_addresses: vec![gateway.to_string()],
        veth_prefix: "try".to_owned(),
        gateway: gateway.address().to_string(),
        address,
        // As far as this host forwards at all: whether it does is not for a trial to change.
        nat: fs::read("/proc/sys/net/ipv4/ip_forward").is_ok_and(|value| value.starts_with(b"1")),
        ..Network::default()
    })
}

/// Passes the times of the start to the program inside, by its standard input.
fn tell(process: &mut Process) {
    let text = timeline::stages(&process.timeline);
    if let Some(mut stdin) = process.stdin.take() {
        // If the program is gone already its status says so.
        let _ = stdin.write_all(text.as_bytes());
    }
}
