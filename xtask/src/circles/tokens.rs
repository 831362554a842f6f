//! Rust text as words and signs: enough to see modules, imports and paths, in macros as well.

/// A word or a sign, and its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

impl Token<'_> {
    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(word_start)
    }
}

fn word_start(letter: char) -> bool {
    letter.is_alphabetic() || letter == '_'
}

fn word_part(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The tokens of a file, without comments. A literal is one token; `::` is one sign, all others are single.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut all, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let length = length(rest, first).max(first.len_utf8());
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if !first.is_whitespace() && !is_comment(token) {
            all.push(Token { text: token, line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    all
}

fn is_comment(token: &str) -> bool {
    token.starts_with("//") || token.starts_with("/*")
}

fn length(rest: &str, first: char) -> usize {
    if first.is_whitespace() {
        first.len_utf8()
    } else if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment(rest)
    } else if let Some(length) = string(rest) {
        length
    } else if word_start(first) {
        rest.find(|letter| !word_part(letter)).unwrap_or(rest.len())
    } else if first.is_ascii_digit() {
        // A number may hold letters and one dot, and is never followed by a path.
        rest.find(|letter| !word_part(letter)).unwrap_or(rest.len())
    } else if first == '\'' {
        quote(rest)
    } else if rest.starts_with("::") {
        2
    } else {
        first.len_utf8()
    }
}

/// Comments of this kind nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(part) = rest.get(at..).filter(|part| !part.is_empty()) {
        if part.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if part.starts_with("*/") {
            (depth, at) = (depth.saturating_sub(1), at + 2);
        } else {
            at += part.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string in any of its forms: plain, of bytes, of C, raw.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let after = rest.strip_prefix(prefix).unwrap_or_default();
        after.starts_with('"') || (prefix.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
    })?;
    let body = rest.strip_prefix(prefix)?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let open = prefix.len() + hashes + 1;
    let text = rest.get(open..)?;
    let length = if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        text.find(&end).map_or(text.len(), |at| at + end.len())
    } else {
        escaped(text, '"')
    };
    Some(open + length)
}

/// The length up to and with the sign that ends it.
fn escaped(text: &str, end: char) -> usize {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == end {
            return at + end.len_utf8();
        }
    }
    text.len()
}

/// A letter in quotes, or the name of a lifetime.
fn quote(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), _) => 1 + escaped(rest.get(1..).unwrap_or_default(), '\''),
        (_, Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_go_and_literals_are_one_token() {
        assert_eq!(words("a::b /* c /* d */ e */ f // g\nh"), ["a", "::", "b", "f", "h"]);
        assert_eq!(words(r#"x("crate::y \" z", b'"', '\'', 'q')"#).len(), 11);
        assert_eq!(words(r##"r#"a " b"# c"##), [r##"r#"a " b"#"##, "c"]);
        assert_eq!(words("&'a str, b\"x\""), ["&", "'", "a", "str", ",", "b\"x\""]);
        assert_eq!(words("'ä' 1.5_u8 ä"), ["'ä'", "1", ".", "5_u8", "ä"]);
        assert_eq!(words("\"open"), ["\"open"]);
        assert_eq!(words("br"), ["br"]);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let lines: Vec<_> = tokens("a\n\"x\ny\" /*\n*/ b\nc").iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 2, 4, 5]);
    }
}
