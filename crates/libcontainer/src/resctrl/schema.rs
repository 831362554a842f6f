//! Lines of `schemata`: `RESOURCE:DOMAIN=VALUE;…`. Pure.

use std::collections::BTreeMap;

/// The lines of which what is there says otherwise, or nothing.
pub(super) fn differing<'a>(wanted: &'a [String], there: &str) -> Vec<&'a str> {
    let there: Vec<_> = there.lines().map(parse).collect();
    let agrees = |line: &str| {
        let (resource, domains) = parse(line);
        there.iter().any(|(other, known)| {
            *other == resource && domains.iter().all(|(domain, value)| known.get(domain) == Some(value))
        })
    };
    wanted.iter().map(String::as_str).filter(|line| !agrees(line)).collect()
}

/// A line that is none has no domain and is its own resource.
fn parse(line: &str) -> (&str, BTreeMap<&str, String>) {
    let (resource, rest) = line.split_once(':').unwrap_or((line, ""));
    let domain = |text| {
        let (domain, value): (&str, &str) = str::split_once(text, '=')?;
        Some((domain.trim(), plain(value)))
    };
    (resource.trim(), rest.split(';').filter_map(domain).collect())
}

/// A mask or a number without zeros before it.
fn plain(value: &str) -> String {
    let value = value.trim().trim_start_matches("0x").to_ascii_lowercase();
    match value.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_agree_as_the_kernel_shows_them() {
        let there = "    L3:0=00fff;1=00fff\n    MB:0=100;1= 50\n";
        for (line, agrees) in [
            ("L3:0=fff;1=FFF", true),
            ("L3:1=0xfff", true),
            ("MB:1=50", true),
            ("MB:0=100", true),
            ("MB:0=10", false),
            ("L3:0=ff", false),
            ("L3:2=fff", false),
            ("L2:0=fff", false),
            ("nonsense", false),
        ] {
            assert_eq!(differing(&[line.to_owned()], there).is_empty(), agrees, "{line}");
        }
    }
}
