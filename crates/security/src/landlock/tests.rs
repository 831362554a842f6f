use super::*;

fn read(json: &str) -> Landlock {
    serde_json::from_str(json).unwrap()
}

#[test]
fn problems_are_told_by_key() {
    let check = |json: &str, wanted: &[&str]| {
        let found: Vec<_> =
            read(json).problems().into_iter().map(|(key, text)| format!("{key}: {text}")).collect();
        assert_eq!(found, wanted, "{json}");
    };
    check(
        r#"{"paths":[{"path":"/usr","access":["read","execute"]}],"bind_tcp":[],"scopes":["signal"]}"#,
        &[],
    );
    check(r#"{"paths":[]}"#, &[]);
    check("{}", &[": restricts nothing"]);
    check(
        r#"{"paths":[{"path":"usr"}]}"#,
        &["paths/0/path: usr: must be absolute", "paths/0/access: empty: a rule that allows nothing"],
    );
    check(
        r#"{"handled":["write_file"],"paths":[{"path":"/","access":["execute","write_file"]}]}"#,
        &["paths/0/access: execute: not handled, so it is allowed everywhere"],
    );
}

#[test]
fn names_are_the_kernels() {
    for json in [
        r#"{"paths":[{"path":"/","access":["fly"]}]}"#,
        r#"{"paths":[{"path":"/","access":["EXECUTE"]}]}"#,
        r#"{"scopes":["abstract"]}"#,
        r#"{"enforce":"maybe"}"#,
        r#"{"bind_tcp":[65536]}"#,
    ] {
        assert!(serde_json::from_str::<Landlock>(json).is_err(), "{json}");
    }
    let text = r#"{"enforce":"best_effort","handled":["execute","resolve_unix"],"bind_tcp":[80]}"#;
    assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
    let names: Vec<_> = PathAccess::all().names().collect();
    assert_eq!(names.len(), 17);
    assert!(names.iter().all(|name| PathAccess::named(name).is_some_and(|bit| bit.bits().count_ones() == 1)));
}

#[test]
fn each_version_of_the_kernel_can_do_its_part() {
    let text = r#"{"enforce":"best_effort","paths":[{"path":"/a","access":["truncate","read_file"]},{"path":"/b","access":["ioctl_dev"]}],
        "connect_tcp":[443,80],"connect_udp":[],"scopes":["signal"]}"#;
    let wanted = read(text);
    let fitted = |abi| wanted.fitted(abi).unwrap();
    let none = fitted(0);
    assert!(none.is_empty() && none.paths.is_empty() && none.ports.is_empty());
    assert_eq!(none.left_out.len(), 16 + 3);
    let second = fitted(2);
    assert_eq!(
        second.left_out,
        [
            "truncate (ABI 3)",
            "ioctl_dev (ABI 5)",
            "connect_tcp (ABI 4)",
            "connect_udp (ABI 10)",
            "signal (ABI 6)"
        ]
    );
    assert_eq!((second.files.bits(), second.network, second.scopes), (0x3fff, 0, 0));
    assert_eq!(second.paths.len(), 1);
    assert_eq!(second.paths[0].access, PathAccess::READ_FILE);
    let seventh = fitted(7);
    assert_eq!((seventh.files.bits(), seventh.network, seventh.scopes), (0xffff, 2, 2));
    assert_eq!(
        (seventh.ports, seventh.left_out),
        (vec![(443, 2), (80, 2)], vec!["connect_udp (ABI 10)".to_owned()])
    );
    // A newer one has nothing more than what is known here.
    assert_eq!(fitted(11).left_out, fitted(99).left_out);
    assert_eq!(fitted(11).network, 10);
}

#[test]
fn what_is_required_is_all_or_an_error() {
    let required = Landlock { enforce: Enforce::Required, ..read(r#"{"paths":[],"scopes":["signal"]}"#) };
    assert!(required.fitted(6).is_ok());
    let text = required.fitted(4).unwrap_err().to_string();
    assert_eq!(
        text,
        "Landlock of this kernel is of ABI 4: it lacks ioctl_dev (ABI 5), signal (ABI 6); \"enforce\": \"best_effort\" does without"
    );
    let text = required.fitted(0).unwrap_err().to_string();
    assert!(
        text.starts_with("Landlock of this kernel is missing or switched off: it lacks execute (ABI 1), "),
        "{text}"
    );
    // Rights of later versions are handled only if they are named.
    assert!(read(r#"{"handled":["resolve_unix"]}"#).fitted(8).is_err());
    assert!(read(r#"{"handled":["resolve_unix"]}"#).fitted(9).is_ok());
}
