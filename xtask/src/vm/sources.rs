//! Reads the system's apt sources: where its Debian archive is, and whose signature it bears.

use std::io;

use anyhow::{Context, Result, bail};

/// Code names and classes of Debian's suites.
const DEBIAN: [&str; 9] =
    ["bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"];

/// One archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) uri: String,
    pub(crate) security: bool,
    pub(crate) signed_by: Option<String>,
}

/// One line or stanza of a sources file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    uris: Vec<String>,
    suites: Vec<String>,
    signed_by: Option<String>,
}

/// All entries of the system's sources.
pub(crate) fn system() -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    let (list, parts) = ("/etc/apt/sources.list", "/etc/apt/sources.list.d");
    // Either is enough.
    if let Some(text) = there(std::fs::read_to_string(list)).context(list)? {
        all.extend(one_line(&text));
    }
    for entry in there(std::fs::read_dir(parts)).context(parts)?.into_iter().flatten() {
        let path = entry.context(parts)?.path();
        let read = || std::fs::read_to_string(&path).with_context(|| path.display().to_string());
        match path.extension().and_then(|name| name.to_str()) {
            Some("list") => all.extend(one_line(&read()?)),
            Some("sources") => all.extend(stanzas(&read()?)),
            _ => {}
        }
    }
    Ok(all)
}

/// None for what is not there.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// The archive and its security updates, each once.
pub(crate) fn bases(entries: &[Entry]) -> Result<Vec<Base>> {
    let mut all: Vec<Base> = Vec::new();
    for entry in entries {
        for security in [false, true] {
            let wanted = |suite: &String| kind(suite) == Some(security);
            let known = all.iter().any(|base| base.security == security);
            if let (true, false, Some(uri)) = (entry.suites.iter().any(wanted), known, entry.uris.first()) {
                all.push(Base { uri: uri.clone(), security, signed_by: entry.signed_by.clone() });
            }
        }
    }
    if all.iter().all(|base| base.security) {
        bail!("no Debian archive among the system's apt sources: the guests are made of Debian packages");
    }
    Ok(all)
}

/// Whether a suite is Debian's security suite; `None` for other distributions'.
fn kind(suite: &str) -> Option<bool> {
    let (name, rest) = suite.split_once(['-', '/']).unwrap_or((suite, ""));
    if !DEBIAN.contains(&name) {
        return None;
    }
    match rest {
        "security" => Some(true),
        "" | "updates" if suite.contains('/') => Some(true),
        "" | "updates" | "backports" => Some(false),
        _ => None,
    }
}

/// `deb [signed-by=FILE] URI SUITE COMPONENT...`
fn one_line(text: &str) -> Vec<Entry> {
    let parse = |line: &str| {
        let rest = line.trim().strip_prefix("deb ")?.trim();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        let signed_by =
            options.split_whitespace().find_map(|word| word.strip_prefix("signed-by=")).map(str::to_owned);
        Some(Entry { uris: vec![uri.to_owned()], suites: vec![suite.to_owned()], signed_by })
    };
    text.lines().filter_map(parse).collect()
}

/// The deb822 form: fields in paragraphs.
fn stanzas(text: &str) -> Vec<Entry> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(stanza).collect()
}

fn stanza(lines: &[&str]) -> Option<Entry> {
    let field = |name: &str| {
        let value = |line: &&str| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        lines.iter().find_map(value)
    };
    let words = |name: &str| -> Vec<String> {
        field(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let enabled = field("Enabled").is_none_or(|value| !value.eq_ignore_ascii_case("no"));
    if !enabled || !words("Types").iter().any(|kind| kind == "deb") {
        return None;
    }
    // A key may stand in the file itself; then apt's trusted keys have to do.
    let signed_by = field("Signed-By").filter(|value| value.starts_with('/'));
    Some(Entry { uris: words("URIs"), suites: words("Suites"), signed_by })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_others_left_out() {
        let mut entries = stanzas(
            "Types: deb\n# a comment\nURIs: http://a.test/debian\nSuites: bookworm bookworm-updates\nSigned-By: /k.gpg\n\n\
             Types: deb\nEnabled: no\nURIs: http://off.test/\nSuites: bookworm-security\n",
        );
        entries.extend(one_line(
            "deb http://b.test/apt nodistro main\n# deb http://c.test/ sid main\n\
             deb [arch=amd64 signed-by=/s.gpg] http://d.test/sec bookworm-security main\n",
        ));
        let found = bases(&entries).unwrap();
        let base = |uri: &str, security, key: &str| Base {
            uri: uri.to_owned(),
            security,
            signed_by: Some(key.to_owned()),
        };
        assert_eq!(
            found,
            [base("http://a.test/debian", false, "/k.gpg"), base("http://d.test/sec", true, "/s.gpg")]
        );
    }

    #[test]
    fn a_system_of_another_kind_is_refused() {
        let entries =
            one_line("deb http://u.test/ubuntu jammy main\ndeb http://u.test/ jammy-security main\n");
        assert!(bases(&entries).is_err());
    }

    #[test]
    fn suites() {
        for (suite, expected) in [
            ("bookworm", Some(false)),
            ("bullseye/updates", Some(true)),
            ("trixie-security", Some(true)),
            ("cloud-sdk-bookworm", None),
            ("jammy-security", None),
        ] {
            assert_eq!(kind(suite), expected, "{suite}");
        }
    }
}
