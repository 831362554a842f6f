//! No circles of imports: in each folder, its own file and its children need each other one way only.
//!
//! A node is a module's file; a folder with all that is in it counts as one node among its siblings. An edge is a `use` or a path in
//! code, macros included, to something that another file defines; who hands it on in between does not matter. No edges are `mod child`,
//! `pub use child::…` of names that the parent itself does not use, and all that is for tests only. So a child may use what its parent defines as long
//! as the parent's file does not use the child.

mod facts;
mod graph;
mod known;
mod tokens;
mod tree;

use crate::source::Source;
use graph::{Circle, circles};
use known::{KNOWN, Known};
use tree::Tree;

type Found<'a> = (&'a str, Circle);

/// Circles that are not known, known ones that are gone, and modules without files.
pub(crate) fn complaints(roots: &[String], files: &[Source]) -> Vec<String> {
    complaints_but(KNOWN, roots, files)
}

/// All circles, known ones too, with the uses that make them.
pub(crate) fn shown(roots: &[String], files: &[Source]) -> Vec<String> {
    find(roots, files).0.iter().map(show).collect()
}

/// Circles, and modules without files.
fn find<'a>(roots: &'a [String], files: &[Source]) -> (Vec<Found<'a>>, Vec<String>) {
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for root in roots {
        let tree = Tree::read(root, &text);
        missing.extend(tree.missing.iter().map(|module| format!("{module}: no such file")));
        found.extend(circles(&tree.references()).into_iter().map(|circle| (root.as_str(), circle)));
    }
    (found, missing)
}

fn complaints_but(known: &[Known], roots: &[String], files: &[Source]) -> Vec<String> {
    let (found, mut all) = find(roots, files);
    let is = |(root, folder, members): &Known, (at, circle): &Found<'_>| {
        root == at && *folder == circle.folder && circle.members.iter().eq(members.iter())
    };
    all.extend(found.iter().filter(|circle| !known.iter().any(|one| is(one, circle))).map(show));
    let gone = known.iter().filter(|one| !found.iter().any(|circle| is(one, circle)));
    let gone = gone.map(|one| format!("{one:?}: not there any more; shorten xtask/src/circles/known.rs"));
    all.extend(gone);
    all
}

fn show((root, circle): &Found<'_>) -> String {
    let members: Vec<_> = circle.members.iter().map(String::as_str).collect();
    let name = (root, circle.folder.as_str(), members);
    format!("{name:?}: a circle of imports\n  {}", circle.uses.join("\n  "))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
