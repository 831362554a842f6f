//! Reading: the types by serde, the keys that no type has by a walk over the same text.

use std::fmt;

use libcontainer::Problem;
use libcontainer::cgroups::devices::Access;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::object::{Shape, Shaped, escaped};
use super::respell::{meant, respell};

/// A text that can't be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Line, from 1; 0 if the text as a whole is meant.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// JSON pointer to the value, as far as it was found.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl Error {
    fn whole(message: &str) -> Self {
        Self { line: 0, column: 0, pointer: String::new(), message: message.to_owned() }
    }

    fn at(text: &[u8], error: &serde_json::Error) -> Self {
        let all = error.to_string();
        let message = plain(all.split(" at line ").next().unwrap_or_default());
        let pointer = pointer(before(text, error.line(), error.column()));
        Self { line: error.line(), column: error.column(), pointer, message }
    }
}

/// Without the words of serde and of Rust's types.
fn plain(message: &str) -> String {
    let message = message.replace("a sequence", "a list");
    let Some((found, kind)) = message.split_once(", expected ") else { return message };
    let range = match kind {
        "i32" | "i64" => "",
        "u8" => " from 0 to 255",
        "u16" => " from 0 to 65535",
        "u32" => " from 0 to 4294967295",
        "u64" => ", not below 0",
        _ => return message,
    };
    format!("{found}, expected a whole number{range}")
}

/// Reads a text; with what is to be said of it: keys that `T` doesn't have and letters of an access that mean nothing, which are left out, and keys
/// that were taken for others.
pub(super) fn read<T: DeserializeOwned + Shaped>(text: &[u8]) -> Result<(T, Vec<Problem>), Error> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::whole("empty"));
    }
    let value = serde_json::from_slice(text).map_err(|error| Error::at(text, &error));
    let mut odd = Odd::default();
    let walk = Walk { shape: &T::SHAPE, at: String::new(), odd: &mut odd };
    let walked = walk.deserialize(&mut serde_json::Deserializer::from_slice(text));
    if odd.respelt && walked.is_ok() {
        return read_respelt(text);
    }
    let value: T = value?;
    walked.map_err(|error| Error::at(text, &error))?;
    Ok((value, odd.unknown.into_iter().map(Problem::left_out).collect()))
}

/// The same for a text with keys in other letters' case. Lines and columns are not those of the text any more.
fn read_respelt<T: DeserializeOwned + Shaped>(text: &[u8]) -> Result<(T, Vec<Problem>), Error> {
    let mut value = serde_json::from_slice(text).map_err(|error| Error::at(text, &error))?;
    let mut respelt = Vec::new();
    respell(&mut value, &T::SHAPE, "", &mut respelt);
    let text = serde_json::to_vec(&value).map_err(|error| Error::whole(&error.to_string()))?;
    let moved = |error: &serde_json::Error| Error { line: 0, column: 0, ..Error::at(&text, error) };
    let value = serde_json::from_slice(&text).map_err(|error| moved(&error))?;
    let mut odd = Odd::default();
    let walk = Walk { shape: &T::SHAPE, at: String::new(), odd: &mut odd };
    walk.deserialize(&mut serde_json::Deserializer::from_slice(&text)).map_err(|error| moved(&error))?;
    let unknown = odd.unknown.into_iter().map(Problem::left_out);
    Ok((value, respelt.into_iter().chain(unknown).collect()))
}

/// What a walk has found.
#[derive(Default)]
struct Odd {
    unknown: Vec<String>,
    /// A key is another one but for the case of letters.
    respelt: bool,
}

/// Notes what a shape doesn't have.
struct Walk<'a> {
    shape: &'static Shape,
    at: String,
    odd: &'a mut Odd,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.shape {
            Shape::Any => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match self.shape {
            Shape::Access if Access::has_others(text) => self.odd.unknown.push(self.at),
            Shape::Access => {}
            _ => return Err(E::invalid_type(serde::de::Unexpected::Str(text), &self)),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        // A derived reader takes the fields of a struct from a list, too.
        let Shape::List(shape) = self.shape else {
            return Err(A::Error::custom("a list where an object is wanted"));
        };
        for index in 0_usize.. {
            let walk = Walk { shape, at: format!("{}/{index}", self.at), odd: self.odd };
            if list.next_element_seed(walk)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let at = format!("{}/{}", self.at, escaped(&key));
            let shape = match self.shape {
                Shape::Object(keys) => keys.iter().find(|(known, _)| *known == key).map(|(_, shape)| shape),
                Shape::Map(shape) => Some(*shape),
                _ => Some(&Shape::Any),
            };
            if shape.is_none() {
                self.odd.unknown.push(at.clone());
                self.odd.respelt |= meant(self.shape, &key).is_some();
            }
            map.next_value_seed(Walk { shape: shape.unwrap_or(&Shape::Any), at, odd: self.odd })?;
        }
        Ok(())
    }
}

/// The text up to a line and column, each from 1.
fn before(text: &[u8], line: usize, column: usize) -> &[u8] {
    let start = if line <= 1 {
        0
    } else {
        let mut ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        ends.nth(line - 2).map_or(0, |(end, _)| end + 1)
    };
    text.get(..(start + column).min(text.len())).unwrap_or(text)
}

/// Where one is at the end of the beginning of a JSON text.
fn pointer(text: &[u8]) -> String {
    let mut place = Place::default();
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = if *byte == b'"' { place.text(behind) } else { behind };
        place.step(*byte);
    }
    place.levels.iter().filter_map(Level::name).map(|name| format!("/{name}")).collect()
}

#[derive(Default)]
struct Place {
    levels: Vec<Level>,
    /// The next text is a key.
    key: bool,
}

enum Level {
    List(usize),
    /// The key, once one was read.
    Object(Option<String>),
}

impl Level {
    fn name(&self) -> Option<String> {
        match self {
            Self::List(index) => Some(index.to_string()),
            Self::Object(key) => key.as_deref().map(escaped),
        }
    }
}

impl Place {
    fn step(&mut self, byte: u8) {
        match byte {
            b'{' => self.levels.push(Level::Object(None)),
            b'[' => self.levels.push(Level::List(0)),
            b'}' | b']' => drop(self.levels.pop()),
            b',' => {
                if let Some(Level::List(index)) = self.levels.last_mut() {
                    *index += 1;
                }
            }
            _ => {}
        }
        match byte {
            b'{' | b',' => self.key = true,
            b':' | b'[' => self.key = false,
            _ => {}
        }
    }

    /// Takes a text whose first quote was read; returns what is behind it.
    fn text<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let mut escape = false;
        let end = text.iter().position(|byte| {
            let ends = *byte == b'"' && !escape;
            escape = *byte == b'\\' && !escape;
            ends
        });
        let end = end.unwrap_or(text.len());
        if self.key {
            let name = String::from_utf8_lossy(text.get(..end).unwrap_or_default()).into_owned();
            if let Some(Level::Object(key)) = self.levels.last_mut() {
                *key = Some(name);
            }
        }
        text.get(end + 1..).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::super::Spec;
    use super::Problem;

    #[test]
    fn what_is_wrong_has_its_pointer() {
        let check = |text: &str, pointer: &str, message: &str| {
            let error = Spec::from_json(text.as_bytes()).unwrap_err();
            assert_eq!(error.pointer, pointer, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
        };
        check("  \n", "", "empty");
        check("[]", "", "a list where an object");
        check(r#"{"root": ["x"]}"#, "/root/0", "a list where an object");
        check(r#"{"process": 7}"#, "/process", "expected struct Process");
        check(
            r#"{"process": {"user": {"gid": 1, "uid": -1}, "cwd": "/"}}"#,
            "/process/user/uid",
            "from 0 to 4294967295",
        );
        check(r#"{"process": {"args": "a"}}"#, "/process/args", "expected a list");
        let limit = r#"{"linux": {"resources": {"memory": {"limit": "64m"}}}}"#;
        check(limit, "/linux/resources/memory/limit", "string \"64m\", expected a whole number");
        check(r#"{"process": {"args": ["a", 7]}}"#, "/process/args/1", "expected a string");
        check(r#"{"hostname": "a", "hostname": "b"}"#, "/hostname", "duplicate field");
        check(r#"{"linux": {"seccomp": {"defaultAction": "SCMP"}}}"#, "/linux/seccomp/defaultAction", "SCMP");
        check(r#"{"annotations": {"a\"/b": 7}}"#, "/annotations/a\\\"~1b", "expected a string");
        check("{\n \"root\": {\n  \"path\": [1]}}", "/root/path", "");
        check(r#"{"hostname": "a"#, "/hostname", "EOF");
        check(r#"{} {}"#, "", "trailing characters");
    }

    #[test]
    fn unknown_keys_are_noted_and_nulls_are_absent() {
        let text = r#"{"ociVersion": "1.0.0", "x": {"y": 1}, "process": {"args": null, "user": {"name": "a"}},
            "mounts": [{"destination": "/a", "option": []}], "linux": {"resources": {"cpu": {"weight": 1}},
            "netDevices": {"eth0": {"mac": ""}}, "seccomp": null}, "annotations": {"a/b": "c"}}"#;
        let spec = Spec::from_json(text.as_bytes()).unwrap();
        let wanted = [
            "/x",
            "/process/user/name",
            "/mounts/0/option",
            "/linux/resources/cpu/weight",
            "/linux/netDevices/eth0/mac",
        ];
        let pointers: Vec<_> = spec.notes.iter().map(|note| note.pointer.as_str()).collect();
        assert_eq!(pointers, wanted);
        assert_eq!(spec.annotations.get("a/b").map(String::as_str), Some("c"));
    }

    /// Where, and how what is said of it begins.
    fn said(notes: &[Problem]) -> Vec<(&str, &str)> {
        let mut said: Vec<_> = notes.iter().map(|note| (note.pointer.as_str(), &note.message[..9])).collect();
        said.sort_unstable();
        said
    }

    #[test]
    fn keys_in_other_letters_are_those_that_go_takes_them_for() {
        let text = r#"{"linux": {"Resources": {"hugepageLimits": [{"pagesize": "2MB", "limit": 7}], "rdma": {"A": {"hcahandles": 1}}}},
            "hostname": "a", "HOSTNAME": "b", "process": {"user": {}, "nonewprivileges": true, "cwd": "/"}, "Annotations": {"X": "y"}}"#;
        let spec = Spec::from_json(text.as_bytes()).unwrap();
        let resources = spec.linux.unwrap().resources.unwrap();
        assert_eq!(resources.hugepage_limits[0].page_size, "2MB");
        assert_eq!(resources.rdma["A"].hca_handles, Some(1));
        assert!(spec.process.unwrap().no_new_privileges);
        assert_eq!((spec.hostname.as_str(), spec.annotations["X"].as_str()), ("a", "y"));
        let wanted = [
            ("/Annotations", "taken for"),
            ("/HOSTNAME", "is there "),
            ("/linux/Resources", "taken for"),
            ("/linux/resources/hugepageLimits/0/pagesize", "taken for"),
            ("/linux/resources/rdma/A/hcahandles", "taken for"),
            ("/process/nonewprivileges", "taken for"),
        ];
        assert_eq!(said(&spec.notes), wanted);
        let wrong = Spec::from_json(br#"{"Hostname": 7}"#).unwrap_err();
        assert_eq!((wrong.line, wrong.pointer.as_str()), (0, "/hostname"));
    }

    #[test]
    fn objects_that_are_there_in_both_spellings_are_one() {
        let text = r#"{"linux": {"resources": {"cpu": {"shares": 100, "quota": 7, "mems": null}, "CPU": {"Cpus": "0", "mems": "1", "SHARES": 9},
            "Pids": {"limit": 3}, "PIDS": null, "unified": {"a": "1"}, "Unified": {"A": "2", "a": "3"}}}, "annotations": {"X": "y", "x": "z"}}"#;
        let spec = Spec::from_json(text.as_bytes()).unwrap();
        let resources = spec.linux.unwrap().resources.unwrap();
        let cpu = resources.cpu.unwrap();
        assert_eq!((cpu.shares, cpu.quota), (Some(100), Some(7)));
        assert_eq!((cpu.cpus.as_deref(), cpu.mems.as_deref()), (Some("0"), Some("1")));
        assert_eq!(resources.pids.unwrap().limit, Some(3));
        assert_eq!((resources.unified["a"].as_str(), resources.unified["A"].as_str()), ("1", "2"));
        assert_eq!(spec.annotations.len(), 2);
        // What both have is taken as it is spelt right; the other is left out.
        let wanted = [
            ("/linux/resources/CPU", "taken for"),
            ("/linux/resources/CPU/Cpus", "taken for"),
            ("/linux/resources/CPU/SHARES", "taken for"),
            ("/linux/resources/CPU/shares", "is there "),
            ("/linux/resources/PIDS", "taken for"),
            ("/linux/resources/Pids", "taken for"),
            ("/linux/resources/Unified", "taken for"),
            ("/linux/resources/Unified/a", "is there "),
        ];
        assert_eq!(said(&spec.notes), wanted);
    }
}
