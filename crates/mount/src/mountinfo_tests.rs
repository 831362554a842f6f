use super::*;

#[test]
fn fields_of_a_line() {
    let line = b"36 35 98:0 /mnt\\0401 /m\\134t\\011\\012\\043\xff rw,noatime shared:1 master:2 - ext3.sub /dev/root rw,errors=continue";
    let entry = parse(line).next().unwrap().unwrap();
    assert_eq!((entry.id, entry.parent, entry.device), (36, 35, (98, 0)));
    assert_eq!((&*entry.root, &*entry.target), (b"/mnt 1".as_slice(), b"/m\\t\t\n#\xff".as_slice()));
    assert_eq!((entry.options, entry.fields), (b"rw,noatime".as_slice(), b"shared:1 master:2".as_slice()));
    assert_eq!(
        (&*entry.fstype, &*entry.source, entry.super_options),
        (b"ext3.sub".as_slice(), b"/dev/root".as_slice(), b"rw,errors=continue".as_slice())
    );
}

#[test]
fn odd_lines_that_are_mounts() {
    let cases: [(&[u8], &[u8], &[u8]); 4] = [
        (b"1 1 0:2 / / rw - tmpfs  rw", b"", b""),
        (b"1 1 0:2 / /a//deleted rw propagate_from:7 - tmpfs x rw", b"propagate_from:7", b"x"),
        (b"1 1 0:2 / /a\\9z rw unknown - tmpfs x rw", b"unknown", b"x"),
        (b"1 1 0:2 / /a rw - tmpfs x ", b"", b"x"),
    ];
    for (line, fields, source) in cases {
        let entry = parse(line).next().unwrap().unwrap();
        assert_eq!((entry.fields, &*entry.source), (fields, source));
        assert!(matches!(entry.root, Cow::Borrowed(_)), "nothing to unescape, nothing allocated");
    }
}

#[test]
fn lines_that_are_none_are_counted() {
    let good = "1 1 0:2 / / rw - tmpfs x rw";
    for bad in [
        "x",
        "1",
        "1 2 3 / / rw - a b c",
        "1 2 0:99999999999 / / rw - a b c",
        "1 2 0:1 / / rw a b c",
        "-1 2 0:1 / / rw - a b c",
        "1 2 0:1 / / rw - a",
    ] {
        let text = format!("{good}\n\n{bad}\n{good}");
        let error = MountTable::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.line, 3, "{bad}: {error}");
    }
}

#[test]
fn every_cut_of_a_table_is_a_table_or_an_error() {
    let text = std::fs::read("/proc/self/mountinfo").unwrap();
    let whole = MountTable::parse(&text).unwrap();
    assert!(whole.roots().count() >= 1);
    for end in 0..text.len().min(if cfg!(miri) { 150 } else { 3000 }) {
        let mut damaged = text[..end].to_vec();
        let _ = MountTable::parse(&damaged);
        damaged.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x55);
        let _ = MountTable::parse(&damaged);
    }
}

#[test]
fn ten_thousand_lines_and_the_topmost() {
    let half = if cfg!(miri) { 100 } else { 5000 };
    let text: String =
        (2..2 * half + 2).map(|id| format!("{id} 1 0:{id} / /m{} rw - tmpfs x rw\n", id % half)).collect();
    let table = MountTable::parse(text.as_bytes()).unwrap();
    assert_eq!((table.entries().len(), table.children(1).count()), (2 * half, 2 * half));
    assert_eq!(table.at(b"/m7").unwrap().id, u32::try_from(half).unwrap() + 7);
    assert!(table.at(b"/none").is_none());
}
