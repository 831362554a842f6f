//! A stock kernel: its image, its modules as a disk, and the initramfs that finds the disks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt::{Apt, extract};
use super::cpio::Cpio;
use super::image::{Tools, ext4, remove};
use crate::run::check;

/// What init needs before it has a root; the rest is loaded on demand from the modules disk.
const MODULES: [&str; 6] = ["virtio_pci", "virtio_blk", "crc32c_generic", "crc32c_intel", "ext4", "overlay"];

const FLAVOUR: &str = "-cloud-amd64";
/// How many kernels of a series are tried.
const TRIES: usize = 3;

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// As upstream counts: `6.1.192`.
    pub(crate) version: String,
    pub(crate) image: PathBuf,
    /// The modules of the initramfs, dependencies first.
    pub(crate) early: Vec<PathBuf>,
    pub(crate) modules: PathBuf,
}

impl Kernel {
    /// The newest kernel of a series such as `6.1`, or of all for `newest`.
    pub(crate) fn fetch(apt: &Apt, tools: &Tools, cache: &Path, series: &str) -> Result<Self> {
        let (package, debs) = download(apt, series)?;
        let release = release(&package)?.to_owned();
        let dir = cache.join("kernels").join(&release);
        if !dir.join("done").exists() {
            println!("vm: unpacking {package}");
            remove(&dir)?;
            unpack(&debs, &dir, tools, &release)?;
            fs::write(dir.join("done"), "")?;
        }
        let name = debs
            .iter()
            .filter_map(|deb| deb.file_name()?.to_str())
            .find(|name| name.starts_with("linux-image-"));
        let version = name.and_then(|name| name.split('_').nth(1)?.split(['-', '+', '~']).next());
        Ok(Self {
            version: version.unwrap_or(&release).to_owned(),
            image: image(&dir.join("tree"), &release)?,
            early: early(&tree_of_modules(&dir.join("tree"), &release)?)?,
            modules: dir.join("modules.ext4"),
        })
    }

    /// The initramfs with this init, and with a policy that it loads.
    pub(crate) fn initramfs(&self, init: &[u8], policy: Option<&[u8]>) -> Result<Vec<u8>> {
        let mut cpio = Cpio::default();
        for dir in ["dev", "proc", "sys"] {
            cpio.dir(dir);
        }
        cpio.device("dev/console", 0o600, 5, 1);
        cpio.device("dev/null", 0o666, 1, 3);
        cpio.file("init", 0o755, init);
        if let Some(policy) = policy {
            cpio.file("policy", 0o644, policy);
        }
        let mut order = String::new();
        for path in &self.early {
            let name = module_name(path);
            cpio.file(&format!("modules/{name}"), 0o644, &module(path)?);
            order.push_str(&format!("{name}\n"));
        }
        cpio.file("modules/order", 0o644, order.as_bytes());
        Ok(cpio.finish())
    }
}

/// Which kernels a series such as `6.1` has, or any at all for `newest`; an error names the series that there are.
pub(crate) fn look_for(apt: &Apt, series: &str) -> Result<Vec<String>> {
    candidates(&apt.packages("linux-image-")?, series)
}

/// The newest kernel of a series that the archive gives, with its parts. An index may be ahead of the files or behind them.
fn download(apt: &Apt, series: &str) -> Result<(String, Vec<PathBuf>)> {
    let mut failure = None;
    for package in look_for(apt, series)?.into_iter().take(TRIES) {
        match apt.download(&with_parts(apt, &package)?) {
            Ok(debs) => return Ok((package, debs)),
            Err(error) => {
                println!("vm: {package}: {error:#}");
                failure = Some(error);
            }
        }
    }
    Err(failure.unwrap_or_else(|| anyhow::anyhow!("no kernel {series}")))
}

/// The kernel's release, as the package is named after it.
fn release(package: &str) -> Result<&str> {
    package.strip_prefix("linux-image-").with_context(|| format!("{package}: not the package of a kernel"))
}

/// Newer kernels come in parts.
fn with_parts(apt: &Apt, package: &str) -> Result<Vec<String>> {
    let release = release(package)?;
    let parts = ["linux-binary-", "linux-modules-"].map(|prefix| format!("{prefix}{release}"));
    let depends = apt.depends(package)?;
    let mut packages = vec![package.to_owned()];
    packages.extend(depends.into_iter().filter(|name| parts.contains(name)));
    Ok(packages)
}

/// Numbers in a name, in order: what versions compare by.
pub(crate) fn version(name: &str) -> Vec<u64> {
    name.split(|character: char| !character.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

/// Signed kernels for machines in the cloud, the newest first: small, and no firmware.
fn candidates(names: &[String], series: &str) -> Result<Vec<String>> {
    let stock = |name: &&String| {
        let Some(release) = name.strip_prefix("linux-image-").and_then(|rest| rest.strip_suffix(FLAVOUR))
        else {
            return false;
        };
        // Fewer numbers, as in linux-image-6.1-cloud-amd64: a package that only names another one.
        let digit = release.starts_with(|character: char| character.is_ascii_digit());
        digit && version(release).len() >= 3 && !release.contains("-rt")
    };
    let asked = |name: &&String| {
        let release = name.strip_prefix("linux-image-").unwrap_or_default();
        let rest = release.strip_prefix(series);
        series == "newest" || rest.is_some_and(|rest| rest.starts_with(['.', '-', '+']))
    };
    let mut found: Vec<String> = names.iter().filter(stock).filter(asked).cloned().collect();
    found.sort_by_key(|name| std::cmp::Reverse(version(name)));
    if found.is_empty() {
        let known: BTreeSet<Vec<u64>> =
            names.iter().filter(stock).map(|name| version(name).into_iter().take(2).collect()).collect();
        let known: Vec<String> =
            known.iter().map(|pair| pair.iter().map(u64::to_string).collect::<Vec<_>>().join(".")).collect();
        bail!("--kernel {series}: no such kernel; there are newest, {}", known.join(", "));
    }
    Ok(found)
}

/// The kernel itself: beside its modules in packages since 2026, else in `/boot`.
fn image(tree: &Path, release: &str) -> Result<PathBuf> {
    let modules =
        ["usr/lib/modules", "lib/modules"].map(|place| tree.join(place).join(release).join("vmlinuz"));
    let mut places = modules.into_iter().chain([tree.join("boot").join(format!("vmlinuz-{release}"))]);
    places.find(|place| place.is_file()).with_context(|| format!("{release} has no vmlinuz"))
}

fn tree_of_modules(tree: &Path, release: &str) -> Result<PathBuf> {
    let places = ["lib/modules", "usr/lib/modules"].map(|place| tree.join(place).join(release));
    places
        .into_iter()
        .find(|place| place.join("kernel").exists())
        .with_context(|| format!("{release} has no modules"))
}

fn unpack(debs: &[PathBuf], dir: &Path, tools: &Tools, release: &str) -> Result<()> {
    let tree = dir.join("tree");
    extract(debs, &tree)?;
    let place = tree_of_modules(&tree, release)?;
    // depmod wants lib/modules below its base.
    let base = dir.join("base");
    fs::create_dir_all(base.join("lib/modules"))?;
    fs::rename(&place, base.join("lib/modules").join(release))?;
    let mut depmod = tools.command("depmod", "usr/bin/kmod");
    check(depmod.arg("-b").arg(&base).arg(release))?;
    ext4(&dir.join("modules.ext4"), Some(&base.join("lib/modules")), 0)?;
    fs::rename(base.join("lib/modules").join(release), place)?;
    Ok(())
}

/// The closure of `MODULES` by modules.dep, dependencies first. What is not there is built in.
fn early(dir: &Path) -> Result<Vec<PathBuf>> {
    let file = dir.join("modules.dep");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    Ok(closure(&text, &MODULES).into_iter().map(|path| dir.join(path)).collect())
}

/// Lines of modules.dep are `path: dependency…`, with all dependencies, the deepest last.
fn closure(text: &str, wanted: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in wanted {
        let of =
            |line: &&str| line.split_once(':').is_some_and(|(path, _)| module_name(Path::new(path)) == *name);
        let Some((path, rest)) = text.lines().find(of).and_then(|line| line.split_once(':')) else {
            continue;
        };
        for path in rest.split_whitespace().rev().chain([path]) {
            if !all.iter().any(|known| known == path) {
                all.push(path.to_owned());
            }
        }
    }
    all
}

/// `kernel/fs/ext4/ext4.ko.xz` is `ext4`; dashes and underscores are the same.
fn module_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split(".ko").next().unwrap_or_default().replace('-', "_")
}

/// A module's bytes, unpacked.
fn module(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_none_or(|kind| kind != "xz") {
        return fs::read(path).with_context(|| path.display().to_string());
    }
    let output = Command::new("xz").arg("-dc").arg(path).output().context("xz (package xz-utils)")?;
    if !output.status.success() {
        bail!("xz -dc {}: {}", path.display(), output.status);
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_series_is_chosen() {
        let names: Vec<String> = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-57-amd64",
            "linux-image-6.1.0-58-cloud-amd64-dbg",
            "linux-image-6.12.95+deb12-cloud-amd64",
            "linux-image-6.12.117+deb13-cloud-amd64",
            "linux-image-5.10.0-46-cloud-amd64-unsigned",
            "linux-image-cloud-amd64",
            "linux-image-6.1-cloud-amd64",
        ]
        .map(str::to_owned)
        .to_vec();
        for (series, expected) in [
            ("6.1", "linux-image-6.1.0-56-cloud-amd64"),
            ("6.12", "linux-image-6.12.117+deb13-cloud-amd64"),
            ("newest", "linux-image-6.12.117+deb13-cloud-amd64"),
        ] {
            assert_eq!(candidates(&names, series).unwrap()[0], expected, "{series}");
        }
        let error = candidates(&names, "5.10").unwrap_err().to_string();
        assert!(error.ends_with("there are newest, 6.1, 6.12"), "{error}");
    }

    #[test]
    fn the_kernel_lies_in_one_of_three_places() {
        let tree = std::env::temp_dir().join(format!("lct-vmlinuz-{}", std::process::id()));
        for place in ["boot/vmlinuz-7.3", "lib/modules/7.3/vmlinuz", "usr/lib/modules/7.3/vmlinuz"] {
            let file = tree.join(place);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            assert_eq!(image(&tree, "7.3").unwrap(), file);
            fs::remove_dir_all(&tree).unwrap();
        }
        assert!(image(&tree, "7.3").is_err());
    }

    #[test]
    fn modules_come_after_what_they_need() {
        let dep = "kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz\n\
                   kernel/fs/jbd2/jbd2.ko.xz:\nkernel/fs/overlayfs/overlay.ko:\nkernel/lib/crc16.ko.xz:\n";
        let names: Vec<String> = closure(dep, &["crc16", "ext4", "nothing", "overlay"])
            .iter()
            .map(|path| module_name(Path::new(path)))
            .collect();
        assert_eq!(names, ["crc16", "jbd2", "ext4", "overlay"]);
    }
}
