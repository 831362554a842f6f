//! A tree of files in memory that answers the calls by which the interpreter opens and makes a path.

use std::collections::BTreeMap;

use crate::interpret::{Sys, nr};

/// Descriptor of the root.
pub(super) const ROOT: usize = 101;
/// First descriptor that is given out.
const FIRST: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Directory(BTreeMap<String, usize>),
    File,
    Link(String),
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// What each descriptor from [`FIRST`] on is, `None` once it is closed.
    pub(super) open: Vec<Option<usize>>,
    pub(super) calls: usize,
    /// Fails the call of this index with that error number.
    pub(super) fault: Option<(usize, i32)>,
    pub(super) ended: bool,
    /// What another process does to the names of the root before each call: exchanges the two.
    pub(super) swaps: Vec<(String, String)>,
}

impl Tree {
    /// `a/` is a directory, `a` a file, `a -> b` a link; parents come first.
    pub(super) fn new(lines: &[&str]) -> Self {
        let nodes = vec![Node::Directory(BTreeMap::new())];
        let mut tree =
            Self { nodes, open: Vec::new(), calls: 0, fault: None, ended: false, swaps: Vec::new() };
        for line in lines {
            let (path, node) = match line.split_once(" -> ") {
                Some((path, target)) => (path, Node::Link(target.to_owned())),
                None if line.ends_with('/') => (line.trim_end_matches('/'), Node::Directory(BTreeMap::new())),
                None => (*line, Node::File),
            };
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let parent = tree.find(0, parent, false, true).unwrap();
            tree.add(parent, name, node).unwrap();
        }
        tree
    }

    fn add(&mut self, parent: usize, name: &str, node: Node) -> Result<usize, i32> {
        let index = self.nodes.len();
        match self.nodes.get_mut(parent) {
            Some(Node::Directory(names)) if names.contains_key(name) => return Err(libc::EEXIST),
            Some(Node::Directory(names)) => names.insert(name.to_owned(), index),
            _ => return Err(libc::ENOTDIR),
        };
        self.nodes.push(node);
        Ok(index)
    }

    /// As the kernel finds it with `RESOLVE_IN_ROOT`, the root being `root`.
    pub(super) fn find(&self, root: usize, path: &str, nofollow: bool, links: bool) -> Result<usize, i32> {
        let mut stack = vec![root];
        let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut followed = 0;
        while let Some(name) = rest.pop() {
            let here = *stack.last().unwrap();
            let Node::Directory(names) = &self.nodes[here] else { return Err(libc::ENOTDIR) };
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    stack.truncate(1.max(stack.len() - 1));
                    continue;
                }
                _ => {}
            }
            let found = *names.get(&name).ok_or(libc::ENOENT)?;
            let Node::Link(target) = &self.nodes[found] else {
                stack.push(found);
                continue;
            };
            if nofollow && rest.is_empty() {
                return Ok(found);
            }
            followed += 1;
            if !links || followed > 40 {
                return Err(libc::ELOOP);
            }
            if target.starts_with('/') {
                stack.truncate(1);
            }
            rest.extend(target.split('/').rev().map(str::to_owned));
        }
        Ok(stack.pop().unwrap())
    }

    /// All there is, as [`Tree::new`] takes it.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.list(0, "", &mut all);
        all
    }

    fn list(&self, index: usize, prefix: &str, all: &mut Vec<String>) {
        let Node::Directory(names) = &self.nodes[index] else { return };
        for (name, index) in names {
            let path = format!("{prefix}{name}");
            match &self.nodes[*index] {
                Node::Directory(_) => {
                    all.push(format!("{path}/"));
                    self.list(*index, &format!("{path}/"), all);
                }
                Node::File => all.push(path),
                Node::Link(target) => all.push(format!("{path} -> {target}")),
            }
        }
    }

    fn node(&self, fd: usize) -> usize {
        if fd == ROOT { 0 } else { self.open[fd - FIRST].expect("an open descriptor") }
    }

    /// Every call begins with it.
    fn begin(&mut self) -> Result<(), i32> {
        let index = self.calls;
        self.calls += 1;
        assert!(self.calls < 20_000, "it does not end");
        for (one, other) in self.swaps.clone() {
            let Node::Directory(names) = &mut self.nodes[0] else { unreachable!() };
            let pair = (names.remove(&one), names.remove(&other));
            names.extend(pair.0.map(|index| (other, index)));
            names.extend(pair.1.map(|index| (one, index)));
        }
        match self.fault {
            Some((at, errno)) if at == index => Err(errno),
            _ => Ok(()),
        }
    }

    fn opened(&mut self, dir: usize, path: &[u8], [flags, _, resolve]: [u64; 3]) -> Result<usize, i32> {
        self.begin()?;
        let nofollow = flags & u64::from(crate::wire::unsigned(libc::O_NOFOLLOW)) != 0;
        assert!(resolve & 0x18 != 0 && resolve & 2 != 0, "not scoped");
        let found = self.find(self.node(dir), text(path), nofollow, resolve & 4 == 0)?;
        let directory = flags & u64::from(crate::wire::unsigned(libc::O_DIRECTORY)) != 0;
        if directory && !matches!(self.nodes[found], Node::Directory(_)) {
            return Err(libc::ENOTDIR);
        }
        self.open.push(Some(found));
        Ok(FIRST + self.open.len() - 1)
    }

    fn target(&mut self, dir: usize, name: &[u8], into: &mut [u8]) -> Result<usize, i32> {
        self.begin()?;
        let Node::Directory(names) = &self.nodes[self.node(dir)] else { return Err(libc::ENOTDIR) };
        let found = names.get(single(name)).ok_or(libc::ENOENT)?;
        let Node::Link(target) = &self.nodes[*found] else { return Err(libc::EINVAL) };
        let length = target.len().min(into.len());
        into[..length].copy_from_slice(&target.as_bytes()[..length]);
        Ok(length)
    }

    fn made(&mut self, call: usize, dir: usize, name: &[u8], mode: u32) -> Result<usize, i32> {
        self.begin()?;
        let node = match (call, mode) {
            (nr::MKDIRAT, 0o755 | 0o040_755) => Node::Directory(BTreeMap::new()),
            (nr::MKNODAT, 0o100_644) => Node::File,
            _ => panic!("call {call} with mode {mode:o}"),
        };
        let parent = self.node(dir);
        self.add(parent, single(name), node).map(|_| 0)
    }

    fn kind(&mut self, fd: usize, into: &mut [u8]) -> Result<usize, i32> {
        self.begin()?;
        let mode: u16 = match self.nodes[self.node(fd)] {
            Node::Directory(_) => 0o040_755,
            Node::File => 0o100_644,
            Node::Link(_) => 0o120_777,
        };
        into[28..30].copy_from_slice(&mode.to_le_bytes());
        Ok(0)
    }
}

fn text(path: &[u8]) -> &str {
    std::str::from_utf8(path.strip_suffix(&[0]).expect("a NUL at the end")).unwrap()
}

fn single(name: &[u8]) -> &str {
    let name = text(name);
    assert!(!name.contains(['/', '\0']) && !["", ".", ".."].contains(&name), "{name:?} is more than a name");
    name
}

fn answer(result: Result<usize, i32>) -> isize {
    result.map_or_else(|errno| -(errno as isize), |value| isize::try_from(value).unwrap())
}

impl Sys for Tree {
    fn call(&mut self, call: usize, args: [usize; 6]) -> isize {
        if call == nr::CLOSE {
            assert!(self.open[args[0] - FIRST].take().is_some(), "closed twice");
            return 0;
        }
        assert_eq!(call, nr::EXECVE);
        self.ended = true;
        0
    }

    fn open(&mut self, dir: usize, path: &[u8], how: &[u64; 3]) -> isize {
        answer(self.opened(dir, path, *how))
    }

    fn read_link(&mut self, dir: usize, name: &[u8], into: &mut [u8]) -> isize {
        answer(self.target(dir, name, into))
    }

    fn make(&mut self, call: usize, dir: usize, name: &[u8], mode: u32) -> isize {
        answer(self.made(call, dir, name, mode))
    }

    fn status(&mut self, fd: usize, into: &mut [u8; 256]) -> isize {
        answer(self.kind(fd, into))
    }

    fn store(&mut self, _: usize, _: u64) {}

    fn load_aux(&mut self) -> u64 {
        0
    }

    fn board_address(&mut self, word: usize) -> usize {
        word
    }

    fn stamp(&mut self) -> u64 {
        0
    }

    fn alive(&self) -> bool {
        !self.ended
    }
}
