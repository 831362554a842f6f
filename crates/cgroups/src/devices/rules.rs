//! One rule of the device filter and lists of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Largest major number of a device (12 bits, `include/linux/kdev_t.h`).
pub(super) const MAJOR_MAX: u32 = (1 << 12) - 1;
/// Largest minor number of a device (20 bits).
pub(super) const MINOR_MAX: u32 = (1 << 20) - 1;

/// The letters of an access.
const KNOWN: &str = "rwm";

bitflags::bitflags! {
    /// What may be done with a device. The bits are those of `BPF_DEVCG_ACC_*` (`linux/bpf.h`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Access: u32 {
        /// `m`: make the node by mknod(2).
        const MKNOD = 1;
        /// `r`: open it for reading.
        const READ = 2;
        /// `w`: open it for writing.
        const WRITE = 4;
    }
}

impl Access {
    /// Reads letters of `r`, `w` and `m`, in any order.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other letter, and for no letter at all.
    pub fn parse(text: &str) -> Result<Self> {
        let mut access = Self::empty();
        for letter in text.chars() {
            access |= match letter {
                'r' => Self::READ,
                'w' => Self::WRITE,
                'm' => Self::MKNOD,
                _ => return Err(invalid(format!("access {text:?}: only the letters r, w and m are known"))),
            };
        }
        if access.is_empty() {
            return Err(invalid("access is empty: name at least one of r, w and m".to_owned()));
        }
        Ok(access)
    }

    /// Whether a text has letters besides `r`, `w` and `m`.
    #[must_use]
    pub fn has_others(text: &str) -> bool {
        text.chars().any(|letter| !KNOWN.contains(letter))
    }

    /// What is not known is never allowed, and never left undenied.
    fn of_rule(text: &str, allow: bool) -> Result<Self> {
        let known: String = text.chars().filter(|letter| KNOWN.contains(*letter)).collect();
        match known.len() == text.len() || (allow && known.is_empty()) {
            true => Self::parse(text),
            false if allow => Self::parse(&known),
            false => Ok(Self::all()),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")] {
            if self.contains(bit) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// Which kind of device a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `a`: both.
    All,
    /// `c`: character devices.
    Char,
    /// `b`: block devices.
    Block,
}

impl Kind {
    /// The letter in `devices.list` and in the OCI runtime specification.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::All => 'a',
            Self::Char => 'c',
            Self::Block => 'b',
        }
    }

    /// The kind of a letter; `u` (unbuffered) is another name for `c`, as in mknod(1).
    ///
    /// # Errors
    /// [`Error::Invalid`] for other letters.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "a" => Ok(Self::All),
            "c" | "u" => Ok(Self::Char),
            "b" => Ok(Self::Block),
            _ => Err(invalid(format!("type {text:?} is none of a, b, c"))),
        }
    }
}

/// One rule. In JSON it has the shape of `linux.resources.devices[]` in the OCI runtime specification:
/// `allow` (bool), `type` (`a`, `b`, `c`; absent = `a`), `major` and `minor` (absent or -1 = all), `access` (letters; absent = `rwm`).
/// Letters besides `r`, `w` and `m` allow nothing; of a rule that denies, they make it deny every access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub struct Rule {
    /// True to allow, false to deny.
    pub allow: bool,
    /// Which kind of device.
    pub kind: Kind,
    /// The major number; `None` = every one.
    pub major: Option<u32>,
    /// The minor number; `None` = every one.
    pub minor: Option<u32>,
    /// Which kinds of access.
    pub access: Access,
}

impl Rule {
    /// Everything, for every device.
    #[must_use]
    pub fn everything(allow: bool) -> Self {
        Self { allow, kind: Kind::All, major: None, minor: None, access: Access::all() }
    }

    /// True when the rule speaks of this device (`kind` is `Char` or `Block`).
    #[must_use]
    pub fn matches(&self, kind: Kind, major: u32, minor: u32) -> bool {
        (self.kind == Kind::All || self.kind == kind)
            && self.major.is_none_or(|own| own == major)
            && self.minor.is_none_or(|own| own == minor)
    }

    /// True when the rule speaks of everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        Self { allow: true, ..*self } == Self::everything(true)
    }

    /// True when each access to each device that `other` speaks of is spoken of by this rule too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        (self.kind == Kind::All || self.kind == other.kind)
            && (self.major.is_none() || self.major == other.major)
            && (self.minor.is_none() || self.minor == other.minor)
            && self.access.contains(other.access)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.allow { "allow" } else { "deny" };
        write!(f, "{verb} {} {}:{} {}", self.kind.letter(), star(self.major), star(self.minor), self.access)
    }
}

/// The number or `*`, as `devices.list` writes it.
pub(crate) fn star(number: Option<u32>) -> String {
    number.map_or_else(|| "*".to_owned(), |number| number.to_string())
}

/// The rules of an allow list: nothing but what is listed (or everything, with `allow_all`).
///
/// This is the meaning of `allow_all_devices` and `allowed_devices`: no deny rules, `-1` given as `None`.
#[must_use]
pub fn allow_list(allow_all: bool, allowed: impl IntoIterator<Item = Rule>) -> Vec<Rule> {
    let mut rules = vec![Rule::everything(allow_all)];
    if !allow_all {
        rules.extend(allowed.into_iter().map(|rule| Rule { allow: true, ..rule }));
    }
    rules
}

/// Checks each rule: device numbers that exist, an access that isn't empty.
///
/// # Errors
/// [`Error::Invalid`] with the field's name and index.
pub fn validate(rules: &[Rule]) -> Result<()> {
    for (index, rule) in rules.iter().enumerate() {
        check(rule)
            .map_err(|problem| Error::invalid(format!("linux.resources.devices[{index}]"), problem))?;
    }
    Ok(())
}

fn check(rule: &Rule) -> std::result::Result<(), String> {
    for (name, number, max) in [("major", rule.major, MAJOR_MAX), ("minor", rule.minor, MINOR_MAX)] {
        if let Some(number) = number.filter(|number| *number > max) {
            return Err(format!("{name} {number} is above {max}"));
        }
    }
    if rule.access.is_empty() { Err("access is empty".to_owned()) } else { Ok(()) }
}

/// Leaves out the rules that can't decide anything: those before a rule about everything, and those that a later rule repeats.
/// A leading "deny everything" goes too, for that is the start.
#[must_use]
pub fn simplify(rules: &[Rule]) -> Vec<Rule> {
    let mut kept: Vec<Rule> = Vec::with_capacity(rules.len());
    for rule in rules {
        // A later rule of part of the access must not hide an opposite one: a request for no access at all
        // (a look at the node) is decided by the last rule that speaks of all access or allows something.
        kept.retain(|old| !(rule.covers(old) && (rule.access == Access::all() || rule.allow == old.allow)));
        if !(kept.is_empty() && rule.is_everything() && !rule.allow) {
            kept.push(*rule);
        }
    }
    kept
}

fn invalid(problem: String) -> Error {
    Error::invalid("linux.resources.devices", problem)
}

#[derive(Serialize, Deserialize)]
struct Json {
    #[serde(default)]
    allow: bool,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    major: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<String>,
}

impl TryFrom<Json> for Rule {
    type Error = Error;

    fn try_from(json: Json) -> Result<Self> {
        let number = |name: &str, value: Option<i64>, max| match value {
            None | Some(-1) => Ok(None),
            Some(value) => match u32::try_from(value) {
                Ok(value) if value <= max => Ok(Some(value)),
                _ => Err(invalid(format!("{name} {value} is not within -1..={max}"))),
            },
        };
        Ok(Self {
            allow: json.allow,
            kind: json
                .kind
                .filter(|kind| !kind.is_empty())
                .map_or(Ok(Kind::All), |kind| Kind::parse(&kind))?,
            major: number("major", json.major, MAJOR_MAX)?,
            minor: number("minor", json.minor, MINOR_MAX)?,
            access: json.access.map_or(Ok(Access::all()), |access| Access::of_rule(&access, json.allow))?,
        })
    }
}

impl From<Rule> for Json {
    fn from(rule: Rule) -> Self {
        Self {
            allow: rule.allow,
            kind: Some(rule.kind.letter().to_string()).filter(|_| rule.kind != Kind::All),
            major: rule.major.map(i64::from),
            minor: rule.minor.map(i64::from),
            access: Some(rule.access.to_string()),
        }
    }
}
