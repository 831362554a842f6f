//! Reading `container.json` with Go's lenient rules, or strictly.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use libcontainer_cgroups::devices::Access;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::container::Config;
use crate::error::{Error, ErrorKind, Problem, Result, is_access, left_out};

/// What to do with keys that no field has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Leave them out, as Go did, and say so. Keys match without regard to case where none matches exactly; `null` is unset.
    #[default]
    Lenient,
    /// Each is an error, and so is a key in the wrong case.
    Strict,
}

const LIMIT: u64 = 16 * 1024 * 1024;

impl Config {
    /// Reads a config from JSON text, leniently. Returns the pointers of the keys that were left out too
    /// ([`Problem::left_out`]).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] with line and column, or with the JSON pointer of what is wrong.
    pub fn from_json(text: &[u8]) -> Result<(Self, Vec<String>)> {
        Self::from_json_with(text, Mode::Lenient, "container.json")
    }

    /// Reads a config from JSON text; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Config::from_json`].
    pub fn from_json_with(text: &[u8], mode: Mode, name: &str) -> Result<(Self, Vec<String>)> {
        let invalid = |text: String| Error::new(ErrorKind::InvalidConfig, format!("{name}{text}"));
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(invalid(": empty file".into()));
        }
        if let Err(error) = std::str::from_utf8(text) {
            return Err(invalid(format!(": invalid UTF-8 at byte {}", error.valid_up_to())));
        }
        let mut value = parse(text).map_err(|error| {
            let place = if error.line() > 0 {
                format!(":{}:{}", error.line(), error.column())
            } else {
                String::new()
            };
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            invalid(format!("{place}: {message}"))
        })?;
        if !value.is_object() {
            return Err(invalid(format!(": expected an object, found {}", kind(&value))));
        }
        let mut unknown = Vec::new();
        normalise(&mut value, &example(), "", mode, &mut unknown);
        if mode == Mode::Strict && !unknown.is_empty() {
            let problem = |pointer: String| {
                let message = left_out(&pointer).to_owned();
                Problem { pointer, message, remedy: None }
            };
            return Err(Error::problems(name, unknown.into_iter().map(problem).collect()));
        }
        let config = serde_path(&value).map_err(|(pointer, message)| {
            Error::problems(name, vec![Problem { pointer, message, remedy: None }])
        })?;
        Ok((config, unknown))
    }

    /// Reads a config from a regular file of at most 16 MiB.
    ///
    /// # Errors
    /// Those of opening and reading, and as [`Config::from_json`].
    pub fn from_file(path: &Path, mode: Mode) -> Result<(Self, Vec<String>)> {
        let name = path.display().to_string();
        let io = |error| Error::io(name.clone(), error);
        // O_NONBLOCK: a FIFO must not keep us waiting for a writer.
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
            .map_err(io)?;
        if !file.metadata().map_err(io)?.is_file() {
            return Err(Error::new(ErrorKind::InvalidConfig, format!("{name}: not a regular file")));
        }
        let mut text = Vec::new();
        file.take(LIMIT + 1).read_to_end(&mut text).map_err(io)?;
        if text.len() as u64 > LIMIT {
            return Err(Error::new(ErrorKind::InvalidConfig, format!("{name}: larger than 16 MiB")));
        }
        Self::from_json_with(&text, mode, &name)
    }

    /// The config as JSON, indented, unset fields left out.
    ///
    /// # Errors
    /// A path that is not UTF-8 has no form in JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| {
            Error::new(ErrorKind::InvalidConfig, format!("write the config as JSON: {error}"))
        })
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Parses to a value, refusing doubled keys and anything behind the value. serde_json itself stops at a depth of 128.
fn parse(text: &[u8]) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Unique.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = list.next_element_seed(Unique)? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Unique)?;
            if all.contains_key(&key) {
                return Err(de::Error::custom(format!("duplicate key {key:?}")));
            }
            all.insert(key, value);
        }
        Ok(Value::Object(all))
    }
}

/// A config with every field set: its JSON tells all keys that there are.
fn example() -> Value {
    serde_json::from_str(include_str!("json_keys.json")).unwrap_or(Value::Null)
}

/// Brings keys to the case of `known`, drops nulls, and takes away what is unknown.
fn normalise(value: &mut Value, known: &Value, at: &str, mode: Mode, unknown: &mut Vec<String>) {
    match (value, known) {
        (Value::Object(map), Value::Object(fields)) if !fields.is_empty() => {
            for (key, mut inner) in std::mem::take(map) {
                let lenient = || {
                    fields.iter().find(|(field, _)| mode == Mode::Lenient && field.eq_ignore_ascii_case(&key))
                };
                let Some((field, shape)) = fields.get_key_value(&key).or_else(lenient) else {
                    unknown.push(format!("{at}/{}", escape(&key)));
                    continue;
                };
                if inner.is_null() {
                    continue;
                }
                normalise(&mut inner, shape, &format!("{at}/{field}"), mode, unknown);
                map.insert(field.clone(), inner);
            }
        }
        (Value::Array(items), Value::Array(shapes)) => {
            for (index, item) in items.iter_mut().enumerate() {
                if let Some(shape) = shapes.first() {
                    normalise(item, shape, &format!("{at}/{index}"), mode, unknown);
                }
            }
        }
        (Value::String(text), _) if is_access(at) && Access::has_others(text) => unknown.push(at.to_owned()),
        _ => {}
    }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Deserialises, and finds the pointer of what failed by taking the value apart.
fn serde_path(value: &Value) -> std::result::Result<Config, (String, String)> {
    let read = |value: Value| serde_json::from_value::<Config>(value);
    read(value.clone()).map_err(|error| {
        let said = error.to_string();
        let wrong = |value: Value| read(value).err().map(|error| error.to_string());
        (culprit(value, &said, &wrong), said)
    })
}

/// The pointer of what the reader has said that of. `wrong` is what it says of another value in this one's place.
fn culprit(value: &Value, said: &str, wrong: &dyn Fn(Value) -> Option<String>) -> String {
    match value {
        Value::Object(map) => {
            let found = map.iter().find(|(key, _)| is_of(map, key, said, wrong));
            found.map_or(String::new(), |(key, inner)| {
                let with = |inner| {
                    let mut map = map.clone();
                    map.insert(key.clone(), inner);
                    wrong(Value::Object(map))
                };
                format!("/{}{}", escape(key), culprit(inner, said, &with))
            })
        }
        Value::Array(items) => {
            // Items are read in order: it is the last of the shortest list that is wrong.
            let upto = |count: usize| Value::Array(items.iter().take(count).cloned().collect());
            let found = items.iter().enumerate().find(|(index, _)| wrong(upto(index + 1)).is_some());
            found.map_or(String::new(), |(index, item)| {
                format!("/{index}{}", culprit(item, said, &|inner| wrong(Value::Array(vec![inner]))))
            })
        }
        _ => String::new(),
    }
}

/// Whether it was said of that member: without it, it is not said any more. A key that is missing is said of none of the others.
fn is_of(map: &Map<String, Value>, key: &str, said: &str, wrong: &dyn Fn(Value) -> Option<String>) -> bool {
    let mut without = map.clone();
    without.remove(key);
    let then = wrong(Value::Object(without));
    let missing = then.as_ref().is_some_and(|then| *then == format!("missing field `{key}`"));
    then.as_deref() != Some(said) && !(missing && said.starts_with("missing field"))
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
