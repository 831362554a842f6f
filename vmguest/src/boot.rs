//! From a bare kernel to a machine: modules, disks, a real root, the usual filesystems.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};

use crate::mounting::mount_at;
use crate::{cgroups, run, selinux, systemd};

/// What pid 1 does.
pub(crate) fn boot() -> Result<()> {
    early()?;
    selinux::enforce()?;
    load_modules()?;
    root()?;
    filesystems()?;
    let layout = run::word("vm.cg")?;
    let layout = layout.as_deref().unwrap_or("v2");
    tune();
    if layout.starts_with("systemd") {
        return systemd::become_systemd();
    }
    cgroups::mount_layout(layout)?;
    loopback()?;
    run::run()
}

fn early() -> Result<()> {
    mount_at("proc", "proc", "/proc", MsFlags::empty(), "")?;
    mount_at("sysfs", "sysfs", "/sys", MsFlags::empty(), "")?;
    mount_at("devtmpfs", "devtmpfs", "/dev", MsFlags::empty(), "mode=0755")
}

/// Loads what the host chose, dependencies first.
fn load_modules() -> Result<()> {
    let order = fs::read_to_string("/modules/order").context("/modules/order")?;
    for name in order.lines() {
        let file = File::open(Path::new("/modules").join(name)).with_context(|| name.to_owned())?;
        match finit_module(&file, c"", ModuleInitFlags::empty()) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
            Err(error) => bail!("load module {name}: {error}"),
        }
    }
    Ok(())
}

/// The disk whose serial number is `name`; waits for it to appear.
fn disk(name: &str) -> Result<PathBuf> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        for entry in fs::read_dir("/sys/block").context("/sys/block")?.flatten() {
            let serial = fs::read_to_string(entry.path().join("serial")).unwrap_or_default();
            let device = Path::new("/dev").join(entry.file_name());
            if serial.trim() == name && device.exists() {
                return Ok(device);
            }
        }
        if Instant::now() > end {
            bail!("no disk {name}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn mount_disk(name: &str, target: &str, flags: MsFlags) -> Result<()> {
    let device = disk(name)?;
    mount_at("ext4", &device.to_string_lossy(), target, flags, "")
}

/// An overlay over the disks of tools and of test binaries becomes the root.
///
/// The initramfs cannot be pivoted away (`EINVAL`), so tests that pivot need a mount on top of it.
fn root() -> Result<()> {
    mount_disk("tools", "/lower/tools", MsFlags::MS_RDONLY)?;
    mount_disk("payload", "/lower/payload", MsFlags::MS_RDONLY)?;
    mount_at("tmpfs", "tmpfs", "/rw", MsFlags::empty(), "mode=0755")?;
    fs::create_dir_all("/rw/upper").context("mkdir /rw/upper")?;
    fs::create_dir_all("/rw/work").context("mkdir /rw/work")?;
    let data = "lowerdir=/lower/payload:/lower/tools,upperdir=/rw/upper,workdir=/rw/work";
    mount_at("overlay", "overlay", "/newroot", MsFlags::empty(), data)?;
    mount_disk("modules", "/newroot/usr/lib/modules", MsFlags::MS_RDONLY)?;
    // Not on /tmp: the workspace may lie there.
    mount_disk("scratch", &format!("/newroot{}", run::SCRATCH), MsFlags::empty())?;
    if run::word("vm.disk")?.is_some() {
        mount_disk("disk", "/newroot/disk", MsFlags::empty())?;
    }
    for name in ["dev", "proc", "sys"] {
        let (from, to) = (format!("/{name}"), format!("/newroot/{name}"));
        fs::create_dir_all(&to).with_context(|| format!("mkdir {to}"))?;
        mount(Some(from.as_str()), to.as_str(), None::<&str>, MsFlags::MS_MOVE, None::<&str>)
            .with_context(|| format!("move {from}"))?;
    }
    enter()
}

#[allow(clippy::disallowed_methods, reason = "pid 1 of a machine has no host process to disturb")]
fn enter() -> Result<()> {
    nix::unistd::chdir("/newroot").context("chdir /newroot")?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>).context("move the root")?;
    nix::unistd::chroot(".").context("chroot")?;
    nix::unistd::chdir("/").context("chdir /")
}

fn filesystems() -> Result<()> {
    let none = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    for dir in ["/tmp", run::SCRATCH] {
        fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).context(dir)?;
    }
    mount_at("tmpfs", "tmpfs", "/run", none, "mode=0755")?;
    mount_at("tmpfs", "shm", "/dev/shm", none, "mode=1777")?;
    mount_at("devpts", "devpts", "/dev/pts", MsFlags::MS_NOSUID, "gid=5,mode=620,ptmxmode=666")?;
    // What a kernel lacks is left out: tests ask for what they need.
    for (kind, target) in [
        ("mqueue", "/dev/mqueue"),
        ("securityfs", "/sys/kernel/security"),
        ("bpf", "/sys/fs/bpf"),
        ("tracefs", "/sys/kernel/tracing"),
        ("debugfs", "/sys/kernel/debug"),
    ] {
        if let Err(error) = mount_at(kind, kind, target, none, "") {
            eprintln!("vmguest: left out: {error:#}");
        }
    }
    Ok(())
}

/// Settings that a distribution's boot makes; none of them is vital.
fn tune() {
    for (file, value) in [
        ("/proc/sys/kernel/unprivileged_userns_clone", "1"),
        ("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"),
        ("/proc/sys/kernel/hostname", "vmguest"),
    ] {
        let _ = fs::write(file, value);
    }
}

fn loopback() -> Result<()> {
    let status = Command::new("/sbin/ip").args(["link", "set", "lo", "up"]).status().context("ip")?;
    if status.success() { Ok(()) } else { bail!("ip link set lo up: {status}") }
}
