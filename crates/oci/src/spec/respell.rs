//! Keys in other letters' case, such as `pagesize` for `pageSize`: Go, and so runc, takes the one for the other.
//!
//! To leave them out would leave a limit out that the same config has under runc.

use serde_json::Value;

use super::object::{Shape, escaped};

/// The key of a shape that `key` is but for the case of letters.
pub(super) fn meant(shape: &Shape, key: &str) -> Option<&'static str> {
    let Shape::Object(keys) = shape else { return None };
    let mut known = keys.iter().map(|(known, _)| *known);
    known.find(|known| *known != key && known.eq_ignore_ascii_case(key))
}

/// Writes keys as the specification does, and notes where they stood and what they are now. One that is there as it should be, or for the second
/// time, stays as it is.
pub(super) fn respell(value: &mut Value, shape: &Shape, at: &str, notes: &mut Vec<(String, &'static str)>) {
    match (value, shape) {
        (Value::Array(list), Shape::List(inner)) => {
            for (index, value) in list.iter_mut().enumerate() {
                respell(value, inner, &format!("{at}/{index}"), notes);
            }
        }
        (Value::Object(map), Shape::Map(inner)) => {
            for (key, value) in map.iter_mut() {
                respell(value, inner, &format!("{at}/{}", escaped(key)), notes);
            }
        }
        (Value::Object(map), Shape::Object(keys)) => {
            let odd: Vec<String> = map.keys().filter(|key| meant(shape, key).is_some()).cloned().collect();
            for key in odd {
                let Some(known) = meant(shape, &key).filter(|known| !map.contains_key(*known)) else {
                    continue;
                };
                let Some(value) = map.remove(&key) else { continue };
                map.insert(known.to_owned(), value);
                notes.push((format!("{at}/{}", escaped(&key)), known));
            }
            for (key, inner) in *keys {
                if let Some(value) = map.get_mut(*key) {
                    respell(value, inner, &format!("{at}/{key}"), notes);
                }
            }
        }
        _ => {}
    }
}
