//! Disk images made without root: programs of the guest, kernel modules, test binaries, room to write.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::apt::{Apt, extract};
use super::purpose::Purpose;
use crate::run::{check, has};
use crate::tools::is_root;

/// What the tests and systemd need in the guest; dependencies come along.
const PACKAGES: &[&str] = &[
    "apparmor",
    "base-files",
    "bash",
    "busybox-static",
    "coreutils",
    "dash",
    "dbus",
    "dbus-user-session",
    "e2fsprogs",
    "findutils",
    "grep",
    "iproute2",
    "kmod",
    "libc-bin",
    "libpam-systemd",
    "mount",
    "nftables",
    "procps",
    "secilc",
    "sed",
    "selinux-utils",
    "strace",
    "systemd",
    "systemd-sysv",
    "uidmap",
    "util-linux",
];
/// Counts up when the making of the image changes in what its stamp does not have.
const REVISION: &str = "4";

/// The guest's programs: as a tree on the host and as an image.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) tree: PathBuf,
    pub(crate) image: PathBuf,
}

impl Tools {
    /// Makes the image unless one of the same packages is there: one is kept for each purpose.
    pub(crate) fn fetch(apt: &Apt, cache: &Path, purpose: &Purpose) -> Result<Self> {
        let (more, dir) = purpose.packages();
        let debs = apt.closure(&[PACKAGES, more].concat())?;
        let dir = cache.join(dir);
        let tools = Self { tree: dir.join("tree"), image: dir.join("tools.ext4") };
        let names: Vec<String> =
            debs.iter().filter_map(|deb| Some(deb.file_name()?.to_string_lossy().into_owned())).collect();
        // With what is written into it: a file that changes must not need a number that somebody forgets.
        let stamp = format!("revision {REVISION}\n{}\n{LINKS:?}\n{FILES:?}\n", names.join("\n"));
        // One that can't be read is made anew.
        if fs::read_to_string(dir.join("made-of")).is_ok_and(|old| old == stamp) {
            return Ok(tools);
        }
        println!("vm: making the guest's programs of {} packages", debs.len());
        remove(&dir)?;
        for name in ["bin", "sbin", "lib", "lib64"] {
            fs::create_dir_all(tools.tree.join("usr").join(name))?;
            symlink(format!("usr/{name}"), tools.tree.join(name))?;
        }
        extract(&debs, &tools.tree)?;
        complete(&tools.tree)?;
        ext4(&tools.image, Some(&tools.tree), 0)?;
        fs::write(dir.join("made-of"), stamp)?;
        Ok(tools)
    }

    /// Runs a program of the tree with the tree's own loader and libraries, so the host needs none of them.
    pub(crate) fn command(&self, name: &str, path: &str) -> Command {
        let libraries = self.tree.join("usr/lib/x86_64-linux-gnu");
        let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(&libraries).args(["--argv0", name]).arg(self.tree.join(path));
        command
    }
}

/// What the packages' scripts would have made, in the parts that matter.
fn complete(tree: &Path) -> Result<()> {
    for (path, text) in FILES {
        let file = tree.join(path);
        fs::create_dir_all(file.parent().context("a file without a directory")?)?;
        // A link must not be written through.
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).context(file.display().to_string());
            }
            _ => {}
        }
        fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    for (path, target) in LINKS {
        let link = tree.join(path);
        // An empty directory of a package's may stand there. What stays is seen next.
        let _ = fs::remove_dir(&link);
        if fs::symlink_metadata(&link).is_err() {
            fs::create_dir_all(link.parent().context("a link without a directory")?)?;
            symlink(target, &link).with_context(|| link.display().to_string())?;
        }
    }
    for name in
        ["dev", "proc", "sys", "run", "tmp", "mnt", "root", "home/user", "var/lib/systemd", "usr/lib/modules"]
    {
        let dir = tree.join(name);
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    for name in ["newuidmap", "newgidmap", "mount", "umount"] {
        let program = tree.join("usr/bin").join(name);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o4755))
            .with_context(|| program.display().to_string())?;
    }
    for name in ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/i18n"] {
        remove(&tree.join(name))?;
    }
    Ok(())
}

const LINKS: &[(&str, &str)] = &[
    ("usr/bin/sh", "dash"),
    ("usr/bin/awk", "busybox"),
    ("etc/mtab", "../proc/self/mounts"),
    ("usr/sbin/iptables", "xtables-nft-multi"),
    ("usr/sbin/ip6tables", "xtables-nft-multi"),
    ("var/run", "../run"),
    ("etc/systemd/system/dbus-org.freedesktop.login1.service", "/lib/systemd/system/systemd-logind.service"),
];

const FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
         messagebus:x:100:102::/nonexistent:/usr/sbin/nologin\n\
         systemd-network:x:998:998::/:/usr/sbin/nologin\n\
         user:x:1000:1000::/home/user:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    (
        "etc/group",
        "root:x:0:\ndaemon:x:1:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nkmem:x:15:\ndialout:x:20:\nutmp:x:43:\n\
         video:x:44:\nmessagebus:x:102:\nsystemd-journal:x:999:\nsystemd-network:x:998:\nuser:x:1000:\nnogroup:x:65534:\n",
    ),
    ("etc/subuid", "root:100000:65536\nuser:165536:65536\n"),
    ("etc/subgid", "root:100000:65536\nuser:165536:65536\n"),
    // Read by those who choose labels; the policy comes with the machines that have one.
    ("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=test\n"),
    (
        "etc/selinux/test/contexts/lxc_contexts",
        "process = \"system_u:system_r:container_t:s0\"\nfile = \"system_u:object_r:container_file_t:s0\"\n\
         ro_file = \"system_u:object_r:container_ro_file_t:s0\"\n",
    ),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("etc/hostname", "vmguest\n"),
    ("etc/fstab", ""),
    ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("etc/pam.d/common-auth", "auth required pam_permit.so\n"),
    ("etc/pam.d/common-account", "account required pam_permit.so\n"),
    ("etc/pam.d/common-password", "password required pam_permit.so\n"),
    ("etc/pam.d/common-session", "session required pam_permit.so\nsession optional pam_systemd.so\n"),
    (
        "etc/pam.d/common-session-noninteractive",
        "session required pam_permit.so\nsession optional pam_systemd.so\n",
    ),
];

/// An ext4 image of a tree, or an empty one of `megabytes`. Sparse: it takes only what is in it.
pub(crate) fn ext4(image: &Path, tree: Option<&Path>, megabytes: u64) -> Result<()> {
    let size = match tree {
        Some(tree) => (content(tree)? >> 20) * 5 / 4 + 32,
        None => megabytes,
    };
    // mkfs writes over what stays; without it the file is as sparse as can be.
    let _ = fs::remove_file(image);
    let mut args: Vec<OsString> = Vec::new();
    // Files belong to who made them; a user namespace makes that root without root.
    let unshared = !is_root()?;
    if unshared {
        args.extend(["unshare", "--user", "--map-root-user"].map(OsString::from));
    }
    args.push(mkfs()?.into());
    args.extend(["-q", "-F", "-m", "0", "-O", "^has_journal"].map(OsString::from));
    if let Some(tree) = tree {
        args.extend(["-d".into(), tree.into()]);
    }
    args.extend([image.into(), format!("{size}M").into()]);
    let (program, rest) = args.split_first().context("no program")?;
    check(Command::new(program).args(rest).stdin(Stdio::null()).stdout(Stdio::null()))
}

fn mkfs() -> Result<&'static str> {
    if !has("mkfs.ext4") {
        bail!("mkfs.ext4 is missing (package e2fsprogs)");
    }
    let usual = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"];
    Ok(usual.into_iter().find(|path| Path::new(path).exists()).unwrap_or("mkfs.ext4"))
}

/// Bytes that a tree takes on a filesystem of 4 KiB blocks, its inodes included.
fn content(tree: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(tree).with_context(|| tree.display().to_string())? {
        let entry = entry?;
        let data = entry.metadata()?;
        sum += data.len().next_multiple_of(4096) + 512;
        if data.is_dir() {
            sum += content(&entry.path())?;
        }
    }
    Ok(sum)
}

/// Removes a tree if it is there.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
