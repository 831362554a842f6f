//! The modules of a crate, and what a path in one of them leads to.

use std::collections::BTreeMap;

use super::facts::{Facts, Import, Path, read};
use super::tokens::tokens;

/// A crate's modules by their paths; the root's is empty.
#[derive(Debug, Default)]
pub(super) struct Tree {
    modules: BTreeMap<Path, Module>,
    /// `mod` without a file.
    pub(super) missing: Vec<String>,
}

#[derive(Debug)]
struct Module {
    facts: Facts,
    file: String,
    /// Written inside of its parent's file.
    inline: bool,
}

/// A use of something in another file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) from: Path,
    pub(super) to: Path,
    /// File, line and path, for the reader.
    pub(super) shown: String,
}

/// Where a path of module names and a name ends; deeper is a circle of imports.
const STEPS: u32 = 32;

impl Tree {
    /// Reads a crate from its root file on; `text` gives the text of a file.
    pub(super) fn read<'a>(root: &str, text: &dyn Fn(&str) -> Option<&'a str>) -> Self {
        let mut tree = Self::default();
        match text(root) {
            Some(content) => tree.add(Path::new(), root, true, read(&tokens(content)), text),
            None => tree.missing.push(root.to_owned()),
        }
        tree
    }

    /// `owner`: the file's children are in its own directory, as those of a root and of `mod.rs`.
    fn add<'a>(
        &mut self,
        path: Path,
        file: &str,
        owner: bool,
        mut facts: Facts,
        text: &dyn Fn(&str) -> Option<&'a str>,
    ) {
        let (dir, name) = file.rsplit_once('/').unwrap_or(("", file));
        let stem = name.trim_end_matches(".rs");
        for child in &mut facts.children {
            let inside = path_with(&path, &child.name);
            if let Some(inline) = child.inline.take() {
                self.add_inline(inside, file, inline);
                continue;
            }
            let below = if owner { dir.to_owned() } else { format!("{dir}/{stem}") };
            let places = match &child.file {
                Some(name) => [format!("{dir}/{name}"), String::new()],
                None => [format!("{below}/{}.rs", child.name), format!("{below}/{}/mod.rs", child.name)],
            };
            let found =
                places.iter().map(|place| plain(place)).find_map(|place| Some((text(&place)?, place)));
            match found {
                Some((content, place)) => {
                    let owner = child.file.is_some() || place.ends_with("/mod.rs");
                    self.add(inside, &place, owner, read(&tokens(content)), text);
                }
                None => self.missing.push(format!("{file}: mod {}", child.name)),
            }
        }
        self.modules.insert(path, Module { facts, file: file.to_owned(), inline: false });
    }

    /// Modules in files below an inline module are not followed: there are none here.
    fn add_inline(&mut self, path: Path, file: &str, mut facts: Facts) {
        for child in &mut facts.children {
            match child.inline.take() {
                Some(inline) => self.add_inline(path_with(&path, &child.name), file, inline),
                None => self.missing.push(format!("{file}: mod {} inside of a module", child.name)),
            }
        }
        self.modules.insert(path, Module { facts, file: file.to_owned(), inline: true });
    }

    /// All uses of one file's things in another.
    pub(super) fn references(&self) -> Vec<Reference> {
        let mut all = Vec::new();
        for (path, module) in &self.modules {
            let imports = module.facts.imports.iter().filter(|import| self.counts(path, import));
            let imports = imports.map(|import| (&import.path, import.line));
            let paths = module.facts.paths.iter().map(|(path, line)| (path, *line));
            for (named, line) in imports.chain(paths) {
                let Some(to) = self.resolve(path, named, STEPS) else { continue };
                let (from, to) = (self.home(path), self.home(&to));
                let shown = format!("{}:{line} {}", module.file, named.join("::"));
                all.extend((from != to).then_some(Reference { from, to, shown }));
            }
        }
        all
    }

    /// What a module only hands on from its own children is no use of it; nor is a name for a module that it lies in.
    fn counts(&self, path: &Path, import: &Import) -> bool {
        let Some(to) = self.resolve(path, &import.path, STEPS) else { return false };
        let is_module = self.end(path, &import.path).is_some_and(|end| self.modules.contains_key(&end));
        if is_module && path.starts_with(&to) {
            return false;
        }
        let home = self.home(path);
        let own_child = to.len() > home.len() && to.starts_with(&home);
        let words = self.modules.get(path).map(|module| &module.facts.words);
        let used = |name: &String| words.is_some_and(|words| words.contains(name));
        match &import.name {
            _ if !import.visible || !own_child => true,
            Some(name) => used(name),
            None => self.modules.get(&to).is_some_and(|module| module.facts.items.iter().any(used)),
        }
    }

    /// The module that a path names, if it is one.
    fn end(&self, from: &Path, path: &Path) -> Option<Path> {
        let (start, rest) = self.start(from, path)?;
        Some([start, rest.to_vec()].concat())
    }

    /// The module that defines what a path in `from` names; `None` if it leads out of the crate.
    fn resolve(&self, from: &Path, path: &Path, steps: u32) -> Option<Path> {
        let steps = steps.checked_sub(1)?;
        if let Some((start, rest)) = self.start(from, path) {
            return Some(self.walk(start, rest, steps));
        }
        let (first, rest) = path.split_first()?;
        let module = self.modules.get(from)?;
        if module.facts.items.contains(first) {
            return Some(from.clone());
        }
        self.imported(from, first, rest, steps)
    }

    /// Where a path begins that needs no import: at the root, here, above, or at a child.
    fn start<'a>(&self, from: &Path, path: &'a Path) -> Option<(Path, &'a [String])> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some((Path::new(), rest)),
            "self" | "super" => {
                let ups = path.iter().take_while(|word| *word == "super" || *word == "self");
                let (count, supers) = (ups.clone().count(), ups.filter(|word| *word == "super").count());
                let above = from.get(..from.len().checked_sub(supers)?)?;
                Some((above.to_vec(), path.get(count..)?))
            }
            _ => {
                let child = path_with(from, first);
                self.modules.contains_key(&child).then_some((child, rest))
            }
        }
    }

    /// From a module down, until a name is none of its children.
    fn walk(&self, start: Path, rest: &[String], steps: u32) -> Path {
        let Some((name, rest)) = rest.split_first() else { return start };
        let child = path_with(&start, name);
        if self.modules.contains_key(&child) {
            return self.walk(child, rest, steps);
        }
        let own = self.modules.get(&start).is_none_or(|module| module.facts.items.contains(name));
        let found = if own { None } else { self.imported(&start, name, rest, steps) };
        found.unwrap_or(start)
    }

    /// Through an import of that name, or of everything.
    fn imported(&self, from: &Path, name: &String, rest: &[String], steps: u32) -> Option<Path> {
        let imports = || self.modules.get(from).into_iter().flat_map(|module| &module.facts.imports);
        let follow = |import: &Import, more: &[String]| {
            let whole: Path = import.path.iter().chain(more).cloned().collect();
            self.resolve(from, &whole, steps)
        };
        let named = imports().find(|import| import.outside && import.name.as_ref() == Some(name));
        if let Some(import) = named {
            return follow(import, rest);
        }
        let more = [std::slice::from_ref(name), rest].concat();
        let all = imports().filter(|import| import.outside && import.name.is_none());
        all.filter(|import| self.offers(from, import, name, steps)).find_map(|import| follow(import, &more))
    }

    fn offers(&self, from: &Path, everything: &Import, name: &String, steps: u32) -> bool {
        let Some(module) = self.resolve(from, &everything.path, steps) else { return false };
        let child = self.modules.contains_key(&path_with(&module, name));
        let facts = self.modules.get(&module).map(|module| &module.facts);
        let named = |facts: &Facts| facts.imports.iter().any(|import| import.name.as_ref() == Some(name));
        child || facts.is_some_and(|facts| facts.items.contains(name) || named(facts))
    }

    /// The module whose file holds it.
    fn home(&self, path: &Path) -> Path {
        let mut path = path.clone();
        while self.modules.get(&path).is_some_and(|module| module.inline) {
            path.pop();
        }
        path
    }

    /// The names of all modules in files, for tests.
    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<String> {
        self.modules.keys().map(|path| path.join("::")).collect()
    }
}

fn path_with(path: &Path, name: &str) -> Path {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

/// A path without `..` and without a slash in front.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        match part {
            ".." => parts.truncate(parts.len().saturating_sub(1)),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
