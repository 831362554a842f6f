//! The workspace's test binaries, linked statically, on a disk of their own under the paths that they have on the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::image::{ext4, remove};
use super::purpose::LIMIT_OF_SCRIPT;
use crate::run::{output, root};
use crate::source;
use crate::tools::{self, PROTOC};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What does not run in a guest, and why.
pub(crate) const LEFT_OUT: [(&str, &str); 5] = [
    ("xtask", "starts cargo and git, which no guest has"),
    ("libcontainer-vmguest", "is the guest's own init"),
    ("libcontainer-benches", "measures, and an emulated machine measures nothing"),
    ("libcontainer-tests/golden", "compares texts, without a kernel's help; runs on the host"),
    (
        "libcontainer-tests/properties",
        "thousands of generated cases without a kernel's help; run on the host",
    ),
];
/// What runs where nothing else is asked for, by package or binary: what depends on the kernel and on its layout of control groups.
const LAYOUT: [&str; 7] = [
    "libcontainer-cgroups",
    "libcontainer-tests/apparmor",
    "libcontainer-tests/cgroups",
    "libcontainer-tests/machines",
    "libcontainer-tests/old_kernel",
    "libcontainer-tests/selinux",
    "libcontainer-tests/systemd",
];
/// Seconds that one binary may take, under emulation, and that of podman.
const LIMIT: u64 = 600;
const LIMIT_OF_CLIENTS: u64 = 3300;
/// Its tests run podman.
const CLIENTS: &str = "libcontainer-tests/clients";

/// One executable.
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    /// `package` or `package/target`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    package: String,
    manifest: PathBuf,
    is_test: bool,
}

/// All executables of the workspace: the tests that are to run, and programs that they start.
pub(crate) fn build(cache: &Path) -> Result<Vec<Binary>> {
    let mut all = cargo(cache, &["build", "--workspace", "--bins", "--examples"])?;
    all.extend(cargo(cache, &["test", "--no-run", "--workspace"])?);
    Ok(all)
}

/// The client of the CRI, which is a workspace of its own; it comes to lie beside the runtime.
pub(crate) fn cri_client(cache: &Path) -> Result<Vec<Binary>> {
    if !tools::install(&[PROTOC])?.is_empty() {
        bail!("{} is missing (package {})", PROTOC.program, PROTOC.package);
    }
    cargo(cache, &["build", "--manifest-path", "tests/cri/Cargo.toml"])
}

/// The programs that a machine with a script has: its init and the runtime.
pub(crate) fn programs(cache: &Path) -> Result<Vec<Binary>> {
    cargo(cache, &["build", "-p", "libcontainer-vmguest", "-p", "nsinit", "--bins"])
}

/// The tests that are to run.
pub(crate) fn tests(all: &[Binary]) -> Vec<&Binary> {
    let left_out =
        |binary: &Binary| LEFT_OUT.iter().any(|(name, _)| *name == binary.name || *name == binary.package);
    all.iter().filter(|binary| binary.is_test && !left_out(binary)).collect()
}

/// Cargo with flags and a target directory of its own, so that other builds stay valid.
fn cargo(cache: &Path, args: &[&str]) -> Result<Vec<Binary>> {
    let output = crate::run::cargo(args)
        .args(["--target", TARGET, "--message-format=json-render-diagnostics"])
        .arg("--target-dir")
        .arg(cache.join("build"))
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=debuginfo")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        // Notes for the next build grow with each.
        .env("CARGO_INCREMENTAL", "0")
        .stderr(Stdio::inherit())
        .output()
        .context("cargo")?;
    if !output.status.success() {
        bail!("cargo {}: {}", args.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(binary).collect())
}

/// The executable of one of cargo's messages; most have none.
fn binary(line: &str) -> Option<Binary> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message.get("executable")?.as_str()?);
    let manifest = PathBuf::from(message.get("manifest_path")?.as_str()?);
    let target = message.get("target")?;
    let kind = target.pointer("/kind/0")?.as_str()?;
    let name = target.get("name")?.as_str()?;
    let package = package(message.get("package_id")?.as_str()?, &manifest);
    let name = match kind {
        "lib" => package.clone(),
        "bin" => format!("{package}/{name} (bin)"),
        _ => format!("{package}/{name}"),
    };
    let is_test = message.pointer("/profile/test")?.as_bool()?;
    Some(Binary { name, path, package, manifest, is_test })
}

/// The name in `path+file:///dir#name@1.0.0`, or of the directory where that has only a version.
fn package(id: &str, manifest: &Path) -> String {
    match id.rsplit_once('#').and_then(|(_, rest)| rest.split_once('@')) {
        Some((name, _)) => name.to_owned(),
        None => {
            let dir = manifest.parent().and_then(Path::file_name).unwrap_or_default();
            dir.to_string_lossy().into_owned()
        }
    }
}

/// Which tests run, with which arguments.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    tests: Vec<&'a Binary>,
    args: Vec<String>,
}

/// Which tests were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those of the kernel and its layout of control groups.
    #[default]
    Layout,
    /// All.
    All,
    /// What is part of binaries' names chooses those; anything else chooses tests by a part of their names.
    Filter(String),
}

impl Chosen<'_> {
    /// Whether nothing but podman's tests was asked for.
    pub(crate) fn has_clients(&self) -> bool {
        self.tests.iter().all(|test| test.name == CLIENTS)
    }
}

/// The tests that were asked for.
pub(crate) fn chosen<'a>(tests: &[&'a Binary], wanted: &Wanted) -> Result<Chosen<'a>> {
    let listed = |test: &Binary| LAYOUT.iter().any(|name| *name == test.name || *name == test.package);
    let with = |fits: &dyn Fn(&Binary) -> bool| -> Vec<&'a Binary> {
        tests.iter().copied().filter(|test| fits(test)).collect()
    };
    let binaries = |tests| Ok(Chosen { tests, args: Vec::new() });
    let filter = match wanted {
        Wanted::Layout => return binaries(with(&listed)),
        Wanted::All => return binaries(tests.to_vec()),
        Wanted::Filter(filter) => filter.as_str(),
    };
    let named = with(&|test| test.name.contains(filter));
    if !named.is_empty() {
        return binaries(named);
    }
    let mut holding = Vec::new();
    for test in tests {
        holding.extend(lists(&test.path, filter)?.then_some(*test));
    }
    if holding.is_empty() {
        bail!("no test and no test binary has {filter:?} in its name");
    }
    Ok(Chosen { tests: holding, args: vec![filter.to_owned()] })
}

/// Whether a test binary has a test with `filter` in its name: static as it is, it runs on the host too.
fn lists(path: &Path, filter: &str) -> Result<bool> {
    let mut list = Command::new(path);
    let listed = output(list.args(["--list", "--format", "terse", filter]).stdin(Stdio::null()))?;
    Ok(String::from_utf8_lossy(&listed).contains(": test"))
}

/// The disk: binaries, the files of the source tree, the list of what to run.
pub(crate) fn payload(dir: &Path, all: &[Binary], chosen: &Chosen<'_>) -> Result<PathBuf> {
    let Chosen { tests, args } = chosen;
    let jobs: Vec<Value> = tests.iter().map(|test| job(test, args)).collect();
    disk(dir, all, tests, &jobs)
}

/// The disk of a machine that runs the program `run` of another one. The runtime's path is in `NSINIT`.
pub(crate) fn payload_of_script(dir: &Path, all: &[Binary]) -> Result<PathBuf> {
    let runtime = all.iter().find(|binary| binary.package == "nsinit").context("nsinit was not built")?;
    let job = json!({"name": "script", "path": "/disk/run", "args": [], "cwd": "/disk", "env": {"NSINIT": runtime.path}, "limit": LIMIT_OF_SCRIPT});
    disk(dir, all, &[], &[job])
}

fn disk(dir: &Path, all: &[Binary], tests: &[&Binary], jobs: &[Value]) -> Result<PathBuf> {
    let stage = dir.join("payload");
    remove(&stage)?;
    let guest = guest(all)?;
    let programs = all.iter().filter(|binary| !binary.is_test);
    for binary in programs.chain(tests.iter().copied()) {
        place(&stage, &binary.path)?;
    }
    sources(&stage)?;
    fs::create_dir_all(stage.join("vmtest"))?;
    fs::copy(guest, stage.join("vmtest/vmguest"))?;
    fs::write(stage.join("vmtest/job.json"), json!({ "tests": jobs }).to_string())?;
    let image = dir.join("payload.ext4");
    ext4(&image, Some(&stage), 0)?;
    remove(&stage)?;
    Ok(image)
}

/// The guest's init.
pub(crate) fn guest(all: &[Binary]) -> Result<&Path> {
    let is_guest = |binary: &&Binary| !binary.is_test && binary.package == "libcontainer-vmguest";
    Ok(&all.iter().find(is_guest).context("the guest's init was not built")?.path)
}

fn job(test: &Binary, args: &[String]) -> Value {
    let dir = test.manifest.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    let env = BTreeMap::from([
        ("CARGO_MANIFEST_DIR", dir.clone()),
        ("CARGO_PKG_NAME", test.package.clone()),
        ("RUST_BACKTRACE", "1".to_owned()),
    ]);
    let limit = if test.name == CLIENTS { LIMIT_OF_CLIENTS } else { LIMIT };
    json!({"name": test.name, "path": test.path, "args": args, "cwd": dir, "env": env, "limit": limit})
}

/// A file under its own path below the stage; linked where that can be.
fn place(stage: &Path, path: &Path) -> Result<()> {
    let target = stage.join(path.strip_prefix("/").unwrap_or(path));
    if target.exists() {
        return Ok(());
    }
    fs::create_dir_all(target.parent().context("a file without a directory")?)?;
    if fs::hard_link(path, &target).is_err() {
        fs::copy(path, &target).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Tests read samples by their place in the source tree.
fn sources(stage: &Path) -> Result<()> {
    for name in source::names()? {
        let path = root().join(name);
        let target = stage.join(path.strip_prefix("/").unwrap_or(&path));
        if path.is_file() {
            fs::create_dir_all(target.parent().context("a file without a directory")?)?;
            fs::copy(&path, target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, name: &str, test: bool) -> String {
        json!({
            "executable": "/t/x", "manifest_path": "/w/crates/mount/Cargo.toml",
            "package_id": "path+file:///w/crates/mount#libcontainer-mount@0.1.0",
            "target": {"kind": [kind], "name": name}, "profile": {"test": test},
        })
        .to_string()
    }

    #[test]
    fn executables_are_named_by_package_and_target() {
        let unit = binary(&message("lib", "libcontainer_mount", true)).unwrap();
        let test = binary(&message("test", "mountinfo", true)).unwrap();
        assert_eq!(
            (unit.name.as_str(), test.name.as_str()),
            ("libcontainer-mount", "libcontainer-mount/mountinfo")
        );
        assert!(binary(r#"{"reason":"build-finished","success":true}"#).is_none());
        assert_eq!(
            package("path+file:///w/crates/nsinit#0.1.0", Path::new("/w/crates/nsinit/Cargo.toml")),
            "nsinit"
        );
    }

    #[test]
    fn a_filter_is_for_binaries_or_else_for_tests() {
        let mut own = binary(&message("lib", "x", true)).unwrap();
        own.path = std::env::current_exe().unwrap();
        let mut other = binary(&message("test", "mountinfo", true)).unwrap();
        other.path = "/bin/true".into();
        let all = [own, other];
        let all: Vec<&Binary> = all.iter().collect();
        let filter = |text: &str| Wanted::Filter(text.to_owned());
        let cases = [
            (Wanted::All, 2, 0),
            (Wanted::Layout, 0, 0),
            (filter("mountinfo"), 1, 0),
            (filter("a_filter_is_for_binaries"), 1, 1),
        ];
        for (wanted, binaries, args) in cases {
            let chosen = chosen(&all, &wanted).unwrap();
            assert_eq!((chosen.tests.len(), chosen.args.len()), (binaries, args), "{wanted:?}");
        }
        let error = chosen(&all, &filter(&["no", "such"].join("_"))).unwrap_err().to_string();
        assert!(error.contains("no_such"), "{error}");
    }
}
