use super::*;

fn file(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn long_functions_and_files_are_seen() {
    let body = "    x();\n".repeat(61);
    assert_eq!(functions(&file("a.rs", &format!("fn f() {{\n{body}}}\n"))).len(), 1);
    assert!(functions(&file("a.rs", "fn f() {\n    x();\n}\n")).is_empty());
    assert_eq!(rust(&file("a.rs", &"\n".repeat(401))).len(), 1);
}

#[test]
fn unsafe_code_is_for_few_files() {
    let code = concat!("uns", "afe { x() }\n");
    assert_eq!(unsafety(&file("crates/x/src/lib.rs", code)).len(), 2);
    assert_eq!(unsafety(&file("crates/plan/src/launch/raw.rs", code)).len(), 1);
    let argued = format!("// SAFETY: y\n{code}");
    assert!(unsafety(&file("crates/plan/src/launch/raw.rs", &argued)).is_empty());
    let complaints = |text: &str| listed_for_nothing(&[file("crates/plan/src/launch/raw.rs", text)]).len();
    assert_eq!((complaints(&argued), complaints("safe {}\n")), (UNSAFE.len() - 1, UNSAFE.len()));
}

#[test]
fn tags_links_and_whitespace() {
    assert_eq!(tags(&file("a.rs", concat!("// TO", "DO: x\n// ORDER: y\n// KERNEL(5.14): z\n"))).len(), 1);
    assert_eq!(
        links(&file("docs/a.md", "[x](b.md) [y](http://z) [w](#a)"), &|path| path == "docs/c.md").len(),
        1
    );
    assert!(links(&file("a.md", "[x](b.md#part)"), &|path| path == "b.md").is_empty());
    assert_eq!(whitespace(&file("a", "x \ny")).len(), 2);
    assert_eq!(words(&file("a", concat!("see /wo", "rk/x"))).len(), 1);
    assert!(names(&file("a/utils.rs", "")).is_some());
}

#[test]
fn dependencies_point_one_way() {
    let package = |name: &str, to: &str| vec![(name.to_owned(), vec![to.to_owned()])];
    assert_eq!(directions(&package("libcontainer-mount", "libcontainer-security")).len(), 1);
    assert!(directions(&package("libcontainer", "libcontainer-mount")).is_empty());
    let manifest = file(
        "x/Cargo.toml",
        "rust-version.workspace = true\n[lints]\n[dependencies]\nfoo.workspace = true\n",
    );
    assert_eq!(documented(std::slice::from_ref(&manifest), &[]).len(), 1);
    assert!(documented(&[manifest], &[file("docs/dependencies.md", "`foo`: bar")]).is_empty());
}

#[test]
fn what_panics_is_refused_but_in_tests() {
    let code = "fn f() {\n    std::thread::sleep(x);\n}\n#[cfg(test)]\nfn g() { std::fs::read_dir(x) }\n";
    assert_eq!(panics(&file("crates/a/src/b.rs", code)).len(), 1);
    assert!(
        panics(&file("crates/a/tests/b.rs", code)).is_empty()
            && panics(&file("faults/src/b.rs", code)).is_empty()
    );
}
