use super::*;

const ROOT: &str = "x/src/lib.rs";

fn source((name, text): (&str, &str)) -> Source {
    Source { path: format!("x/src/{name}"), text: text.to_owned() }
}

/// Circles of a crate, as `folder: members`.
fn found<const N: usize>(files: [(&str, &str); N]) -> Vec<String> {
    let files = files.map(source);
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let tree = Tree::read(ROOT, &text);
    assert_eq!(tree.missing, Vec::<String>::new());
    let show = |circle: Circle| {
        assert!(circle.members.len() > 1 && circle.uses.len() >= circle.members.len());
        format!("{}: {}", circle.folder, circle.members.into_iter().collect::<Vec<_>>().join(" "))
    };
    circles(&tree.references()).into_iter().map(show).collect()
}

#[test]
fn siblings_in_a_circle() {
    let root = ("lib.rs", "mod a; mod b; mod c; mod d;");
    let (a, d) = (("a.rs", "use crate::b::B; pub struct A;"), ("d.rs", "use crate::a::A;"));
    let b = ("b.rs", "pub struct B; fn f() { vec![super::c::C]; }");
    assert_eq!(found([root, a, b, ("c.rs", "use super::a::A; pub struct C;"), d]), [": a b c"]);
    assert!(
        found([root, a, b, ("c.rs", "pub struct C; #[cfg(test)] mod t { use crate::a::A; }"), d]).is_empty()
    );
    assert!(
        found([root, a, b, ("c.rs", "// crate::a::A\npub struct C; /// [`crate::a::A`]\nstruct D;"), d])
            .is_empty()
    );
}

#[test]
fn names_that_are_handed_on_lead_to_where_they_are_defined() {
    let root =
        ("lib.rs", "mod a; mod b; pub use a::A; pub use b::*; pub mod prelude { pub use crate::b::B as P; }");
    let a = ("a.rs", "pub struct A;");
    let b = |text| ("b.rs", text);
    assert!(found([root, a, b("use crate::A; pub struct B;")]).is_empty());
    for one in [
        "use crate::B;",
        "use crate::prelude::P;",
        "use super::b;",
        "fn f(b: crate::B) {}",
        "use crate::*; fn f() { b::g() }",
    ] {
        let a = format!("{one} pub struct A;");
        assert_eq!(
            found([root, ("a.rs", &a), b("use crate::A; pub struct B; pub fn g() {}")]),
            [": a b"],
            "{one}"
        );
    }
}

#[test]
fn parents_and_children() {
    let child = ("a/b.rs", "use super::A; pub struct B; pub fn f() {}");
    let parent = |text| [("lib.rs", "mod a;"), ("a/mod.rs", text), child];
    for one_way in [
        "mod b; pub struct A;",
        "mod b; pub(super) use b::B; pub struct A;",
        "mod b; pub use b::*; pub struct A;",
    ] {
        assert!(found(parent(one_way)).is_empty(), "{one_way}");
    }
    for both in [
        "mod b; use b::B; pub struct A;",
        "mod b; pub use b::B; pub struct A(B);",
        "mod b; pub use b::*; pub struct A(B);",
        "mod b; pub struct A; fn g() { b::f() }",
        "mod b; pub struct A; fn g() { self::b::f() }",
    ] {
        assert_eq!(found(parent(both)), ["a: (own file) b"], "{both}");
    }
}

#[test]
fn a_folder_is_one_node() {
    let root = ("lib.rs", "mod a; mod c;");
    let files = |c| {
        [
            root,
            ("a/mod.rs", "mod b; mod d;"),
            ("a/b.rs", "use crate::c::C;"),
            ("a/d.rs", "pub struct D;"),
            ("c.rs", c),
        ]
    };
    assert_eq!(found(files("pub struct C; use crate::a::d::D;")), [": a c"]);
    assert!(found(files("pub struct C;")).is_empty());
    // A child that uses what its own parent's file imports from elsewhere uses the other, not the parent.
    let deep = [
        root,
        ("a.rs", "mod b; use crate::c::C; fn f() { b::g() }"),
        ("a/b.rs", "use super::C; pub fn g() {}"),
        ("c.rs", "pub struct C;"),
    ];
    assert!(found(deep).is_empty());
}

#[test]
fn inline_modules_belong_to_their_file() {
    let root = ("lib.rs", "mod a; pub mod in_root { pub struct R; }");
    assert!(found([root, ("a.rs", "use crate::in_root::R;")]).is_empty());
    let uses = ("lib.rs", "mod a; pub mod in_root { pub struct R; fn f() { super::a::g() } }");
    assert_eq!(found([uses, ("a.rs", "use crate::in_root::R; pub fn g() {}")]), [": (own file) a"]);
}

#[test]
fn files_are_found_by_name_folder_and_attribute() {
    let files = [
        ("lib.rs", "mod a; mod c; #[path = \"odd/../e/f.rs\"] mod e;"),
        ("a.rs", "mod b;"),
        ("a/b.rs", ""),
        ("c/mod.rs", "mod d;"),
        ("c/d.rs", ""),
        ("e/f.rs", ""),
    ];
    let files = files.map(source);
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let names = Tree::read(ROOT, &text).names();
    assert_eq!(names, ["", "a", "a::b", "c", "c::d", "e"]);
    assert_eq!(complaints_but(&[], &[ROOT.to_owned()], &[source(("lib.rs", "mod gone;"))]).len(), 1);
    assert_eq!(complaints_but(&[], &[ROOT.to_owned()], &[]).len(), 1, "no root");
}

#[test]
fn imports_in_circles_end() {
    assert!(
        found([
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub use crate::b::X; pub use crate::b::*;"),
            ("b.rs", "pub use crate::a::X;")
        ])
        .len()
            <= 1
    );
}

#[test]
fn known_circles_have_to_be_there_as_they_are() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
    ]
    .map(source);
    let check = |known: &[Known]| complaints_but(known, &[ROOT.to_owned()], &files);
    assert!(check(&[(ROOT, "", &["a", "b"])]).is_empty());
    assert!(check(&[])[0].contains(r#"("x/src/lib.rs", "", ["a", "b"])"#));
    assert_eq!(check(&[(ROOT, "", &["a", "b", "c"])]).len(), 2, "a circle that has become smaller");
    assert_eq!(check(&[(ROOT, "", &["a", "b"]), (ROOT, "c", &["d", "e"])]).len(), 1, "one that is gone");
}
