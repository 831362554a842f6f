//! What a hook has said.

use std::fmt;

/// How much of a hook's output is kept. It may write more, which is read and dropped.
const KEPT: usize = 64 * 1024;

/// What a hook wrote to its standard output and error.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    bytes: Vec<u8>,
    cut: bool,
}

impl Heard {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let room = KEPT - self.bytes.len().min(KEPT);
        self.bytes.extend(bytes.iter().take(room));
        self.cut |= bytes.len() > room;
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        // Who reads it may be a terminal.
        let is_plain = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t');
        let plain = text.replace(|letter| !is_plain(letter), "?");
        write!(f, ": {plain}")?;
        if self.cut { write!(f, " (the first {} KiB of more)", KEPT / 1024) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "too long")]
    fn output_is_cut_and_made_plain() {
        let mut heard = Heard::default();
        assert_eq!(heard.to_string(), "");
        heard.add(b" a\x1b[1m\tb\n");
        assert_eq!(heard.to_string(), ": a?[1m\tb");
        heard.add(&vec![b'x'; KEPT]);
        assert_eq!(heard.bytes.len(), KEPT);
        assert!(heard.to_string().ends_with("xx (the first 64 KiB of more)"));
    }
}
