//! One boot of one kernel with one cgroup layout and one security module.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::image::ext4;
use super::kernel::Kernel;
use super::options::{APPARMOR, SELINUX};
use super::purpose::Purpose;
use super::report::Report;

/// How long a machine may take to its first test. Half a minute is usual, on a busy host two.
const BOOT: Duration = Duration::from_secs(300);
/// QEMU's status when the guest ended it after all tests.
const DONE: i32 = 33;
/// Lines of the guest's console that a failure shows.
const CONSOLE: usize = 60;

/// What a boot is made of.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) kernel: Kernel,
    /// `v2`, `v1`, `hybrid`, `systemd`, `systemd-v1` or `systemd-hybrid`.
    pub(crate) layout: String,
    /// `apparmor`, `selinux` or `none`.
    pub(crate) lsm: String,
    /// Binaries that run, if not all of the payload do.
    pub(crate) only: Option<&'static str>,
    pub(crate) purpose: Purpose,
    pub(crate) initramfs: PathBuf,
    pub(crate) tools: PathBuf,
    pub(crate) payload: PathBuf,
    /// Console, results and the writable disk.
    pub(crate) dir: PathBuf,
}

impl Machine {
    /// `6.1.192 v2`, and the security module if it is not that of every kernel.
    pub(crate) fn name(&self) -> String {
        let lsm = if self.lsm == APPARMOR { String::new() } else { format!(" {}", self.lsm) };
        format!("{} {}{lsm}", self.kernel.version, self.layout)
    }

    /// Boots, waits for the end, reads what was reported. A boot that never gets to its tests has told nothing about them: it is
    /// said so, and tried once more.
    pub(crate) fn run(&self) -> Result<Report> {
        let report = self.boot()?;
        let (Some(reason), false) = (&report.broken, self.has_reported()?) else { return Ok(report) };
        println!("vm {}: FLAKY: {reason}; booting once more", self.name());
        self.boot()
    }

    fn boot(&self) -> Result<Report> {
        fs::create_dir_all(&self.dir)?;
        let scratch = self.dir.join("scratch.ext4");
        ext4(&scratch, None, 2048)?;
        for name in ["console", "results"] {
            fs::write(self.dir.join(name), "")?;
        }
        let start = Instant::now();
        let command = self.command(&scratch);
        fs::write(self.dir.join("command"), format!("{command:?}\n"))?;
        // However this process ends, the machine ends with it.
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        let mut child = guarded
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(self.dir.join("qemu"))?)
            .spawn()
            .context("setpriv (package util-linux)")?;
        let code = self.watch(&mut child, start)?;
        let mut report = Report::read(&fs::read_to_string(self.dir.join("results"))?);
        report.seconds = start.elapsed().as_secs_f64();
        if code != Some(DONE) || !report.complete {
            report.broken = Some(match code {
                None => format!("no end after {} s", start.elapsed().as_secs()),
                Some(code) => format!("qemu ended with {code}, the guest {}", self.last_words()?),
            });
        }
        Ok(report)
    }

    fn has_reported(&self) -> Result<bool> {
        let results = self.dir.join("results");
        Ok(fs::metadata(&results).with_context(|| results.display().to_string())?.len() > 0)
    }

    fn last_words(&self) -> Result<&'static str> {
        Ok(if self.has_reported()? { "did not finish" } else { "never reported" })
    }

    /// QEMU's exit code, or none if its time was over.
    fn watch(&self, child: &mut Child, start: Instant) -> Result<Option<i32>> {
        let mut seen = 0;
        let limit = self.purpose.limit();
        loop {
            let status = child.try_wait()?;
            // A letter at the end may be there in part.
            let text = fs::read(self.dir.join("results")).context("results")?;
            let text = String::from_utf8_lossy(&text);
            let lines = text.matches('\n').count();
            for line in text.lines().take(lines).skip(seen) {
                if let Some(line) = super::report::progress(line) {
                    println!("vm {}: {line}", self.name());
                }
            }
            seen = lines;
            if let Some(status) = status {
                // None: a signal ended it.
                return Ok(Some(status.code().unwrap_or(-1)));
            }
            if start.elapsed() > limit || (seen == 0 && start.elapsed() > BOOT) {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn command(&self, scratch: &Path) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        // Without cx16: the emulation of cmpxchg16b of some versions makes kernels fault now and then.
        command.args([
            "-machine",
            "pc",
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max,-cx16",
            "-smp",
            self.purpose.processors(),
            "-m",
            self.purpose.memory(),
        ]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        for name in ["console", "results"] {
            command.arg("-serial").arg(format!("file:{}", self.dir.join(name).display()));
        }
        command.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(&self.initramfs);
        command.arg("-append").arg(self.words());
        let disks = [
            ("tools", self.tools.as_path(), false),
            ("payload", &self.payload, false),
            ("modules", &self.kernel.modules, false),
            ("scratch", scratch, true),
        ];
        let own = self.purpose.disk().map(|disk| ("disk", disk, true));
        for (name, image, writable) in disks.into_iter().chain(own) {
            let options = if writable { "cache=unsafe" } else { "readonly=on" };
            command
                .arg("-drive")
                .arg(format!("file={},if=none,id={name},format=raw,{options}", image.display()));
            command.arg("-device").arg(format!("virtio-blk-pci,drive={name},serial={name}"));
        }
        command
    }

    /// The kernel's command line.
    fn words(&self) -> String {
        let layout = &self.layout;
        let systemd = match layout.as_str() {
            "systemd" => "systemd.unit=vmtest.service",
            "systemd-v1" => {
                "systemd.unit=vmtest.service systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
            }
            "systemd-hybrid" => "systemd.unit=vmtest.service systemd.unified_cgroup_hierarchy=0",
            _ => "",
        };
        // On their own: what else is compiled in (tomoyo, bpf) labels nothing and stays.
        let lsm = match self.lsm.as_str() {
            SELINUX => "security=selinux",
            APPARMOR => "security=apparmor",
            _ => "security=none apparmor=0",
        };
        let only = self.only.map(|names| format!("vm.only={names}")).unwrap_or_default();
        let disk = if self.purpose.disk().is_some() { "vm.disk=1" } else { "" };
        format!(
            "console=ttyS0 panic=-1 quiet no_timer_check swapaccount=1 vm.cg={layout} systemd.log_target=console \
             systemd.show_status=0 {systemd} {lsm} {only} {disk}"
        )
    }

    /// The end of what the guest and QEMU said.
    pub(crate) fn console(&self) -> String {
        let read = |name: &str| {
            let text = fs::read(self.dir.join(name));
            text.unwrap_or_else(|error| format!("{name}: {error}\n").into_bytes())
        };
        let text = String::from_utf8_lossy(&[read("console"), read("qemu")].concat()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(CONSOLE)..).unwrap_or_default().join("\n")
    }
}
