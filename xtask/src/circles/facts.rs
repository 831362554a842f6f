//! What a module says: its children, what it defines, what it imports, and the paths in its code.

use std::collections::BTreeSet;

use super::tokens::Token;

/// Segments of a path such as `crate`, `a`, `B`.
pub(super) type Path = Vec<String>;

/// A file's module, or one written inside of it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) children: Vec<Child>,
    /// Names of functions, types, constants and macros.
    pub(super) items: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// Paths outside of imports, with their lines.
    pub(super) paths: Vec<(Path, usize)>,
    /// All words outside of imports.
    pub(super) words: BTreeSet<String>,
}

/// `mod name;` or `mod name { … }`.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) name: String,
    /// The attribute `path`.
    pub(super) file: Option<String>,
    pub(super) inline: Option<Facts>,
}

/// One name of a `use`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// What it is called here; `None` is everything, `*`.
    pub(super) name: Option<String>,
    pub(super) path: Path,
    /// With `pub` of any kind: others may take it from here.
    pub(super) visible: bool,
    /// Not inside of a function.
    pub(super) outside: bool,
    pub(super) line: usize,
}

const DEFINING: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];
const OPENING: [&str; 3] = ["(", "[", "{"];
const CLOSING: [&str; 3] = [")", "]", "}"];

/// Reads a module up to the brace that ends it, or to the end of the file. What is for tests only is left out.
pub(super) fn read<'a>(tokens: &'a [Token<'a>]) -> Facts {
    let mut reader = Reader { tokens, at: 0, depth: 0, visible: false, file: None, facts: Facts::default() };
    while reader.step().is_some() {}
    reader.facts
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    /// Braces that are open.
    depth: usize,
    /// `pub` stands before.
    visible: bool,
    /// The attribute `path` of what follows.
    file: Option<String>,
    facts: Facts,
}

impl<'a> Reader<'a> {
    fn text(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text)
    }

    fn is_word(&self, ahead: usize) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(Token::is_word)
    }

    /// Goes on by a token or what belongs together.
    fn step(&mut self) -> Option<()> {
        let token = *self.tokens.get(self.at)?;
        match token.text {
            "#" => self.attribute(),
            "pub" => return self.visibility(),
            "use" if self.starts_item() => self.imports(),
            "mod" if self.is_word(1) && [";", "{"].contains(&self.text(2)) => self.child(),
            _ if token.is_word() => self.word(token),
            _ => {
                self.depth += usize::from(token.text == "{");
                self.depth = self.depth.saturating_sub(usize::from(token.text == "}"));
                self.at += 1;
            }
        }
        self.visible = false;
        Some(())
    }

    /// A bound may be a `use<…>` too.
    fn starts_item(&self) -> bool {
        self.is_word(1) || self.text(1) == "::" || self.text(1) == "{"
    }

    fn visibility(&mut self) -> Option<()> {
        self.at += 1;
        if self.text(0) == "(" && ["crate", "super", "self", "in"].contains(&self.text(1)) {
            self.at = after_group(self.tokens, self.at);
        }
        self.visible = true;
        Some(())
    }

    fn attribute(&mut self) {
        let open = self.at + 1 + usize::from(self.text(1) == "!");
        if self.tokens.get(open).is_none_or(|token| token.text != "[") {
            self.at += 1;
            return;
        }
        let end = after_group(self.tokens, open);
        let inside = self.tokens.get(open + 1..end.saturating_sub(1)).unwrap_or_default();
        let has = |word: &str| inside.iter().any(|token| token.text == word);
        let first = inside.first().map_or("", |token| token.text);
        if first == "cfg" && has("test") && !has("not") && !has("any") {
            self.at = after_item(self.tokens, end);
            return;
        }
        if let [name, is, file] = inside {
            let named = name.text == "path" && is.text == "=";
            self.file = named.then(|| file.text.trim_matches('"').to_owned());
        }
        // Its words are code as well: derive, value_parser = a::b.
        self.at = open + 1;
    }

    fn child(&mut self) {
        let (name, file) = (self.text(1).to_owned(), self.file.take());
        if self.text(2) == ";" {
            self.facts.children.push(Child { name, file, inline: None });
            self.at += 3;
            return;
        }
        let end = after_group(self.tokens, self.at + 2);
        let inside = self.tokens.get(self.at + 3..end.saturating_sub(1)).unwrap_or_default();
        self.facts.children.push(Child { name, file, inline: Some(read(inside)) });
        self.at = end;
    }

    fn word(&mut self, token: Token<'a>) {
        self.facts.words.insert(token.text.to_owned());
        if self.depth == 0 {
            self.facts.items.extend(self.defined(token.text).map(str::to_owned));
        }
        let mut path = vec![token.text.to_owned()];
        self.at += 1;
        while self.text(0) == "::" && self.is_word(1) {
            path.push(self.text(1).to_owned());
            self.facts.words.insert(self.text(1).to_owned());
            self.at += 2;
        }
        let goes_on = self.at.checked_sub(2 * path.len()).and_then(|before| self.tokens.get(before));
        if path.len() > 1 && goes_on.is_none_or(|token| token.text != "::") {
            self.facts.paths.push((path, token.line));
        }
    }

    /// The name that the item defines whose keyword stands here.
    fn defined(&self, keyword: &str) -> Option<&'a str> {
        if keyword == "macro_rules" && self.text(1) == "!" {
            return Some(self.text(2));
        }
        let pointer = self.at.checked_sub(1).and_then(|before| self.tokens.get(before));
        let defines = DEFINING.contains(&keyword) && pointer.is_none_or(|token| token.text != "*");
        (defines && self.is_word(1) && !DEFINING.contains(&self.text(1))).then(|| self.text(1))
    }

    fn imports(&mut self) {
        self.at += 1;
        let (line, first) =
            (self.tokens.get(self.at).map_or(0, |token| token.line), self.facts.imports.len());
        self.tree(&Path::new(), line);
        for import in self.facts.imports.iter_mut().skip(first) {
            import.visible = self.visible;
            import.outside = self.depth == 0;
        }
        self.at += usize::from(self.text(0) == ";");
    }

    /// `a::b`, `a::{b, c as d}`, `a::*`.
    fn tree(&mut self, before: &Path, line: usize) {
        let mut path = before.clone();
        loop {
            match self.text(0) {
                "::" => self.at += 1,
                "{" => return self.branches(&path, line),
                "*" => {
                    self.at += 1;
                    return self.import(None, path, line);
                }
                word if self.is_word(0) && word != "as" => {
                    path.push(word.to_owned());
                    self.at += 1;
                }
                _ => break,
            }
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let mut name = path.last().cloned();
        if self.text(0) == "as" {
            name = Some(self.text(1).to_owned());
            self.at += 2;
        }
        self.import(name, path, line);
    }

    fn branches(&mut self, path: &Path, line: usize) {
        self.at += 1;
        while !["}", ""].contains(&self.text(0)) {
            let before = self.at;
            self.tree(path, line);
            self.at += usize::from(self.text(0) == "," || self.at == before);
        }
        self.at += 1;
    }

    fn import(&mut self, name: Option<String>, path: Path, line: usize) {
        self.facts.imports.push(Import { name, path, visible: false, outside: false, line });
    }
}

/// The place behind the bracket that closes the one at `open`.
fn after_group(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        depth += usize::from(OPENING.contains(&token.text));
        depth = depth.saturating_sub(usize::from(CLOSING.contains(&token.text)));
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The place behind an item, field or arm that begins at `start`.
fn after_item(tokens: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    let keywords = ["mod", "use", "impl", "pub", "unsafe", "extern", "async", "macro_rules"];
    let mut is_item = false;
    while let Some(token) = tokens.get(at) {
        is_item |= keywords.contains(&token.text) || DEFINING.contains(&token.text);
        match token.text {
            ";" => return at + 1,
            "," if !is_item => return at + 1,
            "{" => {
                let end = after_group(tokens, at);
                let list = tokens.get(end).is_some_and(|token| token.text == ";");
                return end + usize::from(list);
            }
            "(" | "[" => at = after_group(tokens, at),
            text if CLOSING.contains(&text) => return at,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn of(text: &str) -> Facts {
        read(&tokens(text))
    }

    fn imported(text: &str) -> Vec<String> {
        let show = |import: &Import| {
            let name = import.name.as_deref().unwrap_or("*");
            format!("{} {name}{}", import.path.join("::"), if import.visible { " pub" } else { "" })
        };
        of(text).imports.iter().map(show).collect()
    }

    #[test]
    fn imports_are_taken_apart() {
        assert_eq!(
            imported("use a::{b, c::{self, d as e}, f::*};"),
            ["a::b b", "a::c c", "a::c::d e", "a::f *"]
        );
        assert_eq!(imported("pub(crate) use self::x::Y; pub use z;"), ["self::x::Y Y pub", "z z pub"]);
        assert_eq!(imported("#[allow(x)] pub use a::B; fn f() { use c::D; }"), ["a::B B pub", "c::D D"]);
        assert_eq!(imported("fn f() -> impl Sized + use<'a> {} use ::a::b;"), ["a::b b"]);
        assert!(!of("fn f() { use c::D; }").imports[0].outside);
    }

    #[test]
    fn tests_are_left_out() {
        let text = "#[cfg(test)] use a::{b}; #[cfg(test)] #[path = \"x\"] mod t; #[cfg(all(test, x))] mod u { use c; }
            struct S { #[cfg(test)] f: g::H, i: j::K } #[cfg(test)] fn l() { m::n() } fn o() {}
            #[cfg(any(test, fuzzing))] fn p() {}";
        let facts = of(text);
        assert!(facts.imports.is_empty() && facts.children.is_empty(), "{facts:?}");
        assert_eq!(facts.items, ["S", "o", "p"].map(str::to_owned).into());
        assert_eq!(facts.paths, [(vec!["j".to_owned(), "K".to_owned()], 2)]);
    }

    #[test]
    fn paths_are_found_in_code_attributes_and_macros() {
        let text = "#[arg(value_parser = a::b)] x: i, fn f() { c::d::<E>(); m!(\"{}\", $crate::g); h.i::<J>(); <K>::l::m() }";
        let found: Vec<_> = of(text).paths.into_iter().map(|(path, _)| path.join("::")).collect();
        assert_eq!(found, ["a::b", "c::d", "crate::g"]);
    }

    #[test]
    fn children_have_files_or_bodies() {
        let facts = of("mod a; #[path = \"x/b.rs\"] mod b; mod c { use d::E; mod f; } use g;");
        let names: Vec<_> = facts.children.iter().map(|child| child.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(facts.children[1].file.as_deref(), Some("x/b.rs"));
        let inline = facts.children[2].inline.as_ref().unwrap();
        assert_eq!((inline.imports.len(), inline.children.len(), facts.imports.len()), (1, 1, 1));
    }

    #[test]
    fn items_are_those_of_the_module_itself() {
        let facts = of(
            "const fn a() { fn b() {} } impl C { fn d() {} } macro_rules! e { () => {} } static F: u8 = 0;
            fn g(h: *const I, j: fn(K)) {}",
        );
        let wanted = ["a", "e", "F", "g"].map(str::to_owned);
        assert_eq!(facts.items, wanted.into());
    }
}
