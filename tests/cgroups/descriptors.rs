//! Too few descriptors, and calls on groups that fail: nothing is left.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::rc::Rc;

use libcontainer::cgroups::{Layout, faults};
use libcontainer::{Config, Factory, ProcessConfig};
use libcontainer_tests::{Place, skip};

use super::{limited, ready};

/// The program beside the tests' own directory; `cargo xtask test` builds it first.
pub(super) fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join("nsinit")
}

/// Every directory of the machine's control groups that is named after the test.
fn left(name: &Path) -> Vec<PathBuf> {
    let layout = Layout::of_this_process().unwrap();
    let below = libcontainer::cgroups::GroupPath::new(name).unwrap();
    let paths = layout.all().filter_map(|one| Some(one.mountpoint.join(below.below_mount(one).ok()?)));
    paths.filter(|path| path.exists()).collect()
}

fn top(config: &Config) -> PathBuf {
    config.cgroups.as_ref().unwrap().path.iter().next().unwrap().into()
}

/// A config whose group has a directory of its own above it.
fn nested(place: &Place, name: &str) -> Config {
    let mut config = limited(place, name, r#"{"pids":{"limit":50},"memory":{"limit":134217728}}"#);
    let block = config.cgroups.as_mut().unwrap();
    block.path = block.path.join("leaf");
    config
}

/// `nsinit` with at most `count` descriptors.
fn nsinit(count: u32, state: &Path, args: &[&str]) -> Output {
    let script = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(program()).arg("--root").arg(state).args(args);
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_start_with_too_few_descriptors_leaves_nothing() {
    let name = "a_start_with_too_few_descriptors_leaves_nothing";
    if !ready(name, &["pids"]) {
        return;
    }
    if !program().exists() {
        return skip(name, "nsinit is not built");
    }
    let place = Place::new("few");
    let mut config = nested(&place, "few");
    config.args = vec!["true".into()];
    std::fs::write(place.join("container.json"), config.to_json().unwrap()).unwrap();
    let (bundle, state) = (place.path().display().to_string(), place.join("state"));
    let mut enough = None;
    for count in 3..=64 {
        let run = nsinit(count, &state, &["run", "--bundle", &bundle, "few"]);
        let message = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(left(&top(&config)), Vec::<PathBuf>::new(), "{count}: {message}");
        // A directory that was claimed and couldn't be opened: one delete ends that.
        let delete = nsinit(64, &state, &["delete", "--force", "few"]);
        assert!(!state.join("few").exists(), "{count}: {message} {delete:?}");
        match run.status.success() {
            true => enough = enough.or(Some(count)),
            false => assert!(enough.is_none(), "{count} are fewer than {enough:?}: {message}"),
        }
    }
    // Ten hierarchies of version 1 and 2 here, and no more for further ones than one each. With one alone other steps need the most: 18 there.
    let hierarchies = u32::try_from(Layout::of_this_process().unwrap().all().count()).unwrap();
    let most = (14 + hierarchies).max(20);
    assert!(enough.is_some_and(|enough| enough <= most), "{enough:?} descriptors, {most} allowed");
}

/// Whatever call on a group fails, the error is told and nothing is left; what a destroy can't do, the next one does.
#[test]
fn each_call_on_a_group_fails_once() {
    let name = "each_call_on_a_group_fails_once";
    if !ready(name, &["pids"]) {
        return;
    }
    let place = Place::new("calls");
    let config = nested(&place, "calls");
    let factory = Factory::new().unwrap();
    let at = place.join("c");
    for number in 0_u32.. {
        assert!(number < 3000, "no end");
        let hit = Rc::new(RefCell::new(None));
        let (put, mut left_out) = (Rc::clone(&hit), number);
        let injected = faults::inject_calls(move |call| {
            if left_out == 0 && put.borrow().is_none() {
                *put.borrow_mut() = Some(format!("{} {}", call.name, call.path.display()));
                return Some(libc::EIO);
            }
            left_out = left_out.saturating_sub(1);
            None
        });
        let run =
            factory.run(&at, &config, ProcessConfig::new(["true"])).and_then(|(container, mut process)| {
                process.wait()?;
                container.destroy()
            });
        drop(injected);
        let hit = hit.borrow().clone();
        if run.is_err() {
            factory.destroy(&at).unwrap();
        }
        assert_eq!(left(&top(&config)), Vec::<PathBuf>::new(), "{number}: {hit:?}: {run:?}");
        assert!(!at.exists(), "{number}: {hit:?}: {run:?}");
        if hit.is_none() {
            assert!(number > 50, "only {number} calls");
            return run.unwrap();
        }
    }
}
