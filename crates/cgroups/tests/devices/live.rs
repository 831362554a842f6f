//! Groups of this machine for the device filter, and programs that open nodes in them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use libcontainer_cgroups::Dir;

/// A group below our own in one hierarchy, removed at the end with what it holds.
pub(crate) struct Group(PathBuf);

impl Group {
    /// In the hierarchy of `controller` (version 1), or of version 2 for an empty name. The reason when there is none.
    pub(crate) fn new(controller: &str) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let top = mount(controller).ok_or_else(|| format!("no hierarchy {controller:?} is mounted"))?;
        let own = own(controller).ok_or_else(|| format!("/proc/self/cgroup has no {controller:?}"))?;
        let path = top.join(own).join(format!("libcontainer-devices-{}-{number}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(format!("mkdir {}: {error}", path.display())),
        }
    }

    pub(crate) fn dir(&self) -> Dir {
        Dir::open(&self.0).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Whether a program in the group can do `action` (shell words). Any refusal must be EPERM.
    pub(crate) fn can(&self, action: &str) -> bool {
        let script = format!("echo $$ > {}/cgroup.procs && {action}", self.0.display());
        let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() != words.contains("Operation not permitted"),
            "{action}: {:?} {words}",
            output.status
        );
        output.status.success()
    }

    pub(crate) fn reads(&self, node: &str) -> bool {
        self.can(&format!("exec 3< {node}"))
    }

    pub(crate) fn writes(&self, node: &str) -> bool {
        self.can(&format!("exec 3> {node}"))
    }

    /// Whether a program in the group can make the node of /dev/zero.
    pub(crate) fn makes_zero(&self) -> bool {
        let node = std::env::temp_dir().join(self.0.file_name().unwrap());
        let made = self.can(&format!("exec mknod {} c 1 5", node.display()));
        let _ = std::fs::remove_file(node);
        made
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // RACE: the shell was waited for, but its charge may leave a moment later.
        for _ in 0..200 {
            match std::fs::remove_dir(&self.0) {
                Err(error) if error.raw_os_error() == Some(16) => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                _ => return,
            }
        }
    }
}

fn mount(controller: &str) -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines().find_map(|line| {
        let (place, system) = line.split_once(" - ")?;
        let mut words = system.split(' ');
        let kind = words.next()?;
        let options = words.nth(1)?;
        let wanted = match controller {
            "" => kind == "cgroup2",
            name => kind == "cgroup" && options.split(',').any(|option| option == name),
        };
        wanted.then(|| PathBuf::from(place.split(' ').nth(4).unwrap()))
    })
}

fn own(controller: &str) -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        names.split(',').any(|name| name == controller).then(|| PathBuf::from(path.trim_start_matches('/')))
    })
}

mod version_1 {
    use super::Group;
    use crate::any::docker;
    use crate::skip::skip;
    use libcontainer_cgroups::Error;
    use libcontainer_cgroups::devices::v1::{Gap, OnGap, set};
    use libcontainer_cgroups::devices::{Access, Kind, Rule};

    #[test]
    fn a_denied_node_of_version_1() {
        let group = match Group::new("devices") {
            Ok(group) => group,
            Err(reason) => return skip("a_denied_node_of_version_1", &reason),
        };
        let dir = group.dir();
        assert!(group.reads("/dev/full"), "a new group has what its parent has");

        let plan = set(&dir, &docker(), OnGap::Refuse).unwrap();
        assert_eq!(plan.gap(), Some(Gap::Denies));
        assert_eq!(dir.read("devices.list").unwrap().lines().count(), 6);
        assert!(group.reads("/dev/zero") && group.writes("/dev/null"));
        assert!(!group.reads("/dev/full"));
        assert!(group.makes_zero());

        // An update: full may be read, zero only be read and not be made.
        let mut rules = docker();
        rules.push(Rule {
            allow: false,
            kind: Kind::Char,
            major: Some(1),
            minor: Some(5),
            access: Access::all(),
        });
        rules.push(Rule {
            allow: true,
            kind: Kind::Char,
            major: Some(1),
            minor: Some(5),
            access: Access::READ,
        });
        rules.push(Rule {
            allow: true,
            kind: Kind::Char,
            major: Some(1),
            minor: Some(7),
            access: Access::READ,
        });
        let plan = set(&dir, &rules, OnGap::Refuse).unwrap();
        assert_eq!((plan.gap(), plan.writes().len()), (None, 2), "{plan:?}");
        assert!(group.reads("/dev/full") && !group.writes("/dev/full"));
        assert!(group.reads("/dev/zero") && !group.writes("/dev/zero") && !group.makes_zero());
        assert!(set(&dir, &rules, OnGap::Refuse).unwrap().writes().is_empty());

        set(&dir, &[Rule::everything(true)], OnGap::Refuse).unwrap();
        assert!(group.writes("/dev/full"));
    }

    #[test]
    fn a_gap_is_refused_while_somebody_runs() {
        let group = match Group::new("devices") {
            Ok(group) => group,
            Err(reason) => return skip("a_gap_is_refused_while_somebody_runs", &reason),
        };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        std::fs::write(group.path().join("cgroup.procs"), child.id().to_string()).unwrap();
        let refused = set(&group.dir(), &docker(), OnGap::Refuse).unwrap_err().to_string();
        let before = group.dir().read("devices.list").unwrap();
        let accepted = set(&group.dir(), &docker(), OnGap::Accept).map(|plan| plan.gap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(refused.contains("everything would be denied for a moment"), "{refused}");
        assert_eq!(before, "a *:* rwm");
        assert_eq!(accepted.unwrap(), Some(Gap::Denies));
    }

    #[test]
    fn what_the_group_above_denies() {
        let group = match Group::new("devices") {
            Ok(group) => group,
            Err(reason) => return skip("what_the_group_above_denies", &reason),
        };
        set(&group.dir(), &docker(), OnGap::Refuse).unwrap();
        group.dir().make("below").unwrap();
        let below = group.dir().child("below").unwrap();
        let full = Rule { kind: Kind::Char, major: Some(1), minor: Some(7), ..Rule::everything(true) };
        let null = Rule { minor: Some(3), ..full };
        let before = below.read("devices.list").unwrap();
        let mut wanted: Vec<Rule> = docker().into_iter().filter(|rule| rule.minor != Some(5)).collect();
        wanted.extend([null, full]);
        let error = set(&below, &wanted, OnGap::Refuse).unwrap_err();
        let after = below.read("devices.list").unwrap();
        group.dir().remove("below").unwrap();
        assert!(
            matches!(&error, Error::Write { value, hint, .. }
            if value == "c 1:7 rwm" && hint == "; the group above does not allow it"),
            "{error}"
        );
        assert_eq!(before, after);
    }
}
