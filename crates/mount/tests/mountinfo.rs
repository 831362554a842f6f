//! mountinfo against a second parser, against generated tables, and against damage.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends by panicking")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use libcontainer_mount::{Entry, MountTable, parse_mountinfo};
use procfs::FromBufRead;
use procfs::process::{MountInfo, MountInfos};
use proptest::prelude::*;

/// Writes bytes as the kernel does: fs/proc_namespace.c escapes space, tab, newline, backslash; sources also `#`.
fn escape(bytes: &[u8]) -> Vec<u8> {
    let escaped = |byte: &u8| match byte {
        b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{byte:03o}").into_bytes(),
        byte => vec![*byte],
    };
    bytes.iter().flat_map(escaped).collect()
}

fn line(id: u32, root: &[u8], target: &[u8], fields: &[&str], source: &[u8]) -> Vec<u8> {
    let fields: String = fields.iter().map(|field| format!("{field} ")).collect();
    let (root, target, source) = (escape(root), escape(target), escape(source));
    let head = format!("{id} 1 8:{id} ").into_bytes();
    let middle = format!(" rw,nosuid {fields}- ext4 ").into_bytes();
    [&head[..], &root, b" ", &target, &middle, &source, b" rw,errors=remount-ro\n"].concat()
}

fn same(ours: &Entry<'_>, theirs: &MountInfo) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!((i64::from(ours.id), i64::from(ours.parent)), (theirs.mnt_id.into(), theirs.pid.into()));
    assert_eq!(format!("{}:{}", ours.device.0, ours.device.1), theirs.majmin);
    assert_eq!(OsStr::from_bytes(&ours.target), theirs.mount_point.as_os_str());
    assert_eq!(text(&ours.root), theirs.root);
    assert_eq!(text(&ours.fstype), theirs.fs_type);
    // The other one takes "none" for nothing.
    assert_eq!(Some(text(&ours.source)).filter(|text| text != "none"), theirs.mount_source);
    assert_eq!(text(ours.options).split(',').count(), theirs.mount_options.len());
    let fields = ours.fields.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    assert_eq!(fields.count(), theirs.opt_fields.len());
}

fn compare(text: &[u8]) -> usize {
    let ours = MountTable::parse(text).unwrap();
    let theirs = MountInfos::from_buf_read(text).unwrap().0;
    assert_eq!(ours.entries().len(), theirs.len());
    ours.entries().iter().zip(&theirs).for_each(|(ours, theirs)| same(ours, theirs));
    theirs.len()
}

/// Fewer in an interpreter.
const LINES: u32 = if cfg!(miri) { 30 } else { 10_000 };

#[test]
fn agrees_with_procfs_on_many_lines() {
    let fields: [&[&str]; 3] = [&[], &["shared:7"], &["shared:7", "master:8", "propagate_from:2"]];
    let lines = (0..LINES).flat_map(|id| {
        let target = format!("/mnt/{id}/merged");
        line(id, b"/", target.as_bytes(), fields[id as usize % 3], b"/dev/vda")
    });
    assert_eq!(compare(&lines.collect::<Vec<_>>()), LINES as usize);
}

#[test]
fn agrees_with_procfs_on_this_process() {
    assert!(compare(&std::fs::read("/proc/self/mountinfo").unwrap()) > 0);
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    // Any byte but NUL, and those that are escaped more often than others.
    let byte = prop_oneof![4 => 1..=255_u8, 1 => prop::sample::select(b" \t\n\\#-".as_slice())];
    prop::collection::vec(byte, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_come_back(root in path(), target in path(), source in path(), shared in any::<bool>()) {
        let fields: &[&str] = if shared { &["shared:1"] } else { &[] };
        let text = line(7, &root, &target, fields, &source);
        let entry = parse_mountinfo(&text).next().unwrap().unwrap();
        prop_assert_eq!(&*entry.root, &root[..]);
        prop_assert_eq!(&*entry.target, &target[..]);
        prop_assert_eq!(&*entry.source, &source[..]);
        prop_assert_eq!(entry.fields, if shared { b"shared:1".as_slice() } else { b"" });
        prop_assert_eq!(entry.super_options, b"rw,errors=remount-ro".as_slice());
    }

    #[test]
    fn damage_is_an_error_or_another_table(
        lines in prop::collection::vec((path(), path()), 1..5),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut text: Vec<u8> =
            lines.iter().flat_map(|(root, target)| line(3, root, target, &["master:1"], b"x")).collect();
        let count = lines.len();
        for (place, byte) in &damage {
            let place = place.index(text.len());
            text[place] = *byte;
        }
        let added = damage.iter().filter(|(_, byte)| *byte == b'\n').count();
        let found: Vec<_> = parse_mountinfo(&text).collect();
        prop_assert!(found.len() <= count + added);
        if let Err(error) = MountTable::parse(&text) {
            prop_assert!(error.line >= 1 && error.line <= count + added);
        }
        text.truncate(cut.index(text.len() + 1));
        let _ = MountTable::parse(&text);
    }

    #[test]
    fn noise_is_read_to_its_end(text in prop::collection::vec(any::<u8>(), 0..2000)) {
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        prop_assert_eq!(parse_mountinfo(&text).count(), lines);
    }
}
