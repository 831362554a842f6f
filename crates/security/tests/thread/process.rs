//! Limits and the out-of-memory score, of a child that is made for it.

use std::process::{Child, Command};

use libcontainer_plan::Pid;
use libcontainer_security::process::{
    OomScoreAdj, Target, limit, oom_score_adj, set_limit, set_oom_score_adj,
};
use libcontainer_security::{Resource, Rlimit};

struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        Self(Command::new("sleep").arg("60").spawn().unwrap())
    }

    fn target(&self) -> Target {
        Target::Process(Pid::new(i32::try_from(self.0.id()).unwrap()).unwrap())
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.0.id())).unwrap()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_limit_of_a_child_is_set_and_the_old_one_returned() {
    let child = Sleeper::new();
    let files = Resource::from_name("NOFILE").unwrap();
    let own = limit(Target::Own, files).unwrap();
    let before = limit(child.target(), files).unwrap();
    let wanted = Rlimit { resource: files, soft: 17, hard: 34 };
    assert_eq!(set_limit(child.target(), wanted).unwrap(), before);
    assert_eq!(limit(child.target(), files).unwrap(), wanted);
    let line =
        child.file("limits").lines().find(|line| line.starts_with("Max open files")).map(str::to_owned);
    assert_eq!(line.unwrap().split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["17", "34"]);
    assert_eq!(limit(Target::Own, files).unwrap(), own, "the own limit is another");
    let error = set_limit(child.target(), Rlimit { soft: 35, ..wanted }).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EINVAL));
    let text = format!("prlimit64({}, RLIMIT_NOFILE, {{35, 34}}): EINVAL", child.target());
    assert!(error.to_string().starts_with(&text), "{error}");
}

#[test]
fn a_process_that_is_gone_is_no_process() {
    let mut child = Sleeper::new();
    let target = child.target();
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let files = Resource::from_name("NOFILE").unwrap();
    assert_eq!(limit(target, files).unwrap_err().errno(), Some(libc::ESRCH));
    assert_eq!(oom_score_adj(target).unwrap_err().errno(), Some(libc::ENOENT));
}

#[test]
fn the_score_of_a_child_is_raised() {
    let child = Sleeper::new();
    let own = oom_score_adj(Target::Own).unwrap();
    let wanted = OomScoreAdj::new(own.get().max(0) / 2 + 500).unwrap();
    set_oom_score_adj(child.target(), wanted).unwrap();
    assert_eq!(child.file("oom_score_adj").trim(), wanted.get().to_string());
    assert_eq!(oom_score_adj(child.target()).unwrap(), wanted);
    assert_eq!(oom_score_adj(Target::Own).unwrap(), own);
    for (value, fits) in [(-1001, false), (-1000, true), (1000, true), (1001, false), (i32::MIN, false)] {
        assert_eq!(OomScoreAdj::new(value).is_some(), fits, "{value}");
    }
}
