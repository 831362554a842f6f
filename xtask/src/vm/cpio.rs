//! An initramfs in the newc form, byte by byte: device nodes need no privilege when they are only written about.

use std::collections::BTreeSet;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER: u32 = 0o020_000;

/// An archive in memory.
#[derive(Debug, Default)]
pub(crate) struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
    dirs: BTreeSet<String>,
}

impl Cpio {
    /// A directory and those above it.
    pub(crate) fn dir(&mut self, name: &str) {
        if name.is_empty() || !self.dirs.insert(name.to_owned()) {
            return;
        }
        self.dir(name.rsplit_once('/').map_or("", |(parent, _)| parent));
        self.entry(name, DIRECTORY | 0o755, &[], (0, 0));
    }

    /// A file with the directories above it.
    pub(crate) fn file(&mut self, name: &str, mode: u32, data: &[u8]) {
        self.dir(name.rsplit_once('/').map_or("", |(parent, _)| parent));
        self.entry(name, REGULAR | mode, data, (0, 0));
    }

    /// A character device.
    pub(crate) fn device(&mut self, name: &str, mode: u32, major: u32, minor: u32) {
        self.dir(name.rsplit_once('/').map_or("", |(parent, _)| parent));
        self.entry(name, CHARACTER | mode, &[], (major, minor));
    }

    /// The archive with its end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[], (0, 0));
        self.pad(512);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, data: &[u8], device: (u32, u32)) {
        self.entries += 1;
        // Four GiB would not fit into the machine's memory.
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let length = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, length, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad(4);
        self.bytes.extend_from_slice(data);
        self.pad(4);
    }

    fn pad(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Cpio;

    #[test]
    fn entries_are_aligned_and_name_their_parents_once() {
        let mut cpio = Cpio::default();
        cpio.file("a/b", 0o644, b"12345");
        cpio.device("a/null", 0o666, 1, 3);
        let bytes = cpio.finish();
        let starts: Vec<usize> =
            bytes.windows(6).enumerate().filter(|(_, six)| six == b"070701").map(|(at, _)| at).collect();
        assert_eq!(starts.len(), 4);
        assert!(starts.iter().all(|at| at % 4 == 0), "{starts:?}");
        assert_eq!(&bytes[starts[1] + 54..starts[1] + 62], b"00000005");
        assert_eq!(&bytes[starts[2] + 14..starts[2] + 22], b"000021B6");
        assert_eq!(&bytes[starts[2] + 78..starts[2] + 94], b"0000000100000003");
        assert_eq!(bytes.len() % 512, 0);
    }
}
