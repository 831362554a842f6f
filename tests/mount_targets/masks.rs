//! Masks: over what is there, and nothing else.

use std::fs;
use std::path::PathBuf;

use libcontainer::{Factory, Probe};
use libcontainer_tests::able;

use super::Case;

/// A mask needs no place: what is not there is not made, and a link that leads nowhere stays one.
#[test]
fn masks_make_nothing() {
    if !able("masks_make_nothing") {
        return;
    }
    let links = [("l", "x/y"), ("m", "x"), ("secret", "etc/secret")];
    let mut case = Case::new("target-masks", &links);
    fs::write(case.rootfs("etc/secret"), "secret").unwrap();
    let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
    case.mounts.masked_paths = paths(&["/l", "/m/y", "/no/where", "/secret"]);
    case.mounts.readonly_paths = paths(&["/l", "/m/y", "/no/where"]);
    case.finds("cat /etc/secret; echo; test -e /l -o -e /x -o -e /no || echo none", "\nnone\n");
    assert_eq!(case.run().unwrap(), case.wanted);
    assert!(!case.rootfs("x").exists() && !case.rootfs("no").exists());
}

/// Whichever of them are there, and whether or not the kernel copies what is not attached (6.15).
#[test]
fn masked_directories_have_one_filesystem() {
    if !able("masked_directories_have_one_filesystem") {
        return;
    }
    let mut case = Case::new("target-one-mask", &[]);
    for file in ["etc/secret", "a/secret", "b/secret", "c/secret"] {
        fs::create_dir_all(case.rootfs(file).parent().unwrap()).unwrap();
        fs::write(case.rootfs(file), "secret").unwrap();
    }
    let probe = Probe::current().unwrap();
    let ways = [Probe { nested_detached: false, ..probe.clone() }, probe];
    for masked in [
        "/etc/secret /no /a /etc/secret /no /b /c /etc/secret",
        "/a /b /c /etc/secret",
        "/no /etc/secret /b",
        "/etc/secret /c /a /no",
        "/etc/secret /no",
        "/no /x",
        "/c",
    ] {
        let there: Vec<_> = masked.split(' ').filter(|path| case.rootfs(path).is_dir()).collect();
        case.mounts.masked_paths = masked.split(' ').map(PathBuf::from).collect();
        let one = "stat -c %d $D | sort -u | wc -l; cat /etc/secret; for d in $D; do cat $d/secret; touch $d/x && echo $d; done";
        let wanted = if there.is_empty() { "0\n" } else { "1\n" };
        let file = if masked.contains("secret") { "" } else { "secret" };
        case.finds(
            &format!("D='{}'; {{ {one}; }} 2>/dev/null; true", there.join(" ")),
            &format!("{wanted}{file}"),
        );
        for probe in &ways {
            case.factory = Factory::with_probe(probe.clone());
            assert_eq!(case.run().unwrap(), case.wanted, "{masked}, {}", probe.nested_detached);
        }
    }
}
