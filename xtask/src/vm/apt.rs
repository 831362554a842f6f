//! Debian packages without touching the system's apt: an apt configuration of our own, in the cache.
//!
//! The addresses of the archive are those of the system's own apt sources. Versions are whatever the archive has now.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use super::sources::{self, Base};
use crate::run::check;

/// How long an index of packages is good.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// Suites that kernels are looked for in; those that don't answer are left out.
const SUITES: [&str; 5] = ["bookworm", "bookworm-backports", "bullseye", "trixie", "trixie-backports"];
const SECURITY_SUITES: [&str; 3] = ["bookworm-security", "bullseye-security", "trixie-security"];
/// Where the programs of the guest come from.
const TOOLS_SUITE: &str = "bookworm";

/// An apt of our own.
#[derive(Debug)]
pub(crate) struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// One that knows the suites above. Writes the configuration below `cache` and fetches the index if there is none of today.
    pub(crate) fn open(cache: &Path) -> Result<Self> {
        Self::of(cache.join("apt"), |base| if base.security { &SECURITY_SUITES } else { &SUITES })
    }

    /// One that knows a single suite, likewise.
    pub(crate) fn of_suite(cache: &Path, suite: &str) -> Result<Self> {
        Self::of(cache.join(format!("apt-{suite}")), |base| {
            if base.security { &[] } else { std::slice::from_ref(&suite) }
        })
    }

    fn of<'a>(dir: PathBuf, suites: impl Fn(&Base) -> &'a [&'a str]) -> Result<Self> {
        let apt = Self { dir };
        for dir in ["lists/partial", "debs/partial"] {
            std::fs::create_dir_all(apt.dir.join(dir))?;
        }
        std::fs::write(apt.dir.join("status"), "")?;
        std::fs::write(apt.dir.join("apt.conf"), apt.config())?;
        let bases = sources::bases(&sources::system()?)?;
        let list = source_list(&bases, suites);
        let file = apt.dir.join("sources.list");
        // One that can't be read is written anew.
        let same = std::fs::read_to_string(&file).is_ok_and(|old| old == list);
        if !same {
            std::fs::write(&file, list)?;
        }
        if !same || !apt.is_fresh() {
            apt.update()?;
        }
        Ok(apt)
    }

    fn config(&self) -> String {
        let dir = self.dir.display();
        format!(
            "Dir::State \"{dir}\";\nDir::State::lists \"{dir}/lists\";\nDir::State::status \"{dir}/status\";\n\
             Dir::Cache \"{dir}\";\nDir::Cache::archives \"{dir}/debs\";\n\
             Dir::Etc::sourcelist \"{dir}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
             Dir::Etc::preferences \"/dev/null\";\nDir::Etc::preferencesparts \"/dev/null\";\nAPT::Sandbox::User \"\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures \"amd64\";\nAcquire::Languages \"none\";\n\
             Acquire::Retries \"3\";\nAPT::Default-Release \"/^{TOOLS_SUITE}(-security)?$/\";\n\
             Debug::NoLocking \"true\";\n"
        )
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.dir.join("apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C")
            .current_dir(self.debs())
            .stdin(Stdio::null());
        command
    }

    fn debs(&self) -> PathBuf {
        self.dir.join("debs")
    }

    fn stamp(&self) -> PathBuf {
        self.dir.join("updated")
    }

    /// Whether it is known to be: else it is fetched.
    fn is_fresh(&self) -> bool {
        let written = std::fs::metadata(self.stamp()).and_then(|data| data.modified());
        written.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age < FRESH))
    }

    /// Fetches the indexes. Suites that are gone make apt-get fail after it has fetched the others.
    fn update(&self) -> Result<()> {
        println!("vm: fetching package indexes");
        let output = self.command("apt-get").args(["-qq", "update"]).output().context("apt-get update")?;
        if self.packages("linux-image-")?.is_empty() {
            bail!("no packages can be had by apt-get update: {}", first_line(&output.stderr));
        }
        std::fs::write(self.stamp(), "")?;
        Ok(())
    }

    fn lines(&self, program: &str, args: &[&str]) -> Result<Vec<String>> {
        self.lines_in(self.debs(), program, args)
    }

    fn lines_in(&self, dir: impl AsRef<Path>, program: &str, args: &[&str]) -> Result<Vec<String>> {
        let output =
            self.command(program).args(args).current_dir(dir).output().with_context(|| program.to_owned())?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            bail!("{program} {}: {}", args.join(" "), first_line(text.as_bytes()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    /// Names of packages that begin so.
    pub(crate) fn packages(&self, prefix: &str) -> Result<Vec<String>> {
        self.lines("apt-cache", &["pkgnames", prefix])
    }

    /// What a package depends on.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let lines = self.lines("apt-cache", &["depends", package])?;
        let name = |line: &String| line.trim().strip_prefix("Depends: ").map(str::to_owned);
        Ok(lines.iter().filter_map(name).collect())
    }

    /// These packages alone.
    pub(crate) fn download(&self, packages: &[String]) -> Result<Vec<PathBuf>> {
        let mut args = vec!["-qq", "download"];
        args.extend(packages.iter().map(String::as_str));
        self.fetch(&args)
    }

    /// These packages and all that they depend on.
    pub(crate) fn closure(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let mut args = vec!["-qq", "-y", "--no-install-recommends", "--download-only", "install"];
        args.extend(packages);
        self.fetch(&args)
    }

    /// Runs apt-get unless the files that it would fetch are there; once more with a new index if that fails.
    fn fetch(&self, args: &[&str]) -> Result<Vec<PathBuf>> {
        self.try_fetch(args).or_else(|error| {
            println!("vm: {error:#}");
            self.update()?;
            self.try_fetch(args)
        })
    }

    fn try_fetch(&self, args: &[&str]) -> Result<Vec<PathBuf>> {
        // Where apt has the file already it prints no address, so it is asked with an empty cache.
        // And `download` prints none where the file lies in the working directory.
        let mut ask = vec!["--print-uris", "-o", "Dir::Cache::archives=/nonexistent"];
        ask.extend(args);
        let lines = self.lines_in("/", "apt-get", &ask)?;
        let name = |line: &String| {
            let (_, rest) = line.strip_prefix('\'')?.split_once("' ")?;
            Some(self.debs().join(rest.split(' ').next()?))
        };
        let files: Vec<PathBuf> = lines.iter().filter_map(name).collect();
        if files.is_empty() {
            bail!("apt-get {}: no package", args.join(" "));
        }
        if files.iter().any(|file| !file.exists()) {
            println!("vm: fetching {} packages", files.len());
            let output = self.command("apt-get").args(args).output().context("apt-get")?;
            if !output.status.success() {
                bail!("apt-get {}: {}", args.join(" "), first_line(&output.stderr));
            }
        }
        match files.iter().find(|file| !file.exists()) {
            Some(file) => bail!("{} was not fetched", file.display()),
            None => Ok(files),
        }
    }
}

/// Unpacks packages over each other; nothing of them is run.
pub(crate) fn extract(debs: &[PathBuf], dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    for deb in debs {
        let mut archive = Command::new("dpkg");
        let mut archive =
            archive.arg("--fsys-tarfile").arg(deb).stdout(Stdio::piped()).spawn().context("dpkg")?;
        let stream = archive.stdout.take().context("dpkg without output")?;
        let mut tar = Command::new("tar");
        // dpkg -x would put a directory in place of the link bin -> usr/bin.
        tar.args(["-x", "-p", "--no-same-owner", "--keep-directory-symlink", "--warning=no-timestamp", "-C"])
            .arg(dir);
        check(tar.stdin(stream))?;
        if !archive.wait()?.success() {
            bail!("dpkg cannot read {}", deb.display());
        }
    }
    Ok(())
}

/// The first complaint: what follows is mostly advice.
fn first_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let error = lines.iter().find(|line| line.starts_with("E: "));
    error.or(lines.first()).copied().unwrap_or("no reason given").to_owned()
}

fn source_list<'a>(bases: &[Base], suites: impl Fn(&Base) -> &'a [&'a str]) -> String {
    let mut text = String::new();
    for base in bases {
        for suite in suites(base) {
            let mut options = Vec::new();
            if let Some(key) = &base.signed_by {
                options.push(format!("signed-by={key}"));
            }
            // Archived suites keep their last signature.
            options.push("check-valid-until=no".to_owned());
            text.push_str(&format!("deb [{}] {} {suite} main\n", options.join(" "), base.uri));
        }
    }
    text
}
