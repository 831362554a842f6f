//! The plan's memory: strings and structures, and where pointers between them lie.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// An offset into the arena.
pub(crate) type Offset = u32;

#[derive(Debug, Default)]
pub(crate) struct Arena {
    bytes: Vec<u8>,
    relocations: Vec<Offset>,
    strings: BTreeMap<Vec<u8>, Offset>,
    nul: Option<Vec<u8>>,
    full: bool,
}

impl Arena {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::with_capacity(8192), ..Self::default() }
    }

    fn here(&mut self) -> Offset {
        let Ok(at) = Offset::try_from(self.bytes.len()) else {
            self.full = true;
            return 0;
        };
        self.full |= self.bytes.len() > crate::wire::MAX_ARENA;
        at
    }

    /// Puts a NUL-terminated string, once for all equal ones. An inner NUL is remembered and refused by `seal`.
    pub(crate) fn text(&mut self, text: &[u8]) -> Offset {
        if let Some(&at) = self.strings.get(text) {
            return at;
        }
        if text.contains(&0) {
            self.nul.get_or_insert_with(|| text.to_owned());
        }
        let at = self.here();
        self.bytes.extend_from_slice(text);
        self.bytes.push(0);
        self.strings.insert(text.to_owned(), at);
        at
    }

    pub(crate) fn path(&mut self, path: &Path) -> Offset {
        self.text(path.as_os_str().as_bytes())
    }

    /// Puts bytes at a multiple of 8.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Offset {
        let aligned = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(aligned, 0);
        let at = self.here();
        self.bytes.extend_from_slice(bytes);
        at
    }

    pub(crate) fn room(&mut self, len: usize) -> Offset {
        self.bytes(&vec![0; len])
    }

    pub(crate) fn ids(&mut self, ids: &[u32]) -> Offset {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        self.bytes(&bytes)
    }

    /// Puts 64-bit words; those given as `Err(offset)` become pointers.
    pub(crate) fn words(&mut self, words: &[Result<u64, Offset>]) -> Offset {
        let plain: Vec<u8> =
            words.iter().flat_map(|word| word.unwrap_or_else(u64::from).to_le_bytes()).collect();
        let at = self.bytes(&plain);
        for (index, word) in (0..).zip(words) {
            if word.is_err() {
                self.relocations.push(at + 8 * index);
            }
        }
        at
    }

    /// Puts a NULL-terminated array of strings.
    pub(crate) fn strings<'a>(&mut self, strings: impl IntoIterator<Item = &'a [u8]>) -> Offset {
        let mut words: Vec<_> = strings.into_iter().map(|text| Err(self.text(text))).collect();
        words.push(Ok(0));
        self.words(&words)
    }

    /// Puts a `msghdr` with a one-word payload and room for one descriptor. Returns the header's offset and the
    /// descriptor's.
    pub(crate) fn message(&mut self, payload: u8) -> (Offset, Offset) {
        const SOL_SOCKET: u64 = 1;
        const SCM_RIGHTS: u64 = 1;
        // ORDER: payload, then the control message right behind it: a respawn finds the pid at a fixed distance.
        let data = self.words(&[Ok(u64::from(payload)), Ok(20), Ok(SOL_SOCKET | SCM_RIGHTS << 32), Ok(0)]);
        let iovec = self.words(&[Err(data), Ok(8)]);
        let header = self.words(&[Ok(0), Ok(0), Err(iovec), Ok(1), Err(data + 8), Ok(24), Ok(0)]);
        (header, data + 24)
    }

    pub(crate) fn inner_nul(&self) -> Option<&[u8]> {
        self.nul.as_deref()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full || self.bytes.len() > crate::wire::MAX_ARENA
    }

    pub(crate) fn finish(mut self) -> (Vec<u8>, Vec<Offset>) {
        let aligned = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(aligned, 0);
        (self.bytes, self.relocations)
    }
}

/// Reads back what was put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> View<'a> {
    pub(crate) fn text(self, at: Offset) -> &'a [u8] {
        let rest = self.bytes.get(at as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    pub(crate) fn word(self, at: Offset) -> u64 {
        let at = at as usize;
        let bytes = self.bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    }

    pub(crate) fn half(self, at: Offset) -> u32 {
        crate::wire::word(self.bytes, at as usize).unwrap_or(0)
    }
}
