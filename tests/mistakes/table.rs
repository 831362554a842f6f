//! Mistakes in config.json: one line of config.txt each.

use serde_json::Value;

use crate::scene::{Mistake, run};

pub(crate) fn all() -> Vec<Mistake> {
    let lines = include_str!("config.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| one(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// `name | changes | code | what must be said | …`
fn one(line: &'static str) -> Option<Mistake> {
    let mut parts = line.split(" | ");
    let (name, changes, code) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
    let changes: Vec<(&str, Value)> = changes.split(" ;; ").map(change).collect::<Option<_>>()?;
    let wanted: Vec<_> = parts.collect();
    Some(Mistake::new(name, code, &wanted, move |scene| {
        for (pointer, value) in &changes {
            let dir = scene.at("");
            let text = value.to_string().replace("BUNDLE/", &dir);
            put(&mut scene.config, pointer, serde_json::from_str(&text).unwrap());
        }
        run(scene)
    }))
}

/// `/where VALUE`
fn change(text: &'static str) -> Option<(&'static str, Value)> {
    let (pointer, value) = text.split_once(' ')?;
    Some((pointer, serde_json::from_str(value).ok()?))
}

/// `-` behind a list appends; null takes away.
fn put(config: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}")) {
        Value::Array(all) if key == "-" => all.push(value),
        Value::Array(all) => all[key.parse::<usize>().unwrap()] = value,
        parent if value.is_null() => drop(parent.as_object_mut().unwrap().remove(key)),
        parent => parent[key] = value,
    }
}
