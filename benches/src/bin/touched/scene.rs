//! What is tried: the commands that engines call, with a config.json as they write it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libcontainer::security::CapSet;
use libcontainer::security::seccomp::{Arch, default_profile};
use libcontainer::{Cgroup, Config, Probe, Seccomp};
use libcontainer_tests::{Place, config};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::trace;

/// Names of the containers: one that runs while others come and go.
const STANDING: &str = "touched-standing";
const OTHER: &str = "touched-other";

/// The places of all functions that are called, first those of the shortest command.
pub(crate) fn play(program: &Path, functions: &[u64]) -> Result<Vec<u64>, Failure> {
    let scene = Scene { place: Place::new("touched"), program, functions };
    let calls = scene.all();
    for id in [STANDING, OTHER] {
        // What is gone is no error.
        scene.command().args(["delete", "--force", id]).status()?;
    }
    calls
}

struct Scene<'a> {
    place: Place,
    program: &'a Path,
    functions: &'a [u64],
}

impl Scene<'_> {
    fn all(&self) -> Result<Vec<u64>, Failure> {
        let rootfs = self.place.rootfs()?;
        let short = self.bundle("short", &rootfs, &["/bin/true"], None)?;
        let long = self.bundle("long", &rootfs, &["/bin/sleep", "600"], None)?;
        let filtered = self.bundle("filtered", &rootfs, &["/bin/true"], Some(filter()?))?;
        let plain = self.plain("plain", &rootfs, Seccomp::Unconfined)?;
        let confined = self.plain("confined", &rootfs, Seccomp::Default)?;
        let running = self.called(&["run", "--detach", "--bundle", &long, STANDING])?;
        let mut calls = self.called(&["state", STANDING])?;
        calls.extend(self.called(&["exec", STANDING, "/bin/true"])?);
        calls.extend(self.called(&["run", "--bundle", &short, OTHER])?);
        calls.extend(self.called(&["run", "--bundle", &plain, OTHER])?);
        calls.extend(running);
        for args in [
            &["create", "--bundle", &short, OTHER][..],
            &["start", OTHER],
            &["delete", "--force", OTHER],
            &["list"],
            &["kill", STANDING, "KILL"],
            &["delete", "--force", STANDING],
            &["run", "--bundle", &filtered, OTHER],
            &["run", "--bundle", &confined, OTHER],
        ] {
            calls.extend(self.called(args)?);
        }
        Ok(calls)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.arg("--root").arg(self.place.join("state"));
        command
    }

    fn called(&self, args: &[&str]) -> Result<Vec<u64>, Failure> {
        trace::called(self.command().args(args), self.functions)
    }

    /// A bundle with a container.json, and a control group.
    fn plain(&self, name: &str, rootfs: &Path, seccomp: Seccomp) -> Result<String, Failure> {
        let dir = self.place.join(name);
        fs::create_dir(&dir)?;
        let config = Config {
            cgroups: Some(Cgroup::default()),
            seccomp,
            args: vec!["/bin/true".to_owned()],
            ..config(rootfs)
        };
        fs::write(dir.join("container.json"), config.to_json()?)?;
        Ok(dir.to_string_lossy().into_owned())
    }

    /// A bundle with what `nsinit spec` writes, and this rootfs, filter and program.
    fn bundle(
        &self,
        name: &str,
        rootfs: &Path,
        args: &[&str],
        filter: Option<Value>,
    ) -> Result<String, Failure> {
        let dir: PathBuf = self.place.join(name);
        fs::create_dir(&dir)?;
        let status = self.command().arg("spec").arg("--bundle").arg(&dir).status()?;
        if !status.success() {
            return Err(format!("spec: {status}").into());
        }
        let file = dir.join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&file)?)?;
        spec["process"]["terminal"] = false.into();
        spec["process"]["args"] = json!(args);
        spec["root"]["path"] = json!(rootfs);
        spec["linux"]["seccomp"] = filter.unwrap_or_default();
        fs::write(file, spec.to_string())?;
        Ok(dir.to_string_lossy().into_owned())
    }
}

fn filter() -> Result<Value, Failure> {
    let arch = Arch::native().ok_or("no architecture of seccomp's")?;
    let caps = CapSet::from_names(["CAP_KILL", "CAP_AUDIT_WRITE"])?;
    Ok(serde_json::to_value(default_profile(&caps, arch, Probe::current()?.version))?)
}
