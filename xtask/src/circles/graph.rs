//! Circles among the modules of each folder.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Path;
use super::tree::Reference;

/// The module file of a folder, beside its children.
pub(super) const OWN: &str = "(own file)";

/// Children of one module that need each other in a circle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Circle {
    /// The module whose children they are.
    pub(super) folder: String,
    pub(super) members: BTreeSet<String>,
    /// Who uses whom among them, with one place for each.
    pub(super) uses: Vec<String>,
}

/// Who uses whom, with the first use.
type Edges<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>;

/// All circles. A folder counts as one node among its siblings; inside, its file and its children are nodes.
pub(super) fn circles(references: &[Reference]) -> Vec<Circle> {
    let mut levels: BTreeMap<String, Edges<'_>> = BTreeMap::new();
    for reference in references {
        let (level, from, to) = lifted(&reference.from, &reference.to);
        let edges = levels.entry(level).or_default().entry(from).or_default();
        edges.entry(to).or_insert(&reference.shown);
    }
    levels.iter().flat_map(|(folder, edges)| of(folder, edges)).collect()
}

/// The module that holds both, and the child of it that each lies in.
fn lifted<'a>(from: &'a Path, to: &'a Path) -> (String, &'a str, &'a str) {
    let common = from.iter().zip(to).take_while(|(one, other)| one == other).count();
    let child = |path: &'a Path| path.get(common).map_or(OWN, String::as_str);
    (from.get(..common).unwrap_or_default().join("::"), child(from), child(to))
}

fn of(folder: &str, edges: &Edges<'_>) -> Vec<Circle> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|node| (*node, reachable(edges, node))).collect();
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|all| all.contains(to));
    let mut all: Vec<Circle> = Vec::new();
    for node in edges.keys().filter(|node| reaches(node, node)) {
        if all.iter().any(|circle| circle.members.contains(*node)) {
            continue;
        }
        let together = edges.keys().filter(|other| reaches(node, other) && reaches(other, node));
        let members = together.map(|other| (*other).to_owned()).collect();
        let uses = among(edges, &members);
        all.push(Circle { folder: folder.to_owned(), members, uses });
    }
    all
}

fn reachable<'a>(edges: &Edges<'a>, start: &str) -> BTreeSet<&'a str> {
    let next = |node: &str| edges.get(node).into_iter().flat_map(|to| to.keys().copied());
    let (mut seen, mut open): (BTreeSet<_>, Vec<_>) = (BTreeSet::new(), next(start).collect());
    while let Some(node) = open.pop() {
        if seen.insert(node) {
            open.extend(next(node));
        }
    }
    seen
}

fn among(edges: &Edges<'_>, members: &BTreeSet<String>) -> Vec<String> {
    let inside = |node: &str| members.contains(node);
    let froms = edges.iter().filter(|(from, _)| inside(from));
    let all = froms.flat_map(|(from, to)| to.iter().map(move |(to, shown)| (from, to, shown)));
    let all = all.filter(|(_, to, _)| inside(to));
    all.map(|(from, to, shown)| format!("{from} -> {to}: {shown}")).collect()
}
