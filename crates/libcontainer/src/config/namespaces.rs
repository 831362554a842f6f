//! `namespaces`: 2014's map of keys to booleans, and 2015's list with paths.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

use super::namespace_kind::NamespaceKind;

/// Where a namespace comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// Made for the container.
    New,
    /// Joined: the path of a namespace file.
    Join(PathBuf),
}

/// The container's namespaces; a kind that is absent is shared with the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    kinds: BTreeMap<NamespaceKind, Namespace>,
    /// Keys that are no namespace, as found in JSON: validation reports them.
    pub(crate) unknown: Vec<String>,
}

impl Namespaces {
    /// New namespaces of these kinds.
    pub fn new(kinds: impl IntoIterator<Item = NamespaceKind>) -> Self {
        kinds.into_iter().map(|kind| (kind, Namespace::New)).collect()
    }

    /// Sets where a namespace comes from.
    pub fn set(&mut self, kind: NamespaceKind, namespace: Namespace) {
        self.kinds.insert(kind, namespace);
    }

    /// Shares a namespace with the host.
    pub fn share(&mut self, kind: NamespaceKind) {
        self.kinds.remove(&kind);
    }

    /// Where a namespace comes from; `None` if it is shared.
    #[must_use]
    pub fn get(&self, kind: NamespaceKind) -> Option<&Namespace> {
        self.kinds.get(&kind)
    }

    /// Whether the container has a namespace of this kind that is not the host's.
    #[must_use]
    pub fn contains(&self, kind: NamespaceKind) -> bool {
        self.kinds.contains_key(&kind)
    }

    /// Whether a namespace of this kind is made.
    #[must_use]
    pub fn is_new(&self, kind: NamespaceKind) -> bool {
        self.get(kind) == Some(&Namespace::New)
    }

    /// All that are not shared.
    pub fn iter(&self) -> impl Iterator<Item = (NamespaceKind, &Namespace)> {
        self.kinds.iter().map(|(kind, namespace)| (*kind, namespace))
    }
}

impl FromIterator<(NamespaceKind, Namespace)> for Namespaces {
    fn from_iter<I: IntoIterator<Item = (NamespaceKind, Namespace)>>(namespaces: I) -> Self {
        Self { kinds: namespaces.into_iter().collect(), unknown: Vec::new() }
    }
}

#[derive(Serialize, Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "super::unset::unset")]
    path: PathBuf,
}

impl Serialize for Namespaces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.kinds.values().all(|namespace| *namespace == Namespace::New) {
            let mut map = serializer.serialize_map(Some(self.kinds.len() + self.unknown.len()))?;
            for kind in self.kinds.keys() {
                map.serialize_entry(kind.key(), &true)?;
            }
            // Left out, a config that is refused would be accepted once it has been written and read.
            self.unknown.iter().try_for_each(|key| map.serialize_entry(key, &true))?;
            return map.end();
        }
        let mut list = serializer.serialize_seq(Some(self.kinds.len() + self.unknown.len()))?;
        for (kind, namespace) in &self.kinds {
            let path = match namespace {
                Namespace::New => PathBuf::new(),
                Namespace::Join(path) => path.clone(),
            };
            list.serialize_element(&Item { kind: kind.key().to_owned(), path })?;
        }
        for key in &self.unknown {
            list.serialize_element(&Item { kind: key.clone(), path: PathBuf::new() })?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Namespaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Namespaces;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of namespace keys to booleans, or a list of {type, path}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Namespaces, A::Error> {
        let mut all = Namespaces::default();
        while let Some((key, wanted)) = map.next_entry::<String, Option<bool>>()? {
            match NamespaceKind::from_key(&key) {
                Some(kind) if wanted == Some(true) => all.set(kind, Namespace::New),
                Some(_) => {}
                None => all.unknown.push(key),
            }
        }
        Ok(all)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Namespaces, A::Error> {
        let mut all = Namespaces::default();
        while let Some(Item { kind: key, path }) = list.next_element()? {
            let Some(kind) = NamespaceKind::from_key(&key) else {
                all.unknown.push(key);
                continue;
            };
            if all.contains(kind) {
                return Err(de::Error::custom(format!("{key}: given twice")));
            }
            all.set(kind, if path.as_os_str().is_empty() { Namespace::New } else { Namespace::Join(path) });
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_the_simpler_is_written() {
        let read = |json: &str| serde_json::from_str::<Namespaces>(json);
        let map = read(r#"{"NEWPID":true,"NEWNS":true,"NEWNET":false,"NEWUTS":null}"#).unwrap();
        assert_eq!(map, Namespaces::new([NamespaceKind::Pid, NamespaceKind::Mount]));
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"NEWNS":true,"NEWPID":true}"#);
        let list = read(r#"[{"type":"NEWNET","path":"/n"},{"type":"NEWPID"}]"#).unwrap();
        assert_eq!(list.get(NamespaceKind::Network), Some(&Namespace::Join("/n".into())));
        assert_eq!(read(&serde_json::to_string(&list).unwrap()).unwrap(), list);
        assert_eq!(read(r#"{"NEWBIE":true}"#).unwrap().unknown, ["NEWBIE"]);
        for text in
            [r#"{"NEWPID":true,"NEWBIE":true}"#, r#"[{"type":"NEWNET","path":"/n"},{"type":"NEWBIE"}]"#]
        {
            let wrong = read(text).unwrap();
            assert_eq!(serde_json::to_string(&wrong).unwrap(), text, "a key that is wrong stays wrong");
        }
        assert!(read(r#"[{"type":"NEWNET"},{"type":"NEWNET"}]"#).is_err());
        assert!(read("3").is_err());
    }
}
