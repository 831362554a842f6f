//! `escapes`: takes each defence out, as `tests/escapes/weakened.txt` says, and sees its tests fail.

mod table;
mod trial;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, check, root};
pub(crate) use table::complaints;
use trial::{TRIALS, Trial};

/// A test that hangs without its defence has failed too.
const SECONDS: &str = "300";

pub(crate) fn run(args: &[String]) -> Result<()> {
    let text = std::fs::read_to_string(root().join(TRIALS)).context(TRIALS)?;
    let trials = trial::parse(&text).map_err(anyhow::Error::msg)?;
    if let Some(name) = args.iter().find(|name| !trials.iter().any(|trial| trial.name == **name)) {
        bail!("{name}: no trial of that name in {TRIALS}");
    }
    let mut bad = 0;
    for trial in trials.iter().filter(|trial| args.is_empty() || args.contains(&trial.name)) {
        let complaints = attempt(trial).with_context(|| trial.name.clone())?;
        complaints.iter().for_each(|complaint| println!("{}: {complaint}", trial.name));
        if complaints.is_empty() {
            println!("{}: seen to fail: {}", trial.name, trial.tests().collect::<Vec<_>>().join(", "));
        }
        bad += complaints.len();
    }
    if bad == 0 { Ok(()) } else { bail!("{bad} tests did not fail as they should") }
}

/// The files of the workspace as they were, when this is dropped.
struct Restored(Vec<(PathBuf, String)>);

impl Drop for Restored {
    fn drop(&mut self) {
        for (path, text) in &self.0 {
            if let Err(error) = std::fs::write(path, text) {
                eprintln!("{}: {error}: not restored", path.display());
            }
        }
    }
}

/// What is wrong with the tests that must fail: nothing, if they do.
fn attempt(trial: &Trial) -> Result<Vec<String>> {
    let mut restored = Restored(Vec::new());
    for hunk in &trial.hunks {
        let path = root().join(&hunk.file);
        let text = std::fs::read_to_string(&path).with_context(|| hunk.file.clone())?;
        let weaker = hunk.apply(&text).map_err(anyhow::Error::msg)?;
        restored.0.push((path.clone(), text));
        std::fs::write(&path, weaker).with_context(|| hunk.file.clone())?;
    }
    // Later hunks of a file begin with what the earlier ones have made of it.
    restored.0.reverse();
    let mut complaints = Vec::new();
    if trial.command {
        check(&mut cargo(&["build", "--quiet", "-p", "nsinit"]))?;
    }
    for (binary, tests) in &trial.runs {
        let [package, binary] = place(binary);
        check(&mut cargo(&["test", "--quiet", "-p", package, "--test", binary, "--no-run"]))?;
        let text = output(package, binary, tests)?;
        complaints.extend(tests.iter().filter_map(|test| trial.judge(test, &text)));
    }
    Ok(complaints)
}

/// Package and name of a test binary: those of the workspace's tests are named alone.
fn place(binary: &str) -> [&str; 2] {
    let (package, binary) = binary.split_once('/').unwrap_or(("libcontainer-tests", binary));
    [package, binary]
}

/// The machine's own directories are read-only for what runs without a defence, and so is every bind of them: tests clean up behind themselves.
/// The shell stays, as the first process of its namespace, which reaps orphans.
const GUARDED: &str = "for dir in /boot /etc /home /opt /srv /usr /var/lib; do
    [ -d $dir ] || continue
    mount --bind $dir $dir && mount -o remount,bind,ro $dir || exit 1
done
\"$@\"
exit $?";

/// Begins a command in namespaces of its own: without a defence mounts may travel, and inits may be left waiting, which end with theirs.
fn guarded() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["sh", "-c", GUARDED, "guarded"]).current_dir(root()).stdin(Stdio::null());
    command
}

/// What the tests say.
fn output(package: &str, binary: &str, tests: &[String]) -> Result<String> {
    let mut command = guarded();
    command.args(["timeout", "--kill-after", "5", SECONDS]);
    command.args(["cargo", "test", "-p", package, "--test", binary, "--"]).args(tests);
    let output = command.output().context("unshare")?;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(text.concat())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::guarded;

    fn skip(name: &str, reason: &str) {
        let line = format!("{name}: {}\n", reason.trim());
        eprint!("SKIP: {line}");
        if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
            file.and_then(|mut file| file.write_all(line.as_bytes())).unwrap();
        }
    }

    /// `output` waits for all who have the pipe.
    #[test]
    fn what_a_trial_leaves_running_ends_with_it() {
        let able = guarded().arg("true").output().unwrap();
        if !able.status.success() {
            let reason = String::from_utf8_lossy(&able.stderr);
            return skip("what_a_trial_leaves_running_ends_with_it", &reason);
        }
        let script = "echo begun; setsid sh -c 'sleep 20; echo outlived it' & exit 7";
        let output = guarded().args(["sh", "-c", script]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!((output.status.code(), text.as_ref()), (Some(7), "begun\n"));
    }
}
