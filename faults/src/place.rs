//! A worker's own host: namespaces, a directory in memory, bundles, and how a command is run there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use libcontainer::network::netlink::{Index, LinkChange, Netlink, nft::Nft};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

use crate::scene::{Bundle, Scene, Tool};

/// The ordinary user.
pub(crate) const USER: u32 = 4321;
const BUSYBOX: &str = "/usr/bin/busybox";
/// The programs that are run, as they are called in the place.
const PROGRAMS: [&str; 3] = ["nsinit", "library_host", "faults"];

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
        let opened: Vec<_> = PROGRAMS.iter().map(|name| programs.join(name)).collect();
        mount(Some("faults"), dir, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
            .context("mount a tmpfs")?;
        let this = Self { dir: dir.to_owned(), tag: tag.to_owned() };
        for (name, program) in PROGRAMS.iter().zip(opened) {
            let target = dir.join(name);
            fs::write(&target, "")?;
            mount(Some(&program), &target, nothing, MsFlags::MS_BIND, nothing)
                .with_context(|| format!("bind {}", program.display()))?;
        }
        Netlink::open()?.set(&LinkChange::new(Index::LOOPBACK).up())?;
        this.fill()?;
        Ok(this)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where the containers of a bundle are recorded.
    pub(crate) fn state(&self, bundle: Bundle) -> PathBuf {
        self.path(if bundle == Bundle::User { "user/state" } else { "state" })
    }

    fn fill(&self) -> Result<()> {
        for dir in ["state", "tmp", "user", "user/state", "user/tmp", "shared"] {
            fs::create_dir(self.path(dir))?;
        }
        fs::write(self.path("shared/file"), "shared\n")?;
        fs::set_permissions(self.path("state"), fs::Permissions::from_mode(0o700))?;
        fs::set_permissions(self.path("user/state"), fs::Permissions::from_mode(0o700))?;
        for bundle in Bundle::ALL {
            let dir = self.path(bundle.name());
            rootfs(&dir.join("rootfs"))?;
            fs::write(dir.join("container.json"), self.config(bundle).to_string())?;
        }
        for dir in ["user", "user/state", "user/tmp"] {
            chown(self.path(dir), Some(USER), Some(USER))?;
        }
        give(&self.path("user/rootfs"))
    }

    /// The words of a command.
    pub(crate) fn words(&self, text: &str, bundle: Bundle) -> Vec<String> {
        let word = |word: &str| match word {
            "ID" => "web".to_owned(),
            "BUNDLE" => self.path(bundle.name()).display().to_string(),
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
        };
        command.args(self.words(text, scene.bundle)).env_clear().current_dir(&self.dir);
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let user = scene.bundle == Bundle::User;
        command.env("TMPDIR", self.path(if user { "user/tmp" } else { "tmp" }));
        if user {
            command.uid(USER).gid(USER);
        }
        // Outside of what is compared.
        let file = |name: &str| fs::File::create(self.path(name)).with_context(|| name.to_owned());
        command.stdin(Stdio::null()).stdout(file("stdout")?).stderr(file("stderr")?);
        Ok(command)
    }

    /// What the last command wrote.
    pub(crate) fn written(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    fn config(&self, bundle: Bundle) -> Value {
        let mut config = json!({
            "hostname": "inside",
            "namespaces": {"NEWNS": true, "NEWUTS": true, "NEWIPC": true, "NEWPID": true, "NEWNET": true},
            "environment": ["PATH=/bin", "HOME=/home/u"],
            "capabilities": ["CHOWN", "KILL", "NET_BIND_SERVICE"],
            "no_new_privileges": true,
            "restrict_sys": true,
            "umask": 27,
            "oom_score_adj": 100,
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 512}],
            "mount_config": {
                "mounts": [
                    {"type": "tmpfs", "destination": "/tmp", "options": ["size=1m", "nosuid", "nodev"]},
                    {"type": "bind", "source": self.path("shared"), "destination": "/mnt/shared", "options": ["ro", "nodev"]},
                    {"type": "bind", "source": self.path("shared/file"), "destination": "/etc/file"}
                ],
                "masked_paths": ["/proc/keys"],
                "readonly_paths": ["/etc"]
            }
        });
        let parts = match bundle {
            Bundle::Full => vec![self.privileged(), network()],
            Bundle::Terminal => vec![self.privileged(), json!({"tty": true})],
            Bundle::User => vec![user()],
        };
        parts.into_iter().for_each(|part| merge(&mut config, part));
        config
    }

    fn privileged(&self) -> Value {
        json!({
            "user": "u",
            "additional_groups": ["wheel"],
            "mount_config": {"device_nodes": [
                {"type": "c", "path": "/dev/net/tun", "major_number": 10, "minor_number": 200, "uid": 5}
            ]},
            "cgroups": {
                "path": format!("/{}/web", self.tag),
                "memory": 67_108_864,
                "cpu_shares": 512,
                "cpu_quota": 50_000,
                "cpu_period": 100_000,
                "resources": {"pids": {"limit": 64}}
            }
        })
    }
}

fn network() -> Value {
    let nat = Nft::open().and_then(|mut nft| nft.generation()).is_ok();
    let mut veth = json!({
        "type": "veth", "bridge": "br-faults", "create_bridge": true, "bridge_addresses": ["10.77.0.1/24"],
        "veth_prefix": "vf", "address": "10.77.0.2/24", "gateway": "10.77.0.1", "mtu": 1400
    });
    if nat {
        let port = json!([{"host_port": 8080, "port": 80}]);
        merge(&mut veth, json!({"nat": true, "forward": true, "ports": port}));
    }
    json!({"networks": [{"type": "loopback"}, veth]})
}

fn user() -> Value {
    let map = json!([{"container_id": 0, "host_id": USER, "size": 1}]);
    json!({
        "namespaces": {"NEWUSER": true},
        "uid_mappings": map,
        "gid_mappings": map,
        "networks": [{"type": "loopback"}]
    })
}

/// Objects are laid one over the other.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn rootfs(root: &Path) -> Result<()> {
    for dir in ["bin", "etc", "proc", "sys", "dev", "tmp", "home/u"] {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::copy(BUSYBOX, root.join("bin/busybox")).context(BUSYBOX)?;
    fs::set_permissions(root.join("bin/busybox"), fs::Permissions::from_mode(0o755))?;
    for name in ["true", "sleep", "cat", "sh"] {
        symlink("busybox", root.join("bin").join(name))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nu:x:1000:100::/home/u:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\nwheel:x:10:u\n")?;
    Ok(())
}

fn give(path: &Path) -> Result<()> {
    std::os::unix::fs::lchown(path, Some(USER), Some(USER))?;
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_config_are_laid_over() {
        let mut all = json!({"a": {"b": 1}, "c": [1]});
        merge(&mut all, json!({"a": {"d": 2}, "c": [2]}));
        assert_eq!(all, json!({"a": {"b": 1, "d": 2}, "c": [2]}));
    }
}
