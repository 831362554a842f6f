//! What a trial's container is made of: this program alone, or the host's /usr.

use std::fs;
use std::io::{self, ErrorKind, IsTerminal};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libcontainer::mount::{IdMapping, Mount, MountConfig};
use libcontainer::{Config, NamespaceKind, Namespaces, Network, ProcessConfig, Stdio};

use super::scratch::{Scratch, exists, make_dir};
use crate::arguments::TryArgs;
use crate::failure::{Failure, Named};
use crate::{foreground, inside};

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
pub(super) fn itself(scratch: &Scratch) -> Result<(Config, ProcessConfig), Failure> {
    let program = fs::read_link("/proc/self/exe").named("readlink /proc/self/exe")?;
    let mut mounts = vec![bound(&program, "/nsinit")];
    mounts.extend(libraries()?.into_iter().map(|path| bound(&path, &path)));
    let mut process = ProcessConfig::new(["/nsinit", "inside"]).inherited();
    process.stdin = Stdio::Pipe;
    process.env = Some(vec![format!("{}={}", inside::HOST, inside::namespaces()).into()]);
    Ok((config(scratch, mounts), process))
}

/// The files that the dynamic linker has mapped: shared libraries, and the linker itself.
fn libraries() -> Result<Vec<PathBuf>, Failure> {
    let maps = fs::read_to_string("/proc/self/maps").named("read /proc/self/maps")?;
    let mut paths: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .filter(|path| path.contains(".so"))
        .map(PathBuf::from)
        .collect();
    paths.sort();
    paths.dedup();
    // The program names its linker by a path that may lead through a link such as /lib64.
    for linker in ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"].map(PathBuf::from) {
        if exists(&linker)? {
            paths.push(linker);
        }
    }
    Ok(paths)
}

/// A rootfs of the host's /usr, an /etc of our own, and tmpfs for the rest.
pub(super) fn host(scratch: &Scratch, args: &TryArgs) -> Result<(Config, ProcessConfig), Failure> {
    let mut mounts = vec![usr(scratch, args.writable)];
    for name in MERGED {
        let path = Path::new("/").join(name);
        match fs::read_link(&path) {
            Ok(target) => link(&target, &scratch.root().join(name))?,
            // No link.
            Err(error) if error.kind() == ErrorKind::InvalidInput => mounts.push(bound(&path, &path)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).named(format_args!("readlink {}", path.display())),
        }
    }
    etc(&scratch.root().join("etc"), args.net)?;
    for path in FROM_ETC.map(|name| Path::new("/etc").join(name)) {
        if exists(&path)? {
            mounts.push(bound(&path, &path));
        }
    }
    mounts.extend([tmpfs("/tmp", "mode=1777"), tmpfs("/run", "mode=755"), tmpfs("/root", "mode=700")]);
    let mut config = config(scratch, mounts);
    config.working_dir = "/root".into();
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let terminal_size = foreground::first_size(terminal, None);
    let process =
        ProcessConfig { terminal, terminal_size, ..ProcessConfig::new(args.command.clone()).inherited() };
    Ok((config, process))
}

fn usr(scratch: &Scratch, writable: bool) -> Mount {
    if !writable {
        return bound("/usr", "/usr");
    }
    let option = |key: &str, path: &Path| format!("{key}={}", path.display());
    let [upper, work] = scratch.layers();
    let mut options =
        vec![option("lowerdir", Path::new("/usr")), option("upperdir", &upper), option("workdir", &work)];
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

fn link(target: &Path, name: &Path) -> Result<(), Failure> {
    symlink(target, name).named(format_args!("symlink {}", name.display()))
}

/// The host's DNS servers; a host without that file has none.
fn servers() -> Result<String, Failure> {
    match fs::read_to_string("/etc/resolv.conf") {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.named("read /etc/resolv.conf"),
    }
}

fn etc(dir: &Path, net: bool) -> Result<(), Failure> {
    make_dir(dir)?;
    let servers = if net { servers()? } else { String::new() };
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
        let file = dir.join(name);
        fs::write(&file, text).named(format_args!("write {}", file.display()))?;
    }
    link(Path::new("/proc/self/mounts"), &dir.join("mtab"))
}
