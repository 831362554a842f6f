//! Keys in other letters' case, such as `pagesize` for `pageSize`: Go, and so runc, takes the one for the other.
//!
//! To leave them out would leave a limit out that the same config has under runc.

use libcontainer::Problem;
use serde_json::{Map, Value};

use super::object::{Shape, escaped};

/// The key of a shape that `key` is but for the case of letters.
pub(super) fn meant(shape: &Shape, key: &str) -> Option<&'static str> {
    let Shape::Object(keys) = shape else { return None };
    let mut known = keys.iter().map(|(known, _)| *known);
    known.find(|known| *known != key && known.eq_ignore_ascii_case(key))
}

/// Writes keys as the specification does, and notes where they stood and what they are now. What is there as it should be too, or for the second
/// time, is joined with that.
pub(super) fn respell(value: &mut Value, shape: &Shape, at: &str, notes: &mut Vec<Problem>) {
    match (value, shape) {
        (Value::Array(list), Shape::List(inner)) => {
            for (index, value) in list.iter_mut().enumerate() {
                respell(value, inner, &format!("{at}/{index}"), notes);
            }
        }
        (Value::Object(map), Shape::Map(inner)) => {
            for (key, value) in map.iter_mut() {
                respell(value, inner, &below(at, key), notes);
            }
        }
        (Value::Object(map), Shape::Object(keys)) => {
            let twice = rename(map, shape, at, notes);
            for (known, inner) in *keys {
                let Some(there) = map.get_mut(*known) else { continue };
                respell(there, inner, &format!("{at}/{known}"), notes);
                for (key, _, value) in twice.iter().filter(|(_, meant, _)| meant == known) {
                    add(there, value.clone(), inner, (&below(at, key), known), notes);
                }
            }
        }
        _ => {}
    }
}

/// Gives values their key; returns those whose key has a value already, with the key that they stood under and the one that is meant.
fn rename(
    map: &mut Map<String, Value>,
    shape: &Shape,
    at: &str,
    notes: &mut Vec<Problem>,
) -> Vec<(String, &'static str, Value)> {
    let mut twice = Vec::new();
    let odd: Vec<_> = map.keys().filter_map(|key| Some((key.clone(), meant(shape, key)?))).collect();
    for (key, known) in odd {
        let Some(value) = map.remove(&key) else { continue };
        if map.contains_key(known) {
            twice.push((key, known, value));
        } else {
            map.insert(known.to_owned(), value);
            notes.push(taken(below(at, &key), known));
        }
    }
    twice
}

/// Joins a value with the one that its key has already.
fn add(
    there: &mut Value,
    mut value: Value,
    shape: &Shape,
    (at, known): (&str, &'static str),
    notes: &mut Vec<Problem>,
) {
    let before = there.clone();
    respell(&mut value, shape, at, notes);
    join(there, value, at, notes);
    if *there != before {
        notes.push(taken(at.to_owned(), known));
    }
}

/// Objects become one, as for Go. What both have stays as it is there: which of them was the last in the text is not known any more.
fn join(there: &mut Value, value: Value, at: &str, notes: &mut Vec<Problem>) {
    match (there, value) {
        (_, Value::Null) => {}
        (there @ Value::Null, value) => *there = value,
        (Value::Object(map), Value::Object(more)) => {
            for (key, value) in more {
                match map.get_mut(&key) {
                    Some(there) => join(there, value, &below(at, &key), notes),
                    None => drop(map.insert(key, value)),
                }
            }
        }
        (there, value) if *there == value => {}
        _ => {
            let message = "is there as it should be written too, with another value: left out".to_owned();
            notes.push(Problem { pointer: at.to_owned(), message, remedy: None });
        }
    }
}

fn below(at: &str, key: &str) -> String {
    format!("{at}/{}", escaped(key))
}

fn taken(pointer: String, known: &str) -> Problem {
    let message = format!("taken for {known}, as runc does: the specification has keys as they are written");
    Problem { pointer, message, remedy: None }
}
