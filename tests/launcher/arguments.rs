//! One call as `explain` has it and as strace has it.

use std::collections::{BTreeMap, BTreeSet};

use libcontainer::security::{CapSet, Capability};

use crate::log::Call;

/// Prefixes that `explain` leaves out.
const PREFIXES: [&str; 3] = ["FSOPEN_", "FSMOUNT_", "MOUNT_ATTR_"];
/// Names of zero, and one that strace puts where an unnamed zero is.
const NOTHING: [&str; 5] = ["O_RDONLY", "MOUNT_ATTR_RELATIME", "RELATIME", "0", "NULL"];

/// How much of a text `explain` shows.
const SHOWN: usize = 120;

/// What is known of the descriptors, and how much was compared.
pub(crate) struct Arguments {
    /// Number in the init by slot. Those that the host gives are learned at their first use.
    slots: BTreeMap<String, String>,
    pub(crate) calls: usize,
    pub(crate) compared: usize,
}

impl Arguments {
    pub(crate) fn new() -> Self {
        Self { slots: BTreeMap::new(), calls: 0, compared: 0 }
    }

    /// Compares each argument that both show.
    pub(crate) fn check(&mut self, step: &str, call: &Call) -> Result<(), String> {
        self.calls += 1;
        let Some((list, rest)) = step.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')) else {
            return Ok(());
        };
        let composite = ["clone3", "sendmsg", "recvmsg"].contains(&call.name.as_str());
        if !composite {
            let list = list.replace("<v3, self>", "<v3>");
            for (wanted, found) in split(&list).into_iter().zip(split(&call.arguments)) {
                self.argument(&call.name, &wanted, &found)?;
            }
        }
        if let Some(slot) = rest.strip_prefix(" = ").and_then(|rest| rest.split(' ').next()) {
            let number = call.result.split([' ', '<']).next().unwrap_or_default();
            if !number.starts_with('-') && !composite {
                self.slots.insert(slot.to_owned(), number.to_owned());
            }
        }
        Ok(())
    }

    fn argument(&mut self, name: &str, wanted: &str, found: &str) -> Result<(), String> {
        let differ = || Err(format!("wanted {wanted}, found {found}"));
        let found_number = found.split(" /*").next().unwrap_or_default();
        if wanted.starts_with('<') || found.starts_with("0x") && wanted.starts_with(['<', '[']) {
            return Ok(());
        }
        self.compared += 1;
        if is_slot(wanted) {
            let known = self.slots.entry(wanted.to_owned()).or_insert_with(|| found.to_owned());
            return if known == found { Ok(()) } else { differ() };
        }
        if wanted.contains('"') {
            let (wanted_texts, found_texts) = (texts(wanted), texts(found));
            // Long texts are cut in `explain`.
            let same = |(wanted, found): (&Vec<u8>, &Vec<u8>)| {
                wanted == found || found.starts_with(wanted) && wanted.len() == SHOWN
            };
            let all =
                wanted_texts.len() == found_texts.len() && wanted_texts.iter().zip(&found_texts).all(same);
            return if all { Ok(()) } else { differ() };
        }
        if wanted.ends_with(" variables}") {
            let count: String = wanted.chars().filter(char::is_ascii_digit).collect();
            return if found.contains(&format!("/* {count} var")) { Ok(()) } else { differ() };
        }
        if name == "capset" {
            return if capability_words(found).as_deref() == Some(wanted) { Ok(()) } else { differ() };
        }
        let other = number(found_number).or_else(|| named(found));
        if let (Some(one), Some(other)) = (number(wanted), other) {
            return if one == other { Ok(()) } else { differ() };
        }
        let (one, other) = (numbers(wanted).unwrap_or_else(|| words(wanted)), words(found));
        if one == other { Ok(()) } else { Err(format!("{name}: wanted {one:?}, found {other:?}")) }
    }
}

/// The numbers of a mask, which `explain` has in ranges: `{0-3,8}`. Without 0, as in [`words`].
fn numbers(mask: &str) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for range in mask.strip_prefix('{')?.strip_suffix('}')?.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        all.extend((first..=last).filter(|number| *number != 0).map(|number| number.to_string()));
    }
    Some(all)
}

/// What a name or a union of names is worth, where `explain` has only a number.
fn named(text: &str) -> Option<u32> {
    let one = |name: &str| {
        let capability = name.strip_prefix("CAP_").and_then(|name| CapSet::from_names([name]).ok());
        match name {
            "AF_INET" | "SOCK_DGRAM" => Some(2),
            "SOCK_CLOEXEC" => Some(0x8_0000),
            "IPPROTO_IP" => Some(0),
            "PR_CAP_AMBIENT_IS_SET" => Some(1),
            "PR_CAP_AMBIENT_RAISE" => Some(2),
            "PR_CAP_AMBIENT_CLEAR_ALL" => Some(4),
            _ => capability?.iter().next().map(Capability::number),
        }
    };
    text.split('|').try_fold(0, |all, name| Some(all | one(name)?))
}

/// The six words of capset(2), from `{effective=1<<CAP_KILL|…, permitted=…, inheritable=…}`.
fn capability_words(text: &str) -> Option<String> {
    let mut sets = [0; 3];
    for (place, key) in sets.iter_mut().zip(["effective=", "permitted=", "inheritable="]) {
        let value = text.split(key).nth(1)?.split(['}', ',']).next()?;
        let (names, all) = value.strip_prefix('~').map_or((value, false), |names| (names, true));
        let names = names.split("CAP_").skip(1).map(|name| name.split(['|', ')']).next().unwrap_or(name));
        let bits = CapSet::from_names(names).ok()?.bits();
        *place = if all { !bits } else { bits };
    }
    let [effective, permitted, inheritable] = sets;
    let low = [effective, permitted, inheritable].map(|set| (set as u32).to_string());
    let high = [effective, permitted, inheritable].map(|set| ((set >> 32) as u32).to_string());
    Some(format!("[{}, {}]", low.join(", "), high.join(", ")))
}

fn is_slot(text: &str) -> bool {
    text.strip_prefix('s')
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// At the commas that stand in no bracket and no text.
fn split(list: &str) -> Vec<String> {
    let (mut all, mut depth, mut quoted, mut escaped) = (vec![String::new()], 0, false, false);
    for letter in list.chars() {
        match letter {
            '"' if !escaped => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => {
                all.push(String::new());
                continue;
            }
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
        all.last_mut().unwrap().push(letter);
    }
    all.into_iter().map(|one| one.trim().to_owned()).collect()
}

/// What stands between quotes, as bytes.
fn texts(list: &str) -> Vec<Vec<u8>> {
    let (mut all, mut open) = (Vec::new(), None::<Vec<u8>>);
    let mut letters = list.bytes();
    while let Some(letter) = letters.next() {
        match (letter, &mut open) {
            (b'"', _) => match open.take() {
                Some(text) => all.push(text),
                None => open = Some(Vec::new()),
            },
            (b'\\', Some(text)) => text.push(match letters.next().unwrap() {
                b'x' => {
                    let digits = [letters.next().unwrap(), letters.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                other => other,
            }),
            (letter, Some(text)) => text.push(letter),
            (_, None) => {}
        }
    }
    all
}

fn number(text: &str) -> Option<u32> {
    if text == "~0" {
        return Some(u32::MAX);
    }
    if text == "NULL" {
        return Some(0);
    }
    let whole = match (text.strip_prefix("0x"), text.strip_prefix('0').filter(|rest| !rest.is_empty())) {
        (Some(hex), _) => i64::from_str_radix(hex, 16).ok()?,
        (_, Some(octal)) => i64::from_str_radix(octal, 8).ok()?,
        _ => text.parse().ok()?,
    };
    u32::try_from(whole & 0xffff_ffff).ok()
}

/// Names, numbers and texts in any order, without those of nothing.
fn words(text: &str) -> BTreeSet<String> {
    let no_word = |letter: char| !(letter.is_ascii_alphanumeric() || "_\"/.-".contains(letter));
    // Remarks of strace's.
    let text: String = text.split("/*").map(|part| part.split("*/").last().unwrap_or(part)).collect();
    let named = text.split(no_word).filter(|word| !word.is_empty());
    let is_key = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let short = |word: &str| {
        let word = PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix)).unwrap_or(word);
        number(word).map_or_else(|| word.to_owned(), |number| number.to_string())
    };
    let kept = named.filter(|word| !is_key(word)).map(short);
    kept.filter(|word| !NOTHING.contains(&word.as_str())).collect()
}
