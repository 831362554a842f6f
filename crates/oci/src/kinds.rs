//! The specification's words for kinds of namespaces.

use libcontainer::NamespaceKind;

const KINDS: [(&str, NamespaceKind); 8] = [
    ("pid", NamespaceKind::Pid),
    ("network", NamespaceKind::Network),
    ("mount", NamespaceKind::Mount),
    ("ipc", NamespaceKind::Ipc),
    ("uts", NamespaceKind::Uts),
    ("user", NamespaceKind::User),
    ("cgroup", NamespaceKind::Cgroup),
    ("time", NamespaceKind::Time),
];

/// The word for a kind.
pub(crate) fn word(kind: NamespaceKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(word, _)| word)
}

/// The kind for a word.
pub(crate) fn kind(word: &str) -> Option<NamespaceKind> {
    KINDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind)
}

/// All words.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(word, _)| *word)
}
