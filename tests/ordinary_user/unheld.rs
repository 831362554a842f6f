//! A container whose processes can't all be found.

use libcontainer::{Cgroup, NamespaceKind};

use super::{Ordinary, USER, fs};

/// What is said of it.
const TOLD: &str = "neither a control group nor a pid namespace of its own";

/// By neither of the two, what the first process leaves behind is nobody's: that is told once. With a pid namespace nothing is said.
#[test]
fn a_container_that_nothing_holds_together_is_told() {
    let Some(mut ordinary) = Ordinary::new("a_container_that_nothing_holds_together_is_told") else { return };
    ordinary.user_namespace(&[(0, i64::from(USER), 1)]);
    ordinary.config.cgroups = Some(Cgroup::default());
    ordinary.write();
    let (code, text) = ordinary.nsinit(&ordinary.state(), &["run", "web", "true"]);
    assert_eq!((code, text.as_str()), (Some(0), ""));
    ordinary.config.namespaces.share(NamespaceKind::Pid);
    ordinary.write();
    let (code, text) = ordinary.nsinit(&ordinary.state(), &["run", "web", "true"]);
    assert_eq!((code, text.matches(TOLD).count()), (Some(0), 1), "{text}");
    // What is made and waits has the streams of its maker, which don't end.
    let script = "./nsinit --root ./state create web true >./told 2>&1";
    let status = ordinary.command("sh", &["-c", script]).status().unwrap();
    let text = fs::read_to_string(ordinary.place.join("told")).unwrap();
    assert_eq!((status.code(), text.matches(TOLD).count()), (Some(0), 1), "{text}");
    for args in [["start", "web"].as_slice(), &["delete", "--force", "web"]] {
        let (code, text) = ordinary.nsinit(&ordinary.state(), args);
        assert_eq!((code, text.as_str()), (Some(0), ""), "{args:?}");
    }
}
