//! Opening below a root, and making what is missing, on trees with every kind of link.

use proptest::prelude::*;

use super::tree::{Node, Tree};
use super::{plan, run_on};
use crate::{Dir, File, How, Plan, Slot};

const FILE: u32 = libc::S_IFREG | 0o644;
const DIRECTORY: u32 = libc::S_IFDIR | 0o755;

fn opening(path: &str, how: How, made: u32) -> Plan {
    plan(|plan| {
        let root: Slot<Dir> = plan.preset("root");
        let _: Slot<File> = plan.openat2_or_make(root, path, how, made);
    })
}

fn how(made: u32) -> How {
    if made == DIRECTORY { How::DIR_IN_ROOT } else { How::IN_ROOT }
}

/// What is made, and the error number.
fn made_with(tree: &mut Tree, path: &str, how: How, made: u32) -> (Vec<String>, i32) {
    let before = tree.lines();
    let (_, errno) = run_on(&opening(path, how, made), tree);
    let more = tree.lines().into_iter().filter(|line| !before.contains(line)).collect();
    let open: Vec<_> = tree.open.iter().flatten().collect();
    assert_eq!(open.len(), usize::from(errno == 0), "{path}: descriptors left open");
    if errno == 0 {
        let nofollow = how.flags & libc::O_NOFOLLOW != 0;
        assert_eq!(tree.find(0, path, nofollow, true), Ok(*open[0]), "{path}: not what the path leads to");
    }
    (more, errno)
}

fn made(lines: &[&str], path: &str, kind: u32) -> (Vec<String>, i32) {
    made_with(&mut Tree::new(lines), path, how(kind), kind)
}

/// Tree, path, type of what is wanted, what is made, error number.
type Case<'a> = (&'a [&'a str], &'a str, u32, &'a [&'a str], i32);

fn check(cases: &[Case<'_>]) {
    for (lines, path, kind, more, errno) in cases {
        let wanted = (more.iter().map(|line| (*line).to_owned()).collect(), *errno);
        assert_eq!(made(lines, path, *kind), wanted, "{lines:?} {path}");
    }
}

#[test]
fn what_is_there_is_opened_and_what_is_missing_is_made() {
    check(&[
        (&["a/", "a/f"], "a/f", FILE, &[], 0),
        (&["a/"], "a", DIRECTORY, &[], 0),
        (&["a/"], "a/b/f", FILE, &["a/b/", "a/b/f"], 0),
        (&[], "/a//b/./c/", DIRECTORY, &["a/", "a/b/", "a/b/c/"], 0),
        (&["a/"], "a/../b", FILE, &["b"], 0),
        // A name must be there for `..` to follow it.
        (&[], "a/../b", FILE, &["a/", "b"], 0),
        (&["f"], "f/g", FILE, &[], libc::ENOTDIR),
        (&["f"], "f", DIRECTORY, &[], libc::ENOTDIR),
        (&["a/"], "a", FILE, &[], libc::EISDIR),
    ]);
}

#[test]
fn links_that_lead_nowhere() {
    let resolved = "etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf";
    let made = &["run/", "run/systemd/", "run/systemd/resolve/", "run/systemd/resolve/stub-resolv.conf"];
    check(&[
        (&["etc/", resolved], "etc/resolv.conf", FILE, made, 0),
        (&["l -> /x/y"], "l", FILE, &["x/", "x/y"], 0),
        (&["l -> /x/y"], "l", DIRECTORY, &["x/", "x/y/"], 0),
        (&["l -> ../../../x"], "l", FILE, &["x"], 0),
        (&["l -> ."], "l/x", FILE, &["x"], 0),
        (&["l -> x"], "l/y", FILE, &["x/", "x/y"], 0),
        (&["d/", "d/l -> ../x/./y/"], "d/l/f", FILE, &["x/", "x/y/", "x/y/f"], 0),
        (&["a -> b", "b -> /c", "c -> d/e"], "a", FILE, &["d/", "d/e"], 0),
        (&["a -> x/../y"], "a", FILE, &["x/", "y"], 0),
        (&["a -> d/", "d/"], "a/f", FILE, &["d/f"], 0),
        (&["d/", "a -> d"], "a", FILE, &[], libc::EISDIR),
        (&["a -> /"], "a", FILE, &[], libc::EISDIR),
        (&["f", "a -> f"], "a", DIRECTORY, &[], libc::ENOTDIR),
        (&["f", "a -> f/x"], "a", FILE, &[], libc::ENOTDIR),
        (&["a -> a"], "a", FILE, &[], libc::ELOOP),
        (&["a -> b", "b -> a"], "a/x", DIRECTORY, &[], libc::ELOOP),
    ]);
}

#[test]
fn forty_links_and_no_more() {
    let chain = |links: usize| -> Vec<String> {
        (0..links).map(|index| format!("l{index} -> l{}", index + 1)).collect()
    };
    for (links, errno) in [(40, 0), (41, libc::ELOOP)] {
        let lines = chain(links);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let (more, found) = made(&lines, "l0", FILE);
        assert_eq!((more.len(), found), (usize::from(errno == 0), errno), "{links}");
    }
}

#[test]
fn links_where_none_may_be() {
    let strict = |lines: &[&str], path| made_with(&mut Tree::new(lines), path, How::DIR_NO_LINKS, DIRECTORY);
    assert_eq!(strict(&[], "proc"), (vec!["proc/".to_owned()], 0));
    assert_eq!(strict(&["proc -> x"], "proc"), (vec![], libc::ELOOP));
    assert_eq!(strict(&["a -> x"], "a/proc"), (vec![], libc::ELOOP));
    // A name that is missing at the first look, and a link at the second.
    let mut tree = Tree::new(&["a -> x"]);
    tree.swaps = vec![("a".into(), "other".into())];
    assert_eq!(run_on(&opening("a/proc", How::DIR_NO_LINKS, DIRECTORY), &mut tree).1, libc::ELOOP);
    assert!(!tree.lines().contains(&"x/".to_owned()));
}

#[test]
fn the_last_link_itself() {
    let itself = |how: How| How { flags: how.flags | libc::O_NOFOLLOW, ..how };
    let tree = || Tree::new(&["way -> d", "l -> x"]);
    assert_eq!(made_with(&mut tree(), "l", itself(How::IN_ROOT), FILE), (vec![], 0));
    assert_eq!(made_with(&mut tree(), "l", itself(How::DIR_IN_ROOT), DIRECTORY), (vec![], libc::ENOTDIR));
    let wanted = (vec!["d/".to_owned(), "d/f".to_owned()], 0);
    assert_eq!(made_with(&mut tree(), "way/f", itself(How::IN_ROOT), FILE), wanted);
}

#[test]
fn names_and_paths_that_are_too_long() {
    let name = "n".repeat(255);
    assert_eq!(made(&[], &name, FILE).1, 0);
    assert_eq!(made(&[], &format!("{name}n"), FILE), (vec![], libc::ENAMETOOLONG));
    // Of the 17 names, 16 fit into 4095 bytes.
    assert_eq!(made(&[], &vec![name.as_str(); 16].join("/"), FILE).1, 0);
    assert_eq!(made(&[], &vec![name.as_str(); 17].join("/"), FILE), (vec![], libc::ENAMETOOLONG));
    let target = vec![name.as_str(); 15].join("/");
    let link = format!("l -> {target}");
    assert_eq!(made(&[link.as_str()], "l", FILE).1, 0);
    assert_eq!(made(&[link.as_str()], &format!("l/{target}"), FILE), (vec![], libc::ENAMETOOLONG));
    // A target that does not fit behind what was passed is no shorter target.
    let deep = format!("{}/l -> {target}", "d".repeat(255));
    let lines = [&*format!("{}/", "d".repeat(255)), &deep];
    let (more, errno) = made(&lines, &format!("{}/l", "d".repeat(255)), FILE);
    assert!(errno == 0 || (errno == libc::ENAMETOOLONG && more.is_empty()), "{errno}");
    assert!(more.iter().all(|line| line.split('/').all(|name| [0, 255].contains(&name.len()))));
}

#[test]
fn the_kernel_is_asked_again_when_it_can_not_tell() {
    let again = isize::try_from(-libc::EAGAIN).unwrap();
    for (failures, errno, calls) in [(0, 0, 3), (127, 0, 130), (128, libc::EAGAIN, 128)] {
        let mut answers = vec![again; failures];
        // A file: then its kind is looked at, and the program is run.
        answers.push(9);
        let mut table = super::Table::answering(&answers);
        let (_, found) = super::run(&opening("x", How::IN_ROOT, FILE), &mut table);
        assert_eq!((found, table.calls.len()), (errno, calls), "{failures}");
    }
    // Without anything to make too, but not where no root is.
    let asked = |how: How| {
        let plan = plan(|plan| {
            let root: Slot<Dir> = plan.preset("root");
            let _: Slot<File> = plan.openat2(root, "x", how);
        });
        super::run(&plan, &mut super::Table::answering(&[again])).1
    };
    assert_eq!((asked(How::IN_ROOT), asked(How::TRUSTED)), (0, libc::EAGAIN));
}

#[test]
fn what_the_kernel_is_asked() {
    let mut table = super::Table::answering(&[-2, -2, 0, 8, -2, 0, 0, 9]);
    assert_eq!(super::run(&opening("d/f", How::IN_ROOT, FILE), &mut table).1, 0);
    use crate::interpret::nr::{CLOSE, EXECVE, MKDIRAT, MKNODAT, OPENAT2, READLINKAT, STATX};
    let wanted = [OPENAT2, READLINKAT, MKDIRAT, OPENAT2, READLINKAT, MKNODAT, CLOSE, OPENAT2, STATX, EXECVE];
    assert_eq!(table.numbers(), wanted);
    let first = |index: usize| table.calls[index].1[0];
    assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 8].map(first), [101, 101, 101, 101, 8, 8, 8, 101, 9]);
    assert_eq!((table.calls[2].1[2], table.calls[5].1[2], table.calls[0].1[3]), (0o755, 0o100_644, 24));
    assert_eq!(table.calls[8].1[2..4], [0x1000, 1]);
}

#[test]
fn every_call_that_fails_is_the_error_and_nothing_stays_open() {
    let lines = ["etc/", "etc/l -> ../run/x/../y/f"];
    let mut calls = 0;
    loop {
        let mut tree = Tree::new(&lines);
        tree.fault = Some((calls, libc::EIO));
        let (_, errno) = made_with(&mut tree, "etc/l", How::IN_ROOT, FILE);
        if errno == 0 {
            break;
        }
        assert_eq!(errno, libc::EIO, "call {calls}");
        calls += 1;
    }
    assert!(calls > 12, "{calls}");
}

fn lines() -> impl Strategy<Value = Vec<String>> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let target = prop::sample::select(vec![
        "a",
        "b",
        "/a",
        "/c/b",
        "..",
        "../../b/c",
        ".",
        "/",
        "c/",
        "a/../c",
        "x/y",
        "/x",
        "../x/./z",
    ]);
    let deep = prop_oneof![
        name.clone().prop_map(str::to_owned),
        (name.clone(), name).prop_map(|(a, b)| format!("{a}/{b}"))
    ];
    let kind = prop_oneof![Just(None), target.prop_map(Some)];
    prop::collection::vec((deep, kind, any::<bool>()), 0..7).prop_map(|all| {
        let mut lines: Vec<_> = all
            .into_iter()
            .map(|(path, target, directory)| match target {
                Some(target) => format!("{path} -> {target}"),
                None if directory => format!("{path}/"),
                None => path,
            })
            .collect();
        lines.sort_by_key(|line| line.split(" -> ").next().unwrap().matches('/').count());
        lines
    })
}

/// As [`Tree::new`], without the lines that don't fit.
fn tree_of(lines: &[String]) -> Tree {
    let mut kept: Vec<&str> = Vec::new();
    for line in lines {
        let path = line.split(" -> ").next().unwrap().trim_end_matches('/');
        let tree = Tree::new(&kept);
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let found =
            tree.find(0, parent, true, true).is_ok_and(|at| matches!(tree.nodes[at], Node::Directory(_)));
        if found && tree.find(0, path, true, true) == Err(libc::ENOENT) {
            kept.push(line);
        }
    }
    Tree::new(&kept)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 6 } else { 3000 }, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is opened is what the path leads to, nothing is lost, and only what is missing is made. It fails only where no
    /// directory or file could ever be.
    #[test]
    fn any_tree(lines in lines(), path in prop::sample::select(vec!["a", "b/c", "a/b/c", "c/../a/x", "../b"]), file in any::<bool>()) {
        let mut tree = tree_of(&lines);
        let kind = if file { FILE } else { DIRECTORY };
        let (before, there) = (tree.lines(), tree.find(0, path, false, true));
        let (more, errno) = made_with(&mut tree, path, how(kind), kind);
        let after = tree.lines();
        prop_assert!(before.iter().all(|line| after.contains(line)), "lost");
        prop_assert!(there.is_err() || more.is_empty(), "made {more:?} beside what was there");
        prop_assert!([0, libc::ELOOP, libc::ENOTDIR, libc::EISDIR].contains(&errno), "{errno} {before:?} {path}");
        // A loop may lie behind what is missing.
        prop_assert!(errno != libc::ELOOP || [Err(libc::ELOOP), Err(libc::ENOENT)].contains(&there), "{before:?}");
    }

    /// Names change under it: it ends, and leaves nothing open.
    #[test]
    fn swapped_names(lines in lines(), path in prop::sample::select(vec!["a", "b/c", "a/b/c"]), pairs in prop::collection::vec((0..4_usize, 0..4_usize), 1..3)) {
        let mut tree = tree_of(&lines);
        let names = ["a", "b", "c", "x"];
        tree.swaps = pairs.iter().map(|(one, other)| (names[*one].to_owned(), names[*other].to_owned())).collect();
        let (_, errno) = run_on(&opening(path, How::IN_ROOT, FILE), &mut tree);
        let open = tree.open.iter().flatten().count();
        prop_assert_eq!(open, usize::from(errno == 0));
    }
}
