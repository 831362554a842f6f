//! A worker's own host: namespaces, a directory in memory, bundles, and how a command is run there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use anyhow::{Context, Result};
use libcontainer::network::netlink::{Index, LinkChange, Netlink, NewLink};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::agent;
use crate::bundle::{self, AGENT, Bundle, RANGE, USER};
use crate::class;
use crate::programs;
use crate::scene::{Scene, Tool};
use crate::service;

/// The container of which the commands speak.
pub(crate) const NAME: &str = "web";
const BUSYBOX: &str = "/usr/bin/busybox";
/// The socket of the service manager.
const MANAGER: &str = "manager";
/// Where `seccomp record` writes to, and what.
const RECORD: &str = "record";
const RECORDED: &str = "confinement.json";
/// Where checkpoints lie.
const IMAGES: &str = "images";

/// Where a worker works.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    /// In the path of each control group.
    pub(crate) tag: String,
}

impl Place {
    /// Leaves the host's mounts and network, and makes a place on `dir`, which nobody else sees.
    pub(crate) fn make(dir: &Path, tag: &str) -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).context("unshare")?;
        let nothing = None::<&str>;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
            .context("make / private")?;
        let programs = std::env::current_exe()?;
        let programs = programs.parent().context("where the programs are")?;
        let opened: Vec<_> = programs::ALL.iter().map(|name| programs.join(name)).collect();
        mount(Some("faults"), dir, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
            .context("mount a tmpfs")?;
        let this = Self { dir: dir.to_owned(), tag: tag.to_owned() };
        for (name, program) in programs::ALL.iter().zip(opened) {
            if !programs::is_there(name) {
                continue;
            }
            let target = dir.join(name);
            fs::write(&target, "")?;
            mount(Some(&program), &target, nothing, MsFlags::MS_BIND, nothing)
                .with_context(|| format!("bind {}", program.display()))?;
        }
        this.network()?;
        this.fill()?;
        agent::serve(&this.path(AGENT))?;
        service::serve(&this.path(MANAGER), this.path("state").join(format!(".notify-{NAME}/notify.sock")))?;
        this.mounts()?;
        class::make(tag)?;
        Ok(this)
    }

    /// Leaves nothing on the host, also if nobody waits any more.
    pub(crate) fn leave(&self) {
        class::remove(&self.tag);
        // Whoever started the worker tries it too.
        let _ = umount2(&self.dir, MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.dir);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where the containers of a bundle are recorded.
    pub(crate) fn state(&self, bundle: Bundle) -> PathBuf {
        self.path(if bundle.is_user() { "user/state" } else { "state" })
    }

    /// A loopback that is up, a pair of which one end is a container's, and another namespace.
    fn network(&self) -> Result<()> {
        let mut netlink = Netlink::open()?;
        netlink.set(&LinkChange::new(Index::LOOPBACK).up())?;
        netlink.add(&NewLink::veth("fx0".parse()?, "fx1".parse()?))?;
        let target = self.path("netns");
        fs::write(&target, "")?;
        let made = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            mount(Some("/proc/thread-self/ns/net"), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        });
        made.join().ok().context("a thread")?.context("make a network namespace")
    }

    /// A mount namespace like this one, for as long as this process lives. It is found by a thread: to be bound it would have to be younger than this one by a
    /// number that the kernel gives to each processor apart.
    fn mounts(&self) -> Result<()> {
        let (made, is_made) = channel();
        std::thread::spawn(move || {
            let entered = unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS);
            let told = made.send(entered.map(|()| nix::unistd::gettid()));
            while told.is_ok() {
                std::thread::park();
            }
        });
        let thread = is_made.recv().context("a thread")?.context("unshare")?;
        symlink(format!("/proc/{}/task/{thread}/ns/mnt", std::process::id()), self.path("mntns"))?;
        Ok(())
    }

    fn fill(&self) -> Result<()> {
        for dir in ["state", "tmp", "user", "user/state", "user/tmp", "shared", RECORD] {
            fs::create_dir(self.path(dir))?;
        }
        self.forget()?;
        fs::write(self.path("shared/file"), "shared\n")?;
        fs::set_permissions(self.path("state"), fs::Permissions::from_mode(0o700))?;
        fs::set_permissions(self.path("user/state"), fs::Permissions::from_mode(0o700))?;
        for bundle in Bundle::ALL {
            let dir = self.path(bundle.name());
            rootfs(&dir.join("rootfs"))?;
            let (name, text) = bundle::file(bundle, &self.dir, &self.tag)?;
            fs::write(dir.join(name), text)?;
        }
        for dir in ["user", "user/state", "user/tmp"] {
            chown(self.path(dir), Some(USER), Some(USER))?;
        }
        for (bundle, owner) in [("user", USER), ("ids", USER), ("mapped", RANGE.0)] {
            give(&self.path(bundle).join("rootfs"), owner)?;
        }
        self.accounts()
    }

    /// Gives the ordinary user a name and a range of ids, for this place only.
    fn accounts(&self) -> Result<()> {
        let (first, count) = RANGE;
        let files = [
            ("/etc/passwd", format!("faults:x:{USER}:{USER}::/:/bin/sh\n")),
            ("/etc/subuid", format!("faults:{first}:{count}\n")),
            ("/etc/subgid", format!("faults:{first}:{count}\n")),
        ];
        for (target, line) in files.iter().filter(|(target, _)| Path::new(target).exists()) {
            let copy = self.dir.join(Path::new(target).file_name().context("a name")?);
            fs::write(&copy, fs::read_to_string(target)? + line)?;
            mount(Some(&copy), *target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .with_context(|| format!("bind {target}"))?;
        }
        Ok(())
    }

    /// The words of a command.
    pub(crate) fn words(&self, text: &str, bundle: Bundle) -> Vec<String> {
        let word = |word: &str| match word {
            "ID" => NAME.to_owned(),
            "BUNDLE" => self.path(bundle.name()).display().to_string(),
            "STANDIN" => self.path(programs::STANDIN).display().to_string(),
            "CRIU" => programs::criu().unwrap_or_default().display().to_string(),
            "IMAGES" => self.path(IMAGES).display().to_string(),
            "CLASSES" => class::root(&self.tag).unwrap_or_default().display().to_string(),
            "OUT" => self.path(RECORD).display().to_string(),
            "FULL" => self.path(Bundle::Full.name()).display().to_string(),
            other => other.to_owned(),
        };
        text.split(' ').map(word).collect()
    }

    /// A command of the scene's user. Traced ones stop before they execute their program.
    pub(crate) fn command(&self, scene: &Scene, tool: Tool, text: &str, traced: bool) -> Result<Command> {
        let program = match tool {
            Tool::Nsinit => self.path("nsinit"),
            Tool::Library => self.path("library_host"),
            Tool::Shim => self.path(programs::SHIM),
        };
        let mut command = if traced {
            let mut stage = Command::new(self.path("faults"));
            stage.arg("stage").arg(program);
            stage
        } else {
            Command::new(program)
        };
        match tool {
            Tool::Nsinit => command.arg("--root").arg(self.state(scene.bundle)),
            Tool::Library => command.arg(self.state(scene.bundle)),
            Tool::Shim => &mut command,
        };
        if !text.is_empty() {
            command.args(self.words(text, scene.bundle));
        }
        command.env_clear().current_dir(&self.dir);
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        if scene.bundle == Bundle::Notified {
            command.env("NOTIFY_SOCKET", self.path(MANAGER));
        }
        let user = scene.bundle.is_user();
        command.env("TMPDIR", self.path(if user { "user/tmp" } else { "tmp" }));
        if user {
            command.uid(USER).gid(USER);
        }
        // Outside of what is compared.
        let file = |name: &str| fs::File::create(self.path(name)).with_context(|| name.to_owned());
        command.stdin(Stdio::null()).stdout(file("stdout")?).stderr(file("stderr")?);
        Ok(command)
    }

    /// Empties what `seccomp record` writes; its name stays.
    pub(crate) fn forget(&self) -> Result<()> {
        let path = self.path(RECORD).join(RECORDED);
        fs::write(&path, "").with_context(|| path.display().to_string())
    }

    /// Takes the images of a checkpoint away, which are whose they are made for. What else lies there stays, and is told.
    pub(crate) fn forget_images(&self) {
        let dir = self.path(IMAGES);
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            // An empty directory is criu's own, if it was killed. Nothing below one is touched.
            let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir(entry.path()));
        }
        let _ = fs::remove_dir(dir);
    }

    /// What `seccomp record` wrote, line by line.
    pub(crate) fn recorded(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path(RECORD).join(RECORDED));
        // What can't be read is like no other recording.
        let text = text.unwrap_or_else(|error| format!("nothing can be known of: {error}"));
        text.lines().map(|line| format!("recorded {}", line.trim())).collect()
    }

    /// What the last command wrote.
    pub(crate) fn written(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }
}

fn rootfs(root: &Path) -> Result<()> {
    for dir in ["bin", "etc", "proc", "sys", "dev", "tmp", "home/u", "mnt/added", "mnt/mapped", "mnt/shared"]
    {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::copy(BUSYBOX, root.join("bin/busybox")).context(BUSYBOX)?;
    fs::set_permissions(root.join("bin/busybox"), fs::Permissions::from_mode(0o755))?;
    for name in ["true", "sleep", "cat", "sh"] {
        symlink("busybox", root.join("bin").join(name))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nu:x:1000:100::/home/u:/bin/sh\n")?;
    // As in many images: it leads nowhere.
    symlink("../run/systemd/resolve/stub-resolv.conf", root.join("etc/resolv.conf"))?;
    fs::write(root.join("etc/group"), "root:x:0:\nwheel:x:10:u\n")?;
    Ok(())
}

fn give(path: &Path, owner: u32) -> Result<()> {
    std::os::unix::fs::lchown(path, Some(owner), Some(owner))?;
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), owner)?;
        }
    }
    Ok(())
}
